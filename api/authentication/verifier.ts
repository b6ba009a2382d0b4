import { createHash } from 'node:crypto';
import { decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { ServiceError } from '../errors.ts';
import type { Caller } from '../model.ts';
import type { IssuerSettings } from '../settings.ts';
import { AuthenticationError } from './errors.ts';
import { IssuerUnreachableError, issuerKeys } from './issuerKeys.ts';
import { callerOf } from './scopes.ts';

/** Signatures with a shared secret are not among them, nor none at all (RFC 8725, sections 2.1 and 3.1). */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** Other types, such as a logout token, are for something else (RFC 8725, section 3.11). */
const TYPES = ['jwt', 'at+jwt', 'application/at+jwt'];
/** Between two clocks, in seconds. */
const CLOCK_TOLERANCE = 5;
/** A token that was verified is believed this long, in milliseconds, and never longer than it is valid. */
const KEPT = 30_000;
const MOST_KEPT = 5_000;
const LONGEST_TOKEN = 16 * 1024;

export interface Verified {
  readonly caller: Caller;
  /** When the token ends, in milliseconds since 1970. */
  readonly expires: number;
}

export interface Verifier {
  /**
   * Who asks, from the header `Authorization`, and for how long.
   *
   * @throws AuthenticationError when there is no token or it does not do; ServiceError `unavailable` when its issuer
   * cannot be asked.
   */
  verify(authorization: string | undefined): Promise<Verified>;
}

interface Issuer {
  readonly settings: IssuerSettings;
  readonly keys: JWTVerifyGetKey;
}

export interface VerifierOptions {
  readonly issuers: readonly IssuerSettings[];
  readonly log?: { warn(values: object, message: string): void };
}

export function createVerifier({ issuers, log }: VerifierOptions): Verifier {
  const known = issuers.map((settings): Issuer => ({ settings, keys: issuerKeys(settings) }));
  const kept = new Map<string, { readonly verified: Verified; readonly until: number }>();

  return {
    verify: async (authorization) => {
      const token = tokenOf(authorization);
      // Not the token itself: a dump of the memory holds none that is still good.
      const key = createHash('sha256').update(token).digest('base64');
      const before = kept.get(key);
      if (before && before.until > Date.now()) return before.verified;
      kept.delete(key);
      const verified = await verifyToken(token, known, log);
      if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value ?? '');
      kept.set(key, { verified, until: Math.min(verified.expires, Date.now() + KEPT) });
      return verified;
    },
  };
}

/** RFC 6750, section 2.1. */
function tokenOf(authorization: string | undefined): string {
  if (authorization === undefined) throw new AuthenticationError('A bearer token is needed: send Authorization.');
  const token = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i.exec(authorization)?.[1];
  if (token === undefined || token.length > LONGEST_TOKEN) {
    throw new AuthenticationError('Authorization is not "Bearer <token>".', 'invalid_request');
  }
  return token;
}

async function verifyToken(token: string, issuers: readonly Issuer[], log: VerifierOptions['log']): Promise<Verified> {
  const issuer = issuerOf(token, issuers);
  try {
    const { payload, protectedHeader } = await jwtVerify(token, issuer.keys, {
      issuer: issuer.settings.issuer,
      audience: issuer.settings.audience,
      algorithms: ALGORITHMS,
      clockTolerance: CLOCK_TOLERANCE,
      requiredClaims: ['exp', 'sub'],
    });
    const type = protectedHeader.typ?.toLowerCase();
    if (type !== undefined && !TYPES.includes(type)) throw invalid('The token is not an access token.');
    if (typeof payload.sub !== 'string' || payload.sub === '') throw invalid('The token names no subject.');
    return { caller: callerOf(payload, issuer.settings), expires: (payload.exp ?? 0) * 1000 };
  } catch (error) {
    if (error instanceof AuthenticationError) throw error;
    if (error instanceof IssuerUnreachableError) {
      log?.warn({ issuer: issuer.settings.issuer, reason: error.message }, 'a token cannot be verified');
      throw new ServiceError('unavailable', "The token's issuer cannot be asked at the moment: try again.");
    }
    if (error instanceof errors.JOSEError) throw invalid(reasonOf(error));
    // What is not of jose comes from the web cryptography: a key or signature that makes no sense.
    log?.warn({ issuer: issuer.settings.issuer, reason: (error as Error).message }, 'a token cannot be verified');
    throw invalid('The token is not valid.');
  }
}

/** Chosen by what the token says; verified afterwards. One issuer may be listed for several audiences. */
function issuerOf(token: string, issuers: readonly Issuer[]): Issuer {
  let payload: JWTPayload;
  try {
    payload = decodeJwt(token);
  } catch {
    throw invalid('The token is no JSON Web Token.');
  }
  const named = issuers.filter(({ settings }) => settings.issuer === payload.iss);
  const audiences = [payload.aud ?? []].flat();
  const found = named.find(({ settings }) => audiences.includes(settings.audience)) ?? named[0];
  if (found === undefined) throw invalid('The token is of an issuer that is not accepted here.');
  return found;
}

function invalid(detail: string): AuthenticationError {
  return new AuthenticationError(detail, 'invalid_token');
}

function reasonOf(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return 'The token has expired: get a new one.';
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return 'The token is for another audience.';
    if (error.claim === 'nbf') return 'The token is not valid yet.';
    return `The claim ${error.claim} of the token does not do.`;
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return 'The token is signed with an algorithm that is not accepted.';
  return 'The signature of the token is not valid.';
}
