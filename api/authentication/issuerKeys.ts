import { readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose';
import type { IssuerSettings } from '../settings.ts';

/** For one answer of an issuer, in milliseconds. */
const TIMEOUT = 5_000;
/** Longest answer of an issuer, in bytes. */
const LONGEST = 1024 * 1024;
/** After a failure an issuer is left alone this long, in milliseconds: a flood of requests must not become two. */
const PAUSE = 1_000;
/** An unknown key is looked for no more often than this, in milliseconds. */
const COOLDOWN = 10_000;

/** The issuer's keys could not be had; the reason is for the log. */
export class IssuerUnreachableError extends Error {
  constructor(issuer: string, reason: string) {
    super(`the issuer ${issuer} cannot be asked for its keys: ${reason}`);
    this.name = 'IssuerUnreachableError';
  }
}

/**
 * The public keys of an issuer, from its JWKS; asked for when they are needed, and kept.
 *
 * @throws IssuerUnreachableError when they cannot be had; what jose throws when no key fits.
 */
export function issuerKeys(settings: IssuerSettings): JWTVerifyGetKey {
  let failure: { readonly at: number; readonly error: IssuerUnreachableError } | undefined;
  const ask = async (address: URL): Promise<Response> => {
    if (failure && Date.now() - failure.at < PAUSE) throw failure.error;
    try {
      const text = await read(address, settings);
      failure = undefined;
      return new Response(text, { status: 200, headers: { 'content-type': 'application/json' } });
    } catch (error) {
      const unreachable = new IssuerUnreachableError(settings.issuer, (error as Error).message);
      failure = { at: Date.now(), error: unreachable };
      throw unreachable;
    }
  };

  let keys: Promise<JWTVerifyGetKey> | undefined;
  const open = async (): Promise<JWTVerifyGetKey> => {
    const address = settings.jwksUri ?? (await discover(settings.issuer, ask));
    const options = { timeoutDuration: TIMEOUT, cooldownDuration: COOLDOWN };
    return createRemoteJWKSet(new URL(address), { ...options, [customFetch]: (url) => ask(new URL(url)) });
  };
  return async (header, token) => {
    keys ??= open();
    try {
      return await (await keys)(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) throw error;
      // Discovery may have failed, or led to another place than the next time.
      if (error instanceof IssuerUnreachableError) keys = undefined;
      if (error instanceof errors.JWKSInvalid || error instanceof errors.JWKSTimeout) {
        throw new IssuerUnreachableError(settings.issuer, error.message);
      }
      throw error;
    }
  };
}

/** https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationRequest */
async function discover(issuer: string, ask: (address: URL) => Promise<Response>): Promise<string> {
  const answer = await ask(new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`));
  const found: unknown = await answer.json().catch(() => undefined);
  if (typeof found === 'object' && found !== null && 'jwks_uri' in found && 'issuer' in found) {
    if (found.issuer === issuer && typeof found.jwks_uri === 'string' && URL.canParse(found.jwks_uri)) {
      return found.jwks_uri;
    }
  }
  throw new IssuerUnreachableError(issuer, 'its discovery document does not name it and its jwks_uri');
}

/** No redirects: keys come from the address that is configured, or that discovery names. */
async function read(address: URL, { caFile, tokenFile }: IssuerSettings): Promise<string> {
  const secure = address.protocol === 'https:';
  if (!secure && address.protocol !== 'http:') throw new Error(`${address.protocol} is not asked`);
  // Read each time: Kubernetes renews both.
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
  const token = tokenFile === undefined || !secure ? undefined : (await readFile(tokenFile, 'utf8')).trim();
  const headers = {
    // A Kubernetes API server gives its keys as this type only.
    accept: 'application/json, application/jwk-set+json',
    ...(token && { authorization: `Bearer ${token}` }),
  };
  return await new Promise((resolve, reject) => {
    const options = { headers, agent: false as const, signal: AbortSignal.timeout(TIMEOUT) };
    const request = secure ? httpsRequest(address, { ...options, ca }) : httpRequest(address, options);
    request.once('error', reject);
    request.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > LONGEST) response.destroy(new Error('its answer is too long'));
      });
      response.once('error', reject);
      response.once('end', () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${address.href} answers ${response.statusCode}`));
      });
    });
    request.end();
  });
}
