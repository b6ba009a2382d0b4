import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { z } from 'zod';
import { caFilePath } from '../pki.ts';
import { secret } from '../secrets.ts';
import { type Context, LocalError } from '../service.ts';
import { type ClientName, ISSUER_URL, MACHINE_CLIENTS } from './facts.ts';

export interface TokenRequest {
  /** @default 'developer' */
  readonly client?: ClientName;
  /** Space-separated. @default all scopes of the client */
  readonly scope?: string;
  /** @default the environment's issuer */
  readonly issuer?: string;
}

const Token = z.object({ access_token: z.string() });
const Refusal = z.object({ error: z.string(), error_description: z.string().optional() });
const TIMEOUT_MS = 10_000;

/**
 * An access token of the local issuer, by client credentials (RFC 6749, 4.4).
 *
 * @throws LocalError with the issuer's refusal, or when it does not run
 */
export async function requestToken(ctx: Pick<Context, 'directory'>, options: TokenRequest = {}): Promise<string> {
  const client = options.client ?? 'developer';
  const scope = options.scope ?? MACHINE_CLIENTS[client].scopes.join(' ');
  const credentials = `${client}:${secret(ctx, `issuer-client-${client}`)}`;
  const body = new URLSearchParams({ grant_type: 'client_credentials', scope }).toString();
  const issuer = options.issuer ?? ISSUER_URL;
  const answer = await post(`${issuer}/token`, caFilePath(ctx), body, credentials);
  const token = Token.safeParse(answer);
  if (token.success) return token.data.access_token;
  const refusal = Refusal.safeParse(answer);
  const why = refusal.success ? (refusal.data.error_description ?? refusal.data.error) : 'its answer is no token';
  throw new LocalError(
    `${issuer} gives no token to the client ${client} for "${scope}": ${why}; ` +
      `the client may ask for: ${MACHINE_CLIENTS[client].scopes.join(' ')}`,
  );
}

async function post(url: string, caFile: string, body: string, credentials: string): Promise<unknown> {
  const text = await new Promise<string>((resolve, reject) => {
    const request = httpsRequest(
      url,
      {
        method: 'POST',
        ca: readFileSync(caFile),
        agent: false,
        signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: {
          authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
          'content-type': 'application/x-www-form-urlencoded',
        },
      },
      (response) => {
        let received = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          received += chunk;
        });
        response.on('end', () => resolve(received));
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  }).catch((error: Error) => {
    throw new LocalError(`${url} does not answer (${error.message}); run: npm run up`, { cause: error });
  });
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
