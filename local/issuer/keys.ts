import { createHash, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../service.ts';

/** A private key as a JSON Web Key (RFC 7517). */
export type SigningKey = Readonly<Record<string, unknown>>;

/** The key that signs the tokens, `.local/secrets/issuer-signing-key` (PKCS #8 in PEM, 0600); made once. */
export function signingKey(ctx: Pick<Context, 'directory'>): SigningKey {
  const path = join(ctx.directory, 'secrets', 'issuer-signing-key');
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    mkdirSync(join(ctx.directory, 'secrets'), { recursive: true, mode: 0o700 });
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    renameSync(temporary, path);
  }
  const jwk = createPrivateKey(readFileSync(path)).export({ format: 'jwk' });
  const { e, kty, n } = jwk;
  // RFC 7638: the same key has the same name after every start.
  const kid = createHash('sha256').update(JSON.stringify({ e, kty, n })).digest('base64url');
  return { ...jwk, kid, use: 'sig', alg: 'RS256' };
}
