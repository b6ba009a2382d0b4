/** An application's repository for one test: the example in a git repository of its own. */

import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { repositoryRoot } from '../../../local/context.ts';
import { git } from './git.ts';

const EXAMPLE = join(repositoryRoot(), 'examples', 'orders');

export interface Application {
  /** The repository on "GitHub": `example/orders`. */
  readonly repository: string;
  /** Its work tree (absolute), on the branch `main`; a branch that is checked out here is what act runs. */
  readonly directory: string;
  /** Where artifacts of runs are kept, by run id and name: `artifacts/1/NAME/…`. */
  readonly artifacts: string;
  /** Writes a file (path from the repository's root), making its folders. */
  write(path: string, text: string): Promise<void>;
  /** Changes a file's text. Throws when the change changes nothing, so that a test does not run on what it did not make. */
  edit(path: string, change: (text: string) => string): Promise<void>;
  /** Commits everything and returns the commit. `message` may have a body. */
  commit(message: string): Promise<string>;
  /** git in the work tree; returns what it prints. */
  git(...args: readonly string[]): Promise<string>;
  /** Removes the repository and its artifacts. */
  remove(): Promise<void>;
}

/**
 * Copies `examples/orders` without what it installed and built into a new git repository with one commit,
 * `feat: begin`. Remove it when the test ends.
 */
export async function createApplication(): Promise<Application> {
  const home = await mkdtemp(join(tmpdir(), 'application-'));
  const directory = join(home, 'orders');
  const artifacts = join(home, 'artifacts');
  await mkdir(artifacts);
  await cp(EXAMPLE, directory, {
    recursive: true,
    // A link stays within the copy.
    verbatimSymlinks: true,
    filter: (path) => !/\/(node_modules|dist|\.local)(\/|$)/.test(path.slice(EXAMPLE.length)),
  });
  await writeFile(join(directory, '.gitignore'), 'node_modules/\ndist/\n');
  const run = (...args: readonly string[]): Promise<string> => git(directory, ...args);
  await run('init', '--quiet', '--initial-branch=main');
  // A run checks out any commit, as on GitHub.
  await run('config', 'uploadpack.allowAnySHA1InWant', 'true');
  await run('remote', 'add', 'origin', 'https://github.com/example/orders.git');
  const commit = async (message: string): Promise<string> => {
    await run('add', '--all');
    await run('commit', '--quiet', '--allow-empty', '--message', message);
    return await run('rev-parse', 'HEAD');
  };
  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  };
  await commit('feat: begin');
  return {
    repository: 'example/orders',
    directory,
    artifacts,
    write,
    async edit(path, change) {
      const before = await readFile(join(directory, path), 'utf8');
      const after = change(before);
      if (after === before)
        throw new Error(`the change of ${path} changes nothing: look whether the example has moved on`);
      await write(path, after);
    },
    commit,
    git: run,
    remove: () => rm(home, { recursive: true, force: true, maxRetries: 5 }),
  };
}
