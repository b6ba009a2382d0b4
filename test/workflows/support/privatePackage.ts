/** The example's client, published in a private registry. */

import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { repositoryRoot } from '../../../local/context.ts';
import type { Application } from './application.ts';
import type { Verdaccio } from './verdaccio.ts';

/** Builds `packages/client` of an application's repository and publishes `@example/orders-client` as it is. */
export async function publishClient({ directory }: Application, registry: Verdaccio): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'publish-'));
  const modules = join(directory, 'node_modules');
  try {
    await symlink(join(repositoryRoot(), 'node_modules'), modules);
    const client = join(directory, 'packages', 'client');
    await execa(process.execPath, [join(modules, 'typescript/bin/tsc'), '--build', client]);
    const address = new URL(registry.url);
    const npmrc = join(home, 'npmrc');
    await writeFile(npmrc, `registry=${registry.url}\n//${address.host}/:_authToken=${registry.publisher}\n`);
    await execa('npm', ['publish', '--ignore-scripts', '--userconfig', npmrc], { cwd: client });
  } finally {
    await rm(modules, { force: true });
    await rm(home, { recursive: true, force: true });
  }
}
