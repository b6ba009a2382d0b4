/** Removes the environments whose end was missed: of pull requests that are closed, and what nobody has touched for long. */

import { readTarget } from '../engine/target.ts';
import { EXIT, WorkflowError } from '../failure.ts';
import { output, summary, warn } from '../github/report.ts';
import { codeSpan } from '../report/text.ts';
import { stackName } from './names.ts';
import { listStacks, readRecord } from './ownership.ts';
import { removeEnvironment } from './remove.ts';
import { type ReviewContext, templatePath } from './review.ts';

interface Swept {
  readonly stack: string;
  readonly what: 'removed' | 'left' | 'failed';
  readonly why: string;
}

/** @returns the exit code: 1 when one could not be removed; the others are tried nevertheless */
export async function sweepEnvironments(context: ReviewContext): Promise<number> {
  const { owner, repository } = context.run;
  const target = await readTarget(context.application, stackName(1, repository), { configFile: templatePath(context) });
  const all: Swept[] = [];
  for (const { stack, number } of await listStacks(target, repository)) {
    const found = await sweepOne(
      context,
      number,
      stack,
      await readRecord({ ...target, stack }),
      `${owner}/${repository}`,
    );
    console.log(`${stack}: ${found.what}, ${found.why}`);
    if (found.what === 'failed') warn(`${stack}: ${found.why}`);
    all.push(found);
  }
  const count = (what: Swept['what']) => all.filter((one) => one.what === what).length;
  output('removed', String(count('removed')));
  await summary(table(all));
  return count('failed') > 0 ? EXIT.refused : 0;
}

async function sweepOne(
  context: ReviewContext,
  number: number,
  stack: string,
  record: Awaited<ReturnType<typeof readRecord>>,
  repository: string,
): Promise<Swept> {
  if (!record) return { stack, what: 'left', why: 'it has no record, so it is not known whose it is' };
  if (record.repository !== repository) return { stack, what: 'left', why: `it is of ${record.repository}` };
  try {
    const { state } = await context.github.pullRequest(number);
    const expired = record.expires.getTime() <= Date.now();
    if (state === 'open' && !expired) return { stack, what: 'left', why: 'its pull request is open' };
    const why =
      state === 'closed' ? 'the pull request is closed' : 'no commit came for long; the next one brings it back';
    await removeEnvironment(context, number, why);
    return { stack, what: 'removed', why };
  } catch (error) {
    if (!(error instanceof WorkflowError)) throw error;
    return { stack, what: 'failed', why: `${error.message}. ${error.cure}` };
  }
}

function table(all: readonly Swept[]): string {
  if (all.length === 0) return 'There is no review environment.\n';
  const rows = all.map(
    ({ stack, what, why }) => `| ${codeSpan(stack)} | ${what} | ${codeSpan(why, 300).replaceAll('|', '\\|')} |`,
  );
  return `${['| Review environment | | Why |', '| --- | --- | --- |', ...rows].join('\n')}\n`;
}
