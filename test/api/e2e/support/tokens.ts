/** Access tokens of the local issuer, and what is needed to forge some. */

import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { Agent, request } from 'node:https';
import type { JWTPayload } from 'jose';
import { ISSUER_URL } from '../../../../local/issuer/facts.ts';
import { requestToken, type TokenRequest } from '../../../../local/issuer/token.ts';
import { authority } from './http.ts';
import { context } from './local.ts';

const kept = new Map<string, string>();

/** A token with at least four minutes left; the same one while it has. By default of `developer`, who may do all. */
export async function token(options: TokenRequest = {}): Promise<string> {
  const key = JSON.stringify(options);
  const known = kept.get(key);
  if (known && expiry(known) - Date.now() > 240_000) return known;
  const issued = await requestToken(context, options);
  kept.set(key, issued);
  return issued;
}

/** A token that lives one second. */
export async function briefToken(): Promise<string> {
  return await requestToken(context, { client: 'brief' });
}

/** The issuer's public keys in PEM. */
export async function publicKeys(): Promise<string[]> {
  const { keys } = JSON.parse(await get('/jwks')) as { keys: JsonWebKey[] };
  return keys.map((key) => createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString());
}

async function get(path: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    const agent = new Agent({ ca: authority() });
    const asked = request(new URL(path, ISSUER_URL), { agent, timeout: 10_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', reject);
      response.once('end', () => resolve(text));
    });
    asked.once('error', reject);
    asked.once('timeout', () => asked.destroy(new Error('the issuer does not answer')));
    asked.end();
  });
}

function part(jwt: string, index: number): unknown {
  return JSON.parse(Buffer.from(jwt.split('.')[index] ?? '', 'base64url').toString('utf8'));
}

/** When the token ends, in milliseconds since 1970. */
export function expiry(jwt: string): number {
  return (claimsOf(jwt).exp ?? 0) * 1000;
}

export function claimsOf(jwt: string): JWTPayload {
  return part(jwt, 1) as JWTPayload;
}

export function headerOf(jwt: string): { readonly alg?: string; readonly kid?: string; readonly typ?: string } {
  return part(jwt, 0) as { alg?: string; kid?: string; typ?: string };
}
