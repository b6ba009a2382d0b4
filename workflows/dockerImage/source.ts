/** Which commit of which repository the images are built from: as GitHub says, else as git does. */

import { execa } from 'execa';
import { WorkflowError } from '../failure.ts';

export interface Source {
  /** Page of the repository, such as `https://github.com/example/orders`; empty when it is not known. */
  readonly repository: string;
  /** Such as `refs/heads/main`; empty when it is not known. */
  readonly ref: string;
  /** Full name of the commit. */
  readonly commit: string;
}

/** @throws WorkflowError when nobody knows the commit */
export async function readSource(root: string, environment: NodeJS.ProcessEnv = process.env): Promise<Source> {
  const { GITHUB_REPOSITORY, GITHUB_SHA, GITHUB_REF } = environment;
  const server = environment.GITHUB_SERVER_URL || 'https://github.com';
  const repository = GITHUB_REPOSITORY
    ? `${server}/${GITHUB_REPOSITORY}`
    : webAddress(await git(root, 'remote', 'get-url', 'origin'));
  const commit = GITHUB_SHA || (await git(root, 'rev-parse', 'HEAD'));
  if (commit === '') {
    throw new WorkflowError(
      `the commit that is built is not known: GITHUB_SHA is not set, and ${root} is no git repository`,
      'run it in a clone of the repository, or set GITHUB_SHA and name the version (the option version)',
    );
  }
  return { repository, commit, ref: GITHUB_REF || (await git(root, 'symbolic-ref', '--quiet', 'HEAD')) };
}

/** `git@host:owner/name.git` and `https://user:token@host/owner/name.git` as the address of a page. Pure. */
export function webAddress(remote: string): string {
  const short = /^(?:ssh:\/\/)?[^@/]+@([^:/]+)[:/](.+)$/.exec(remote);
  const address = short ? `https://${short[1]}/${short[2]}` : remote;
  if (!/^https?:\/\//.test(address)) return '';
  const url = new URL(address.replace(/\.git\/?$/, ''));
  return `${url.origin}${url.pathname}`;
}

async function git(root: string, ...args: string[]): Promise<string> {
  const { exitCode, stdout } = await execa('git', args, { cwd: root, reject: false, stdin: 'ignore' });
  return exitCode === 0 ? stdout.trim() : '';
}
