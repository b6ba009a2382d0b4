/** What the page of a run says. Pure. */

import type { History } from './history.ts';
import type { Release } from './release.ts';
import type { Bump } from './version.ts';

const WORDS: Readonly<Record<Bump, string>> = { major: 'breaking', minor: 'new', patch: 'mended' };

/** Text of somebody else's in Markdown: no markup, one line. */
export function plain(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/[\\`*_{}[\]<>()#+!|~@]/g, '\\$&');
}

export function nothingToPublish(name: string, { last, commits }: History): string {
  const since = last === undefined ? 'so far' : `since ${last}`;
  const why =
    commits.length === 0
      ? `No commit ${since} touches its folder.`
      : `None of the ${commits.length} commits ${since} that touch its folder is of the type feat, fix, perf or revert, or breaks anything.`;
  return `### \`${name}\`: nothing to publish\n\n${why}\n`;
}

/** @param left what is left for a person to do */
export function published(release: Release, registry: string, fresh: boolean, left: string | undefined): string {
  const { name, version, distTag, commit, changes } = release;
  const wanted = distTag === 'latest' ? `${name}@${version}` : `${name}@${distTag}`;
  const lines = [
    `### \`${name}@${version}\`: ${fresh ? 'published' : 'published before, with the same contents'}`,
    '',
    '| | |',
    '| --- | --- |',
    `| registry | ${registry} |`,
    `| tag | \`${distTag}\` |`,
    `| commit | \`${commit}\` |`,
    '',
    '```sh',
    `npm install ${wanted}`,
    '```',
    ...(changes.length > 0 ? ['', '| change | commit | |', '| --- | --- | --- |'] : []),
    ...changes
      .slice(0, 50)
      .map(({ hash, bump, subject }) => `| ${WORDS[bump]} | \`${hash.slice(0, 7)}\` | ${plain(subject)} |`),
    ...(changes.length > 50 ? ['', `… and ${changes.length - 50} more.`] : []),
    ...(left === undefined ? [] : ['', '> [!WARNING]', `> ${left}`]),
  ];
  return `${lines.join('\n')}\n`;
}
