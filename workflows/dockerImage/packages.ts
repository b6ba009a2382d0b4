/** The npmrc with which builds install private packages: it goes into a secret mount, never into a layer. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowError } from '../failure.ts';

export interface PackagesRegistry {
  /** Such as `https://npm.pkg.github.com`. */
  readonly url: string;
  /** Such as `@example`; `*` when every package comes from there. */
  readonly scope: string;
  readonly token: string;
}

/** The text of the npmrc. Pure. */
export function npmrc({ url, scope, token }: PackagesRegistry): string {
  const address = new URL(url.endsWith('/') ? url : `${url}/`);
  const key = scope === '*' ? 'registry' : `${scope.startsWith('@') ? scope : `@${scope}`}:registry`;
  return `${key}=${address.href}\n//${address.host}${address.pathname}:_authToken=${token}\n`;
}

/**
 * Runs `work` with an npmrc that only this user may read, and removes it whatever happens.
 *
 * @throws WorkflowError when the token is missing, or the address is none
 */
export async function withNpmrc<T>(registry: PackagesRegistry, work: (file: string) => Promise<T>): Promise<T> {
  if (registry.token === '') {
    throw new WorkflowError(
      `the token of the private packages is missing: the build installs from ${registry.url} and NODE_AUTH_TOKEN is not set`,
      'set NODE_AUTH_TOKEN; in a workflow, hand over the secret install-token, or give the job the permission "packages: read"',
    );
  }
  let text: string;
  try {
    text = npmrc(registry);
  } catch {
    throw new WorkflowError(
      `"${registry.url}" is not the address of a package registry`,
      'name it as https://host/path (the option packages-registry)',
    );
  }
  const directory = await mkdtemp(join(tmpdir(), 'npmrc-'));
  try {
    const file = join(directory, 'npmrc');
    await writeFile(file, text, { mode: 0o600 });
    return await work(file);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
