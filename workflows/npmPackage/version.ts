/** Which version comes next, from what the commits say (https://www.conventionalcommits.org). Pure. */

import { CommitParser } from 'conventional-commits-parser';
import semver from 'semver';

/** What users of a package notice: `major` breaks them, `minor` adds something, `patch` mends something. */
export type Bump = 'major' | 'minor' | 'patch';

export interface Commit {
  readonly hash: string;
  /** The whole message. */
  readonly message: string;
}

/** A commit that users notice. */
export interface Change {
  readonly hash: string;
  readonly bump: Bump;
  /** The first line, without the type. */
  readonly subject: string;
}

const TYPES: Readonly<Record<string, Bump>> = { feat: 'minor', fix: 'patch', perf: 'patch', revert: 'patch' };
const WEIGHT: Readonly<Record<Bump, number>> = { major: 3, minor: 2, patch: 1 };

const parser = new CommitParser({
  headerPattern: /^(\w+)(?:\(([^)]*)\))?(!)?: (.*)$/,
  breakingHeaderPattern: /^(\w+)(?:\(([^)]*)\))?!: (.*)$/,
  headerCorrespondence: ['type', 'scope', 'breaking', 'subject'],
});

/** The commits that users notice, in the order given: of the type feat, fix, perf or revert, or with a breaking change. */
export function changesOf(commits: readonly Commit[]): Change[] {
  return commits.flatMap(({ hash, message }) => {
    if (message.trim() === '') return [];
    const { type, subject, breaking, notes, header, revert } = parser.parse(message);
    const broken = Boolean(breaking) || notes.some(({ title }) => /^BREAKING[ -]CHANGE$/.test(title));
    const bump = broken ? 'major' : revert ? 'patch' : TYPES[(type ?? '').toLowerCase()];
    return bump === undefined ? [] : [{ hash, bump, subject: subject ?? header ?? '' }];
  });
}

/**
 * The version after `last`; undefined when users notice nothing. Below 1.0.0 a breaking change raises the second number
 * and everything else the third: `^0.2.0` takes 0.2.1 and not 0.3.0.
 *
 * @param last the last version, `1.2.3`
 * @param wanted the version in package.json: taken when somebody has raised it above what the commits say
 */
export function nextVersion(last: string, wanted: string, changes: readonly Change[]): string | undefined {
  const bump = changes.map((change) => change.bump).sort((a, b) => WEIGHT[b] - WEIGHT[a])[0];
  if (bump === undefined) return undefined;
  const early = semver.major(last) === 0;
  const counted = semver.inc(last, early ? (bump === 'major' ? 'minor' : 'patch') : bump) ?? last;
  return semver.gt(wanted, counted) ? wanted : counted;
}

/**
 * A version for trying out a pull request, before the one that it will become: `1.3.0-pr.12.1a2b3c4`.
 *
 * @param release the version that a merge would publish
 * @param commit of the pull request's branch
 */
export function previewVersion(release: string, pullRequest: number, commit: string): string {
  const short = commit.slice(0, 7);
  // A part of digits alone is a number, which may not begin with 0.
  return `${release}-pr.${pullRequest}.${/^\d+$/.test(short) ? `g${short}` : short}`;
}
