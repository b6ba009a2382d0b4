/** Removes the environment of a pull request, and sees for itself that it is gone. */

import { readState, type State } from '../engine/deployed.ts';
import { type EngineRun, runEngine } from '../engine/run.ts';
import { withStack } from '../engine/stack.ts';
import { readTarget, type Target } from '../engine/target.ts';
import { EXIT, WorkflowError } from '../failure.ts';
import { summary } from '../github/report.ts';
import { type Expected, expectedNames, whatIsLeft } from './absence.ts';
import { leftComment, MARK, removedComment } from './comment.ts';
import { stackName } from './names.ts';
import { forgetStack, readRecord } from './ownership.ts';
import { type Review, type ReviewContext, templatePath, withReview } from './review.ts';

/**
 * @param why such as `the pull request is closed`
 * @returns the exit code
 * @throws WorkflowError with exit code 1 when something is left: the stack is kept, so that it can be tried again
 */
export async function removeEnvironment(context: ReviewContext, pullRequest: number, why: string): Promise<number> {
  const { owner, repository } = context.run;
  const stack = stackName(pullRequest, repository);
  const bare = await readTarget(context.application, stack, { configFile: templatePath(context) });
  if (!(await readState(bare))) {
    await summary(`Pull request ${pullRequest} has no review environment.\n`);
    return 0;
  }
  const record = await readRecord(bare);
  if (record?.repository !== `${owner}/${repository}`) {
    throw new WorkflowError(
      `the stack "${stack}" is not a review environment of ${owner}/${repository}: it is left alone`,
      'remove it by hand (pulumi destroy, pulumi stack rm) when it is not needed',
      EXIT.refused,
    );
  }
  return await withReview(context, pullRequest, record.commit, (review) =>
    withStack(review.target, 'refuse', ({ target, state }) => removeStack(review, target, state, why)),
  );
}

async function removeStack(review: Review, target: Target, state: State | undefined, why: string): Promise<number> {
  const { context, pullRequest, configuration } = review;
  const { runUrl } = context.run;
  if (!configuration) {
    throw new WorkflowError(
      `the template is not valid, so that nobody knows what must be gone with the stack "${target.stack}"`,
      'mend the template: "pulumi preview" with it says what is wrong; or hand over what it refers to (the secret variables)',
    );
  }
  const expected = expectedNames(configuration, state);
  const run = await destroy(target);
  const left = await whatIsLeft(target, configuration, expected);
  if (run.exitCode !== 0 || left.length > 0) {
    await context.github.comment(pullRequest, MARK, leftComment([...left, ...run.errors], runUrl));
    throw new WorkflowError(
      failureText(target, expected, left, run),
      'remove what is left, and run it again',
      EXIT.refused,
    );
  }
  await forgetStack(target);
  const text = removedComment(why, new Date(), runUrl);
  await summary(text);
  await context.github.comment(pullRequest, MARK, text);
  return 0;
}

/** With the program, so that cluster and server are reached as today; without it, where it cannot be run any more. */
async function destroy(target: Target): Promise<EngineRun> {
  let made = 0;
  try {
    const run = await runEngine(target, 'destroy', {
      args: ['--run-program'],
      onStep: () => {
        made += 1;
      },
    });
    if (run.exitCode === 0 || made > 0) return run;
  } catch (error) {
    if (!(error instanceof WorkflowError)) throw error;
  }
  console.log('The program could not be run (its images may be gone): once more, with what the state knows.');
  return await runEngine(target, 'destroy');
}

function failureText(
  { stack }: Target,
  { namespaces, databases }: Expected,
  left: readonly string[],
  { errors }: EngineRun,
): string {
  const what = left.length > 0 ? left.join(', ') : [...namespaces, ...databases].join(', ');
  const said = errors.length > 0 ? `\n${errors.join('\n')}` : '';
  return `the environment "${stack}" could not be removed whole, and its stack is kept; left: ${what}${said}`;
}
