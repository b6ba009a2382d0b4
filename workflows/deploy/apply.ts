/** Applies the plan that was reviewed, and nothing else. */

import type { Step } from '../../engineEvents/model.ts';
import { readState, type State } from '../engine/deployed.ts';
import { wholePreview } from '../engine/preview.ts';
import { runEngine } from '../engine/run.ts';
import { type Stack, withStack } from '../engine/stack.ts';
import { readTarget, type Target } from '../engine/target.ts';
import { deployedVersion, withVersion } from '../engine/version.ts';
import { EXIT, WorkflowError } from '../failure.ts';
import { output, summary, warn } from '../github/report.ts';
import { flow } from '../options.ts';
import { digestOf } from '../report/digest.ts';
import { countLine, textBlock } from '../report/markdown.ts';
import { codeSpan } from '../report/text.ts';
import { beyond, differences } from './difference.ts';
import { deploymentOptions, versionOf } from './options.ts';
import { placesMarkdown, placesOf } from './places.ts';
import { isChange } from './plan.ts';
import { readPlan } from './planFile.ts';

export const deployApply = flow({
  name: 'deploy-apply',
  description: 'applies a plan of deploy-plan, when it is still what would be done',
  options: {
    ...deploymentOptions,
    plan: { description: 'file that deploy-plan has written' },
    digest: { description: 'digest of the plan that was reviewed' },
  },
  async run({ application, environment, version: asked, plan: file, digest }) {
    const version = versionOf(asked);
    const target = withVersion(await readTarget(application, environment), version);
    const plan = await readPlan(file, { environment, version, digest });
    const held = await withStack(target, 'pretend', (stack) => compare(stack, plan, version));
    // An environment that is new gets its stack only when the plan holds.
    const steps =
      held === 'planned' ? await withStack(target, 'create', (stack) => apply(stack, plan.steps, version)) : undefined;
    await report(target, version, steps);
    return undefined;
  },
});

/** @throws WorkflowError with what differs, when the plan is not what would be done now */
async function compare(
  stack: Stack,
  plan: { readonly digest: string; readonly steps: readonly Step[] },
  version: string,
): Promise<'deployed' | 'planned'> {
  const { steps } = await wholePreview(stack.target, { refresh: stack.state !== undefined });
  if (!isChange({ steps }, deployedVersion(stack.state), version)) return 'deployed';
  if (digestOf(steps) === plan.digest) return 'planned';
  throw new WorkflowError(
    `the environment "${stack.target.stack}" has moved since the plan was made; nothing was applied:\n${list(differences(plan.steps, steps))}`,
    'run the deployment again, and review its new plan',
    EXIT.refused,
  );
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join('\n');
}

/** @throws WorkflowError when the version could not be rolled out */
async function apply({ target, state }: Stack, planned: readonly Step[], version: string): Promise<readonly Step[]> {
  const args = ['--message', `deploy ${version}`];
  const run = await runEngine(target, 'up', { refresh: state !== undefined, args });
  const more = beyond(planned, run.steps);
  if (more.length > 0) warn(`the engine did more than the plan has shown:\n${list(more)}`);
  if (run.exitCode === 0) return run.steps;
  const before = deployedVersion(state);
  const serving = before ? `version ${before} goes on serving` : 'what ran before goes on serving';
  await summary(`### Deployment of ${codeSpan(version)} failed\n\n${textBlock(run.errors)}\n`);
  throw new WorkflowError(
    `version ${version} was not rolled out to the environment "${target.stack}"; ${serving}:\n${run.errors.join('\n')}`,
    before
      ? `mend what the errors name and deploy again, or deploy version ${before} to take back what was changed so far`
      : 'mend what the errors name and deploy again',
    EXIT.refused,
  );
}

/** Says where the environment is. */
async function report(target: Target, version: string, steps: readonly Step[] | undefined): Promise<void> {
  const state: State | undefined = await readState(target);
  const outputs = state?.outputs ?? {};
  const places = placesOf(outputs);
  const what = steps
    ? `### ${codeSpan(version)} is deployed to ${codeSpan(target.stack)}\n\n${countLine({ steps, counts: {} })}`
    : `### ${codeSpan(version)} was deployed to ${codeSpan(target.stack)} already\n\nThere was nothing to do.`;
  await summary(`${what}\n\n${placesMarkdown(outputs)}`);
  output('applied', String(steps !== undefined));
  output('url', places[0]?.url ?? '');
  for (const { name, url } of places) console.log(`${name}: ${url}`);
  if (!steps) console.log(`version ${version} is deployed: nothing to do`);
}
