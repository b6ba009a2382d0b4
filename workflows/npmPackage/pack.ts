/** `npm-pack`: builds, tests and packs a package under the version that its commits ask for. Has no token. */

import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { EXIT, WorkflowError } from '../failure.ts';
import { output, summary } from '../github/report.ts';
import { flow } from '../options.ts';
import { type History, readHistory } from './history.ts';
import { type Manifest, readManifest, withVersion } from './manifest.ts';
import { npm } from './npm.ts';
import { PACKAGE_FILE, type Release, writeRelease } from './release.ts';
import { nothingToPublish } from './summaries.ts';
import { changesOf, nextVersion, previewVersion } from './version.ts';

export const npmPack = flow({
  name: 'npm-pack',
  description: 'builds, tests and packs a package under the version that its commits ask for',
  options: {
    application: { description: "folder of the application's repository, with its dependencies installed" },
    'package-folder': { description: 'folder of the package in it', default: '.' },
    output: { description: 'folder to write the package to' },
    'pull-request': { description: 'number of the pull request that is tried out; none is a release', default: 'none' },
  },
  async run(options) {
    const root = resolve(options.application);
    const folder = resolve(root, options['package-folder']);
    const manifest = await readManifest(folder);
    const history = await readHistory(root, folder, manifest.name);
    const release = releaseOf(manifest, history, pullRequestOf(options['pull-request']));
    await withVersion(folder, release?.version ?? manifest.version, async () => {
      // What installing left out, so that no script of a dependency saw the token.
      if (existsSync(join(root, 'node_modules'))) await step(root, ['rebuild']);
      for (const script of ['build', 'test']) {
        if (manifest.scripts.includes(script)) await step(folder, ['run', script]);
      }
      if (release !== undefined) await pack(folder, resolve(options.output), release);
    });
    output('name', manifest.name);
    output('version', release?.version ?? '');
    output('publish', String(release !== undefined));
    // Several packages of one run: each has its own. A slash may not be in an artifact's name.
    output('artifact', `npm-package-${manifest.name.replace('/', '+')}`);
    if (release === undefined) await summary(nothingToPublish(manifest.name, history));
    return undefined;
  },
});

function pullRequestOf(text: string): number | undefined {
  if (text === 'none') return undefined;
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new WorkflowError(
    `npm-pack: "${text}" is no number of a pull request`,
    'give --pull-request a number such as 12',
  );
}

/** What is to be published; undefined when users notice nothing. A pull request is published whatever it changes. */
export function releaseOf(
  manifest: Manifest,
  { last, commits, commit }: History,
  pullRequest: number | undefined,
): Release | undefined {
  const changes = changesOf(commits);
  const next = last === undefined ? manifest.version : nextVersion(last, manifest.version, changes);
  const common = { name: manifest.name, commit, changes };
  if (pullRequest === undefined)
    return next === undefined ? undefined : { ...common, version: next, distTag: 'latest' };
  const mended = nextVersion(last ?? '0.0.0', manifest.version, [{ hash: commit, bump: 'patch', subject: '' }]);
  const version = previewVersion(next ?? mended ?? manifest.version, pullRequest, commit);
  return { ...common, version, distTag: `pr-${pullRequest}` };
}

async function step(folder: string, args: readonly string[]): Promise<void> {
  const { exitCode } = await npm(args, { cwd: folder, show: true });
  if (exitCode === 0) return;
  const command = `npm ${args.filter((arg) => !arg.startsWith('-')).join(' ')}`;
  throw new WorkflowError(
    `"${command}" in ${folder} failed (exit code ${exitCode}); nothing is published`,
    `run "${command}" there; what it printed is above`,
    EXIT.refused,
  );
}

async function pack(folder: string, target: string, release: Release): Promise<void> {
  await mkdir(target, { recursive: true });
  const directory = await mkdtemp(join(tmpdir(), 'pack-'));
  try {
    await step(folder, ['pack', `--pack-destination=${directory}`]);
    const [file] = (await readdir(directory)).filter((entry) => entry.endsWith('.tgz'));
    if (file === undefined) throw new Error(`npm pack in ${folder} has made no package`);
    await copyFile(join(directory, file), join(target, PACKAGE_FILE));
    await writeRelease(target, release);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  console.log(`${release.name}@${release.version} is in ${target}`);
}
