/** `npm-install`: the application's dependencies, private ones too; no code of theirs runs while the token is there. */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { EXIT, WorkflowError } from '../failure.ts';
import { mask } from '../github/report.ts';
import { flow } from '../options.ts';
import { npm, registryUrl, scopeOf, TOKEN_VARIABLE, withRegistry } from './npm.ts';
import { codeOf, refusal } from './registry.ts';

export const npmInstall = flow({
  name: 'npm-install',
  description: `installs the dependencies; reads private ones with the token in ${TOKEN_VARIABLE}, where it is set`,
  options: {
    application: { description: "folder of the application's repository" },
    registry: { description: 'address of the registry with the private packages' },
  },
  async run(options) {
    const folder = resolve(options.application);
    const manifest = join(folder, 'package.json');
    if (!existsSync(join(folder, 'package-lock.json'))) {
      throw new WorkflowError(
        `${folder} has no package-lock.json, so what is installed could be another thing each time`,
        'run "npm install" there and commit package-lock.json, or name another folder with --application',
      );
    }
    const { name = '' } = JSON.parse(await readFile(manifest, 'utf8')) as { name?: string };
    const token = process.env[TOKEN_VARIABLE];
    if (token) mask(token);
    const registry = { url: registryUrl(options.registry), scopes: scopeOf(name), token };
    await withRegistry(registry, async (userconfig) => {
      const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
      const result = await npm(args, { cwd: folder, userconfig });
      if (result.exitCode !== 0) {
        if (/^E(40[134]|NEEDAUTH)$/.test(codeOf(result)) || result.stderr.includes(registry.url)) {
          throw refusal(`install the dependencies of ${folder}`, { url: registry.url, userconfig }, result);
        }
        throw new WorkflowError(
          `"npm ci" in ${folder} failed:\n${result.stderr.trim().split('\n').slice(-12).join('\n')}`,
          'run "npm ci" there: what it says first is what to mend',
          EXIT.refused,
        );
      }
    });
    console.log(`the dependencies of ${folder} are installed`);
    return undefined;
  },
});
