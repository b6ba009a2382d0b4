/** What git knows of a package: its last version and the commits since. */

import { execa } from 'execa';
import semver from 'semver';
import { WorkflowError } from '../failure.ts';
import type { Commit } from './version.ts';

export interface History {
  /** The commit that is checked out. */
  readonly commit: string;
  /** The highest released version among the tags before it; undefined when there is none. */
  readonly last: string | undefined;
  /** Commits since that version, or all, that touch the package's folder; the newest first. */
  readonly commits: readonly Commit[];
}

/** The tag of a version; other packages of the same repository have theirs. */
export const tagOf = (name: string, version: string): string => `${name}@${version}`;

/**
 * @param repository folder of the work tree
 * @param folder of the package, relative to it
 * @param name of the package
 * @throws WorkflowError when it is no repository, or only a part of its history is there
 */
export async function readHistory(repository: string, folder: string, name: string): Promise<History> {
  const git = async (...args: readonly string[]): Promise<string> => {
    const { stdout, stderr, exitCode } = await execa('git', args, { cwd: repository, reject: false });
    if (exitCode === 0) return stdout;
    throw new WorkflowError(
      `git ${args[0]} in ${repository} failed: ${stderr || stdout}`,
      'name the folder of a git repository with at least one commit with --application',
    );
  };
  if ((await git('rev-parse', '--is-shallow-repository')) === 'true') {
    throw new WorkflowError(
      `${repository} has only a part of its history, and the version is counted from the tags and the commits since`,
      'check it out with "fetch-depth: 0", or run "git fetch --unshallow --tags"',
    );
  }
  const tags = (await git('tag', '--list', '--merged', 'HEAD', tagOf(name, '*'))).split('\n');
  const versions = tags.map((tag) => tag.slice(name.length + 1)).filter((text) => semver.valid(text) !== null);
  const last = semver.rsort(versions.filter((version) => semver.prerelease(version) === null))[0];
  const range = last === undefined ? 'HEAD' : `refs/tags/${tagOf(name, last)}..HEAD`;
  const log = await git('log', '--no-merges', '--format=%H%x00%B%x01', range, '--', folder);
  const commits = log.split('\x01').flatMap((entry) => {
    const [hash = '', message = ''] = entry.trimStart().split('\0');
    return hash === '' ? [] : [{ hash, message: message.trim() }];
  });
  return { commit: await git('rev-parse', 'HEAD'), last, commits };
}
