/** Makes the environment of a pull request, or brings it to the newest commit. */

import { readState } from '../engine/deployed.ts';
import { type EngineRun, runEngine } from '../engine/run.ts';
import { withStack } from '../engine/stack.ts';
import type { Target } from '../engine/target.ts';
import { EXIT, WorkflowError } from '../failure.ts';
import type { PullRequest } from '../github/context.ts';
import { output, summary } from '../github/report.ts';
import { addressesOf } from './addresses.ts';
import { deployedComment, failedComment, MARK } from './comment.ts';
import { readRecord, writeRecord } from './ownership.ts';
import { type Review, type ReviewContext, withReview } from './review.ts';
import { namesOf } from './template.ts';

/** @returns the exit code */
export async function updateEnvironment(context: ReviewContext, pullRequest: PullRequest): Promise<number> {
  const { number, headSha: commit } = pullRequest;
  const refusal = await whyNot(context, pullRequest);
  if (refusal) {
    await summary(`No review environment for pull request ${number}: ${refusal}.\n`);
    return 0;
  }
  const { runUrl } = context.run;
  let before = false;
  try {
    return await withReview(context, number, commit, (review) =>
      withStack(review.target, 'create', async ({ target, state }) => {
        before = (state?.resources.length ?? 0) > 0;
        await claim(review, target, commit, before);
        succeeded(await runEngine(target, 'up'), number, commit);
        const text = await deployedText(review, target, commit);
        await summary(text);
        await context.github.comment(number, MARK, text);
        return 0;
      }),
    );
  } catch (error) {
    if (!(error instanceof WorkflowError)) throw error;
    const text = failedComment({ commit, errors: [error.message, `What to do: ${error.cure}`], before, runUrl });
    // The comment is second to the failure itself, which may be GitHub's own.
    await context.github.comment(number, MARK, text).catch(() => undefined);
    throw error;
  }
}

/** Why a pull request has no environment; undefined when it may have one. */
async function whyNot({ github }: ReviewContext, pullRequest: PullRequest): Promise<string | undefined> {
  // The code of a fork is not trusted with the environment's credentials.
  if (pullRequest.fork) return 'it comes from a fork, whose code gets no credentials';
  const now = await github.pullRequest(pullRequest.number);
  // A run that waited, or was started again, must not bring back what is over.
  if (now.state === 'closed') return 'it is closed';
  if (now.headSha !== pullRequest.headSha) return `it has a newer commit, ${now.headSha}, with a run of its own`;
  return undefined;
}

/** Writes down whose stack it is, before there is anything in it. */
async function claim(review: Review, target: Target, commit: string, before: boolean): Promise<void> {
  const known = await readRecord(target);
  if (known ? known.repository !== review.repository : before) {
    throw new WorkflowError(
      `the stack "${target.stack}" belongs to ${known ? `the repository ${known.repository}` : 'something else'}, not to ${review.repository}`,
      'give the repositories states of their own (PULUMI_BACKEND_URL, the secret backend), or other names',
      EXIT.refused,
    );
  }
  const expires = new Date(Date.now() + review.context.timeToLive);
  await writeRecord(target, { repository: review.repository, commit, expires });
}

async function deployedText(review: Review, target: Target, commit: string): Promise<string> {
  const [state, record] = await Promise.all([readState(target), readRecord(target)]);
  const names = review.configuration && namesOf(review.configuration);
  const addresses = state ? addressesOf(state, names ?? { routes: [] }) : [];
  const [first] = addresses;
  output('environment', target.stack);
  output('url', first?.url ?? '');
  return deployedComment({
    stack: target.stack,
    namespace: names?.namespace ?? '',
    databases: names?.databases ?? [],
    addresses,
    commit,
    expires: record?.expires ?? new Date(),
    runUrl: review.context.run.runUrl,
  });
}

function succeeded({ exitCode, errors }: EngineRun, number: number, commit: string): void {
  if (exitCode === 0) return;
  throw new WorkflowError(
    `the review environment of pull request ${number} could not be brought to ${commit}:\n${errors.join('\n')}`,
    'mend what the errors name, and push; what was deployed before goes on serving',
    EXIT.refused,
  );
}
