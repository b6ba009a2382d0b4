/** A small package in a git repository of its own, for tests of the commands: it installs nothing and builds nothing. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { git } from './git.ts';

export interface SmallPackage {
  readonly name: string;
  /** The repository's work tree (absolute). The package is in `packages/small`. */
  readonly directory: string;
  /** Writes a file below `packages/small`, or with `../` elsewhere in the repository. */
  write(path: string, text: string): Promise<void>;
  /** Commits everything; returns the commit. */
  commit(message: string): Promise<string>;
  git(...args: readonly string[]): Promise<string>;
  remove(): Promise<void>;
}

let count = 0;

/** Makes `@example/small-N`, version 1.0.0, with one commit `feat: begin`. The name is new for each call. */
export async function createPackage(): Promise<SmallPackage> {
  count += 1;
  const name = `@example/small-${process.pid}-${count}`;
  const directory = await mkdtemp(join(tmpdir(), 'package-'));
  const write = async (path: string, text: string): Promise<void> => {
    const file = join(directory, 'packages', 'small', path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  };
  const commit = async (message: string): Promise<string> => {
    await git(directory, 'add', '--all');
    await git(directory, 'commit', '--quiet', '--allow-empty', '--message', message);
    return await git(directory, 'rev-parse', 'HEAD');
  };
  await write('package.json', `${JSON.stringify({ name, version: '1.0.0', type: 'module' }, undefined, 2)}\n`);
  await write('index.js', 'export const value = 1;\n');
  await git(directory, 'init', '--quiet', '--initial-branch=main');
  await commit('feat: begin');
  return {
    name,
    directory,
    write,
    commit,
    git: (...args) => git(directory, ...args),
    remove: () => rm(directory, { recursive: true, force: true, maxRetries: 5 }),
  };
}
