import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ServiceError } from '../errors.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { AuthenticationError, MissingScopeError } from './errors.ts';
import { holds } from './scopes.ts';
import type { Verifier } from './verifier.ts';

/**
 * Judges tokens for nginx's `auth_request`: `GET /verify` with the request's `Authorization`, and the scopes that are all
 * needed in `X-Required-Scopes`. 204 with who it is, else 401, 403 or 503 with a problem. A 204 may be kept for the
 * seconds that `X-Keep-Seconds` asks for at most, and never past the token's end; a refusal is not kept.
 */
export function createAuthenticator(verifier: Verifier, { log }: Pick<Telemetry, 'log'>): Server {
  return createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    if (path === '/healthz') {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"ok"}');
    } else if (path === '/verify') {
      void answer(verifier, request, response, log);
    } else {
      problem(response, new ServiceError('not-found', 'There is only /verify and /healthz here.'));
    }
  });
}

async function answer(
  verifier: Verifier,
  request: IncomingMessage,
  response: ServerResponse,
  log: Telemetry['log'],
): Promise<void> {
  const requestId = String(request.headers['x-request-id'] ?? randomUUID());
  try {
    const { caller, expires } = await verifier.verify(request.headers.authorization);
    const required = String(request.headers['x-required-scopes'] ?? '').split(' ');
    const missing = required.filter((scope) => scope !== '' && !holds(caller.scopes, scope));
    if (missing.length > 0) throw new MissingScopeError(missing, caller.scopes);
    const { issuer, subject } = caller;
    const headers = {
      'x-auth-issuer': headerText(issuer),
      'x-auth-subject': headerText(subject),
      'cache-control': keepFor(request.headers['x-keep-seconds'], expires),
    };
    response.writeHead(204, headers).end();
  } catch (error) {
    if (error instanceof ServiceError) {
      log.info({ requestId, code: error.code, reason: error.detail }, 'refused');
      problem(response, error);
    } else {
      log.error({ requestId, error }, 'the request failed');
      problem(response, new ServiceError('internal-error', `The authenticator failed: request id ${requestId}.`));
    }
  }
}

function problem(response: ServerResponse, error: ServiceError): void {
  const { status, ...rest } = error.problem();
  const challenge =
    error instanceof AuthenticationError || error instanceof MissingScopeError
      ? { 'www-authenticate': error.challenge }
      : {};
  response
    .writeHead(status, { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...challenge })
    .end(JSON.stringify({ ...rest, status }));
}

/** nginx counts in whole seconds, and may keep an answer for a part of one longer: one less than what is left. */
function keepFor(asked: string | string[] | undefined, expires: number): string {
  const left = Math.floor((expires - Date.now()) / 1000) - 1;
  const seconds = Math.min(Number(asked ?? 0), left);
  return seconds >= 1 ? `max-age=${Math.floor(seconds)}` : 'no-store';
}

/** A header holds visible ASCII; other characters, and `%`, as in a URL. */
function headerText(text: string): string {
  return text.replaceAll(/[^!-$&-~]+/gu, (found) => encodeURIComponent(found.toWellFormed()));
}
