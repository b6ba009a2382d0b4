/** This repository as a workflow checks it out: what is tracked or about to be, and the installed dependencies. */

import { rmSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '../../../local/context.ts';
import { repositoryFiles } from './repositoryFiles.ts';

let made: Promise<string> | undefined;

/**
 * A copy of the work tree (also what is not yet committed) with a link to `node_modules`: installing them anew in each
 * job would take a minute. Made once a process, removed when the process ends. Nothing of `.local` is in it.
 */
export function toolRepository(): Promise<string> {
  made ??= make();
  return made;
}

async function make(): Promise<string> {
  const root = repositoryRoot();
  const directory = await mkdtemp(join(tmpdir(), 'development-operations-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  for (const path of await repositoryFiles()) {
    // A file that is removed and not yet committed is still listed.
    await cp(join(root, path), join(directory, path)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
  await leaveOutQueues(join(directory, '.github', 'workflows'));
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
  // Older than what is installed: nothing may install through the link.
  await utimes(join(directory, 'package-lock.json'), 0, 0);
  return directory;
}

/** act 0.2.89 refuses `queue`, which GitHub takes in `concurrency` since May 2026. */
async function leaveOutQueues(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), 'utf8');
    await writeFile(join(folder, name), text.replace(/^ *queue: max\n/gm, ''));
  }
}
