/**
 * The files of one commit, read from git's objects: what is checked out does not matter, links are not followed because they
 * are never made, and nothing outside of the repository can be named.
 */

import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { WorkflowError } from '../failure.ts';

export interface Tree {
  /** The whole SHA. */
  readonly commit: string;
  /** Paths of the files that were written. */
  readonly files: readonly string[];
  /** Links and submodules, which are not read. */
  readonly links: readonly string[];
  /** Of the paths and contents of everything but configurations and documents: what images are built from. */
  readonly content: string;
}

interface Entry {
  readonly mode: string;
  readonly object: string;
  readonly size: number;
  readonly path: string;
}

/** No configuration is larger; what is, is not read by the program. */
const LARGEST_FILE = 1 << 20;
const LARGEST_TREE = 128 << 20;
const NO_CONTENT = /^Pulumi(\.[^/]*)?\.yaml$|\.md$|^\.github\//i;

/**
 * Writes the regular files of a commit into a folder.
 *
 * @throws WorkflowError when there is no such commit, or it is too large
 */
export async function writeTree(repository: string, revision: string, folder: string): Promise<Tree> {
  const commit = await commitOf(repository, revision);
  const entries = parse(await git(repository, ['ls-tree', '-r', '-z', '--long', '--full-tree', commit]));
  const regular = entries.filter(({ mode }) => mode === '100644' || mode === '100755');
  const links = entries.filter((entry) => !regular.includes(entry)).map(({ path }) => path);
  const wanted = regular.filter(({ size, path }) => size <= LARGEST_FILE && isSafe(path));
  if (wanted.reduce((sum, { size }) => sum + size, 0) > LARGEST_TREE) {
    throw new WorkflowError(
      `commit ${commit} holds more than ${LARGEST_TREE >> 20} MiB of files`,
      'take generated and binary files out of the repository',
    );
  }
  const contents = await readObjects(repository, wanted);
  for (const [index, { path }] of wanted.entries()) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, contents[index] ?? '');
  }
  const hash = createHash('sha256');
  for (const { mode, object, path } of entries) if (!NO_CONTENT.test(path)) hash.update(`${mode} ${object} ${path}\0`);
  return { commit, files: wanted.map(({ path }) => path), links, content: hash.digest('hex') };
}

/**
 * The commit that two branches have in common: what has come to the base since is no change of the head.
 *
 * @throws WorkflowError when there is none
 */
export async function commonCommit(repository: string, base: string, head: string): Promise<string> {
  const commits = [await commitOf(repository, base), await commitOf(repository, head)];
  const { exitCode, stdout } = await execa('git', ['merge-base', ...commits], { cwd: repository, reject: false });
  if (exitCode === 0) return stdout.trim();
  throw new WorkflowError(
    `"${base}" and "${head}" have no commit in common in ${repository}`,
    'check out the whole history (fetch-depth: 0)',
  );
}

async function commitOf(repository: string, revision: string): Promise<string> {
  const args = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`];
  const { exitCode, stdout } = await execa('git', args, { cwd: repository, reject: false });
  if (exitCode === 0) return stdout.trim();
  throw new WorkflowError(
    `there is no commit "${revision}" in ${repository}`,
    'check out the whole history (fetch-depth: 0), and name commits that are in it with --base and --head',
  );
}

async function git(repository: string, args: readonly string[]): Promise<string> {
  const { stdout } = await execa('git', [...args], { cwd: repository, maxBuffer: 256 << 20, stripFinalNewline: false });
  return stdout;
}

/** `100644 blob 0123… 42<tab>path`, ended by NUL. */
function parse(listing: string): Entry[] {
  return listing
    .split('\0')
    .filter((line) => line !== '')
    .map((line) => {
      const [facts = '', ...path] = line.split('\t');
      const [mode = '', , object = '', size = ''] = facts.split(/ +/);
      return { mode, object, size: Number(size) || 0, path: path.join('\t') };
    });
}

/** Git refuses such paths when it checks them out; here nothing is checked out. */
function isSafe(path: string): boolean {
  const parts = path.split('/');
  return !path.startsWith('/') && parts.every((part) => !['', '.', '..'].includes(part) && !/^\.git$/i.test(part));
}

/** The contents in the order asked for, by one process. */
async function readObjects(repository: string, entries: readonly Entry[]): Promise<Buffer[]> {
  if (entries.length === 0) return [];
  const input = entries.map(({ object }) => `${object}\n`).join('');
  const { stdout } = await execa('git', ['cat-file', '--batch'], {
    cwd: repository,
    input,
    encoding: 'buffer',
    maxBuffer: LARGEST_TREE * 2,
    stripFinalNewline: false,
  });
  const all = Buffer.from(stdout);
  let offset = 0;
  return entries.map(({ size }) => {
    const start = all.indexOf(0x0a, offset) + 1;
    offset = start + size + 1;
    return all.subarray(start, start + size);
  });
}
