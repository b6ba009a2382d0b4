import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Context, LocalError } from './service.ts';

type SecretContext = Pick<Context, 'directory'>;

export type SecretName =
  | 'postgres-password'
  | 'registry-password'
  | 'registry-http-secret'
  | 'pulumi-passphrase'
  | 'issuer-cookie-key'
  | `issuer-client-${string}`;

export function secretPath(ctx: SecretContext, name: SecretName): string {
  return join(ctx.directory, 'secrets', name);
}

/** What can only be opened with a secret: making another one would hide that it was lost. */
const OPENS: Partial<Record<SecretName, { readonly file: string; readonly what: string }>> = {
  'postgres-password': { file: 'data/postgres/initialised', what: 'the databases in .local/data/postgres' },
  'pulumi-passphrase': { file: 'config/encryption-salt', what: "the local stack's state in .local/state" },
};

/**
 * A generated secret of 192 bits in `.local/secrets` (folder 0700, file 0600); made at the first call.
 *
 * @throws LocalError when it was lost, and something is there that needs it
 */
export function secret(ctx: SecretContext, name: SecretName): string {
  const path = secretPath(ctx, name);
  if (!existsSync(path)) {
    const opens = OPENS[name];
    if (opens !== undefined && existsSync(join(ctx.directory, opens.file))) {
      throw new LocalError(
        `${path} is gone, and ${opens.what} cannot be used without it; put it back, ` +
          'or remove the environment with its data and start afresh: npm run clean && npm run up',
      );
    }
    const directory = join(ctx.directory, 'secrets');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, randomBytes(24).toString('base64url'), { mode: 0o600 });
    renameSync(temporary, path);
  }
  return readFileSync(path, 'utf8').trim();
}
