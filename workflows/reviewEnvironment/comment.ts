/** The one comment on a pull request that tells of its environment. Pure. */

import { textBlock } from '../report/markdown.ts';
import { codeSpan } from '../report/text.ts';

/** Finds the comment again. */
export const MARK = 'review-environment';

export interface Address {
  readonly application: string;
  readonly url: string;
  /** Where it can be reached from. */
  readonly reach: 'anywhere' | 'cluster' | 'gateway';
}

export interface Deployed {
  readonly stack: string;
  readonly namespace: string;
  readonly databases: readonly string[];
  readonly addresses: readonly Address[];
  readonly commit: string;
  readonly expires: Date;
  readonly runUrl: string | undefined;
}

export function deployedComment(deployed: Deployed): string {
  const { stack, namespace, databases, addresses, commit, expires, runUrl } = deployed;
  const rows = [
    ...addresses.map((address) => ['Address', addressText(address, namespace)] as const),
    ['Commit', codeSpan(commit)] as const,
    ['Namespace', codeSpan(namespace)] as const,
    ...databases.map((database) => ['Database', codeSpan(database)] as const),
    ['Stack', codeSpan(stack)] as const,
    ['Removed', `when the pull request closes, and at ${timeText(expires)} unless a commit comes before`] as const,
  ];
  return page('Review environment', [
    'This pull request has an environment of its own.',
    ['| | |', '| --- | --- |', ...rows.map(([name, value]) => `| ${name} | ${value.replaceAll('|', '\\|')} |`)].join(
      '\n',
    ),
    ...byRun(runUrl),
  ]);
}

/** @param before whether an earlier commit was deployed, which goes on serving */
export function failedComment(failure: {
  readonly commit: string;
  readonly errors: readonly string[];
  readonly before: boolean;
  readonly runUrl: string | undefined;
}): string {
  const { commit, errors, before, runUrl } = failure;
  return page('Review environment', [
    `> [!CAUTION]\n> Commit ${codeSpan(commit)} could not be deployed.${before ? ' What was deployed before is still there.' : ''}`,
    textBlock(errors.map((text) => text.slice(0, 4000)).slice(0, 5)),
    ...byRun(runUrl),
  ]);
}

/** @param why such as `the pull request is closed` */
export function removedComment(why: string, at: Date, runUrl: string | undefined): string {
  return page('Review environment', [
    `Removed at ${timeText(at)}, because ${why}: nothing of it is left in the cluster or on the database server.`,
    ...byRun(runUrl),
  ]);
}

export function leftComment(left: readonly string[], runUrl: string | undefined): string {
  return page('Review environment', [
    '> [!CAUTION]\n> It could not be removed whole. Its stack is kept until it is.',
    ['Left:', ...left.map((text) => `- ${codeSpan(text, 1000)}`)].join('\n'),
    ...byRun(runUrl),
  ]);
}

function addressText({ application, url, reach }: Address, namespace: string): string {
  if (reach === 'cluster') {
    const command = `kubectl --namespace ${namespace} port-forward service/${application} 8080:80`;
    return `${codeSpan(url)} inside the cluster; from outside ${codeSpan(command)}`;
  }
  return `<${url}>${reach === 'gateway' ? ', by the gateway' : ''}`;
}

function timeText(time: Date): string {
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function byRun(runUrl: string | undefined): string[] {
  return runUrl ? [`[The run](${runUrl})`] : [];
}

function page(title: string, parts: readonly string[]): string {
  return `${[`### ${title}`, ...parts].join('\n\n')}\n`;
}
