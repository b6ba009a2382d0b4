/** `audit`: whether what is installed is what its registry has signed. A registry that signs nothing is no success. */

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { WorkflowError } from '../failure.ts';
import { summary } from '../github/report.ts';
import { npm, registryUrl } from '../npmPackage/npm.ts';
import { flow } from '../options.ts';
import { verdictOf } from './verdict.ts';

export const audit = flow({
  name: 'audit',
  description: 'verifies the signatures of the installed dependencies; a registry that signs nothing is an error',
  options: { application: { description: 'folder with package-lock.json and node_modules' } },
  async run(options) {
    const folder = resolve(options.application);
    if (!existsSync(join(folder, 'node_modules'))) {
      throw new WorkflowError(`nothing is installed in ${folder}`, 'run "npm ci" there first');
    }
    const { stdout } = await npm(['config', 'get', 'registry'], { cwd: folder });
    const registry = registryUrl(stdout.trim());
    if ((await signs(registry)) === false) {
      throw new WorkflowError(
        `the registry ${registry}, or the mirror that answers for it, signs nothing, so that "npm audit signatures" would verify nothing`,
        'install from a registry that signs (https://registry.npmjs.org/; see "registry" in .npmrc and the variable ' +
          'npm_config_registry), or take this step out and rely on the checksums in package-lock.json alone',
      );
    }
    const result = await npm(['audit', 'signatures'], { cwd: folder });
    const verdict = verdictOf(result, registry);
    console.log(verdict);
    await summary(`### Signatures of the dependencies\n\n${verdict}\n`);
    return undefined;
  },
});

/** Whether a registry publishes keys (https://docs.npmjs.com/about-registry-signatures); undefined when it does not answer. */
async function signs(registry: string): Promise<boolean | undefined> {
  try {
    const answer = await fetch(new URL('-/npm/v1/keys', registry), { signal: AbortSignal.timeout(30_000) });
    if (answer.status === 404) return false;
    if (!answer.ok) return undefined;
    const { keys } = (await answer.json()) as { keys?: unknown[] };
    return Array.isArray(keys) && keys.length > 0;
  } catch {
    // npm knows proxies that this process does not: it says what is wrong.
    return undefined;
  }
}
