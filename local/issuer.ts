import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isNodeOwner } from './facts.ts';
import { certificateRequest } from './issuer/certificate.ts';
import { ISSUER_URL, MACHINE_CLIENTS, NAME, PORT } from './issuer/facts.ts';
import { signingKey } from './issuer/keys.ts';
import { component } from './kubernetes/component.ts';
import { writeConfiguration } from './kubernetes/files.ts';
import { get } from './kubernetes/request.ts';
import { caFilePath, issue } from './pki.ts';
import { secret } from './secrets.ts';
import type { Context, Health } from './service.ts';

type DirectoryContext = Pick<Context, 'directory'>;

const SOURCES = fileURLToPath(new URL('issuer/', import.meta.url));

/** What the process reads at its start; another digest, and it is started anew. */
async function stamp(ctx: DirectoryContext): Promise<string> {
  const hash = createHash('sha256');
  const { certFile } = await issue(ctx, certificateRequest());
  hash.update(readFileSync(certFile));
  hash.update(String(signingKey(ctx).kid));
  hash.update(secret(ctx, 'issuer-cookie-key'));
  for (const name of Object.keys(MACHINE_CLIENTS)) hash.update(secret(ctx, `issuer-client-${name}`));
  for (const file of readdirSync(SOURCES).sort()) hash.update(readFileSync(join(SOURCES, file)));
  return hash.digest('hex');
}

async function health(ctx: DirectoryContext): Promise<Health> {
  try {
    const { status, body } = await get(`${ISSUER_URL}/.well-known/openid-configuration`, { caFile: caFilePath(ctx) });
    const { issuer } = JSON.parse(body) as { issuer?: string };
    const healthy = status === 200 && issuer === ISSUER_URL;
    return { healthy, detail: healthy ? `tokens for ${Object.keys(MACHINE_CLIENTS).join(', ')}` : `answers ${status}` };
  } catch {
    return { healthy: false, detail: 'does not answer' };
  }
}

/**
 * An OpenID Connect issuer for the local environment: its tokens are accepted by the local operations API only. Clients
 * in `issuer/facts.ts`; `npm run -s token` prints a token.
 */
export const issuer = component({
  name: NAME,
  url: ISSUER_URL,
  dependsOn: isNodeOwner() ? ['network'] : [],
  ports: [PORT],
  async prepare(ctx) {
    const main = join(SOURCES, 'main.ts');
    return {
      command: process.execPath,
      args: ['--import', import.meta.resolve('tsx'), main, ctx.directory],
      changed: writeConfiguration(join(ctx.directory, 'run', `${NAME}.stamp`), await stamp(ctx)),
    };
  },
  health,
});
