/** Which stacks are review environments, and of what: kept as tags of the stacks. */

import { pulumi } from '../engine/run.ts';
import type { Target } from '../engine/target.ts';
import { WorkflowError } from '../failure.ts';
import { pullRequestOfStack } from './names.ts';

/** What is known of a stack without looking into its state. */
export interface ReviewRecord {
  /** owner/name of the repository whose pull request it is for. */
  readonly repository: string;
  readonly commit: string;
  readonly expires: Date;
}

const TAGS = { repository: 'review:repository', commit: 'review:commit', expires: 'review:expires' } as const;

/** The stack's record; undefined when it has none, so that it is not a review environment. */
export async function readRecord(target: Target): Promise<ReviewRecord | undefined> {
  const tags = JSON.parse(await must(target, ['stack', 'tag', 'ls', '--json'])) as Record<string, string>;
  const repository = tags[TAGS.repository];
  if (!repository) return undefined;
  return { repository, commit: tags[TAGS.commit] ?? '', expires: new Date(tags[TAGS.expires] ?? 0) };
}

export async function writeRecord(target: Target, { repository, commit, expires }: ReviewRecord): Promise<void> {
  const values = { repository, commit, expires: expires.toISOString() };
  for (const key of ['repository', 'commit', 'expires'] as const) {
    await must(target, ['stack', 'tag', 'set', TAGS[key], values[key]]);
  }
}

/** The stacks that are called as those of this repository's pull requests, by the number. */
export async function listStacks(target: Target, repository: string): Promise<{ stack: string; number: number }[]> {
  const all = JSON.parse(await must(target, ['stack', 'ls', '--json'])) as { name: string }[];
  return all
    .flatMap(({ name }) => {
      const number = pullRequestOfStack(name, repository);
      return number === undefined ? [] : [{ stack: name, number }];
    })
    .sort((a, b) => a.number - b.number);
}

/** Forgets a stack that has no resource any more. */
export async function forgetStack(target: Target): Promise<void> {
  await must(target, ['stack', 'rm', '--yes', '--preserve-config']);
}

async function must(target: Target, args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await pulumi(target, args, { config: false });
  if (exitCode === 0) return String(stdout);
  throw new WorkflowError(
    `pulumi ${args.slice(0, 3).join(' ')} of the stack "${target.stack}" failed: ${String(stderr).trim()}`,
    'see whether PULUMI_BACKEND_URL (the secret backend) names the place of the state, and whether it may be written',
  );
}
