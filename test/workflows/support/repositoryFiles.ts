/** The files of this repository's work tree. */

import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { execa } from 'execa';
import { repositoryRoot } from '../../../local/context.ts';

/** What is made or installed here, by the name of its folder. */
const MADE = new Set(['.git', '.local', 'dist', 'node_modules']);

/**
 * Paths from the root: what git tracks, and what is about to be. Where git does not answer (an unpacked archive, another
 * user's clone), everything but what is made here.
 */
export async function repositoryFiles(): Promise<string[]> {
  const root = repositoryRoot();
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const { exitCode, stdout } = await execa('git', args, { cwd: root, reject: false, maxBuffer: 64 << 20 });
  if (exitCode === 0) return [...new Set(stdout.split('\0').filter((path) => path !== ''))];
  return walk(root).map((path) => relative(root, path));
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (MADE.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}
