import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from './service.ts';

type SecretContext = Pick<Context, 'directory'>;

export type SecretName = 'postgres-password' | 'registry-password' | 'registry-http-secret' | 'pulumi-passphrase';

export function secretPath(ctx: SecretContext, name: SecretName): string {
  return join(ctx.directory, 'secrets', name);
}

/** A generated secret of 192 bits in `.local/secrets` (folder 0700, file 0600); made at the first call. */
export function secret(ctx: SecretContext, name: SecretName): string {
  const path = secretPath(ctx, name);
  if (!existsSync(path)) {
    const directory = join(ctx.directory, 'secrets');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, randomBytes(24).toString('base64url'), { mode: 0o600 });
    renameSync(temporary, path);
  }
  return readFileSync(path, 'utf8').trim();
}
