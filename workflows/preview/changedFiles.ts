/** What a pull request changes, as git knows it. */

import { execa } from 'execa';
import { WorkflowError } from '../failure.ts';

/**
 * The files that differ between the commit that two branches have in common and the one that is checked out.
 *
 * @param root folder of the repository
 * @param base commit or branch
 * @throws WorkflowError when git cannot tell
 */
export async function changedFiles(root: string, base: string): Promise<string[]> {
  const args = ['diff', '--name-only', '--no-renames', '-z', `${base}...HEAD`, '--'];
  const { exitCode, stdout, stderr } = await execa('git', args, { cwd: root, reject: false });
  if (exitCode === 0) return stdout.split('\0').filter((file) => file !== '');
  throw new WorkflowError(
    `what has changed since ${base} cannot be read in ${root}: ${stderr.trim().split('\n')[0] ?? ''}`,
    'check out the whole history (fetch-depth: 0), and name a commit that is in it with --base',
  );
}

/** How many commits of `base` the one that is checked out lacks; 0 where git cannot tell. */
export async function commitsBehind(root: string, base: string): Promise<number> {
  const args = ['rev-list', '--count', `HEAD..${base}`, '--'];
  const { exitCode, stdout } = await execa('git', args, { cwd: root, reject: false });
  return exitCode === 0 ? Number(stdout.trim()) : 0;
}

/**
 * The commit that is checked out.
 *
 * @throws WorkflowError when the folder is none of git's
 */
export async function checkedOut(root: string): Promise<string> {
  const { exitCode, stdout, stderr } = await execa('git', ['rev-parse', 'HEAD'], { cwd: root, reject: false });
  if (exitCode === 0) return stdout.trim();
  throw new WorkflowError(
    `which commit is checked out in ${root} cannot be read: ${stderr.trim().split('\n')[0] ?? ''}`,
    "name the folder of the application's checkout with --application",
  );
}
