/** A preview that somebody relies on. */

import { EXIT, WorkflowError } from '../failure.ts';
import { failureOf } from './failures.ts';
import { type EngineOptions, type EngineRun, runEngine } from './run.ts';
import type { Target } from './target.ts';

/**
 * @throws WorkflowError when the plan is not whole: also where the engine only warns, as of a cluster that does not
 * answer, of which it then shows the program's wishes alone
 */
export async function wholePreview(target: Target, options: EngineOptions): Promise<EngineRun> {
  const run = await runEngine(target, 'preview', options);
  const impossible = failureOf(run, target);
  if (impossible) throw impossible;
  if (run.exitCode === 0) return run;
  throw new WorkflowError(
    `there is no whole plan for the environment "${target.stack}":\n${run.errors.join('\n')}`,
    'mend what the errors name; nothing was changed',
    EXIT.refused,
  );
}
