/** What a deployment would change: shown to who reviews it, and kept for who applies it. */

import { wholePreview } from '../engine/preview.ts';
import type { EngineRun } from '../engine/run.ts';
import { withStack } from '../engine/stack.ts';
import { readTarget } from '../engine/target.ts';
import { deployedVersion, withVersion } from '../engine/version.ts';
import { output, summary } from '../github/report.ts';
import { flow } from '../options.ts';
import { digestOf } from '../report/digest.ts';
import { LONGEST_SUMMARY, planMarkdown } from '../report/markdown.ts';
import { codeSpan } from '../report/text.ts';
import { deploymentOptions, versionOf } from './options.ts';
import { writePlan } from './planFile.ts';

export const deployPlan = flow({
  name: 'deploy-plan',
  description: 'shows what a version would change in an environment, and keeps the plan for deploy-apply',
  options: {
    ...deploymentOptions,
    plan: { description: 'file that the plan is written to' },
  },
  async run({ application, environment, version: asked, plan: file }) {
    const version = versionOf(asked);
    const target = withVersion(await readTarget(application, environment), version);
    await withStack(target, 'pretend', async (stack) => {
      const run = await wholePreview(stack.target, { refresh: stack.state !== undefined });
      const digest = digestOf(run.steps);
      await writePlan(file, { environment, version, digest, steps: run.steps });
      const before = deployedVersion(stack.state);
      const changes = isChange(run, before, version);
      output('digest', digest);
      output('changes', String(changes));
      const title = `Deployment of ${codeSpan(version)} to ${codeSpan(environment)}`;
      const notes = [
        `${before ? `Deployed now: ${codeSpan(before)}. ` : ''}Digest of the plan: ${codeSpan(digest)}`,
        changes ? 'Exactly these changes are applied, or none.' : 'There is nothing to do: nothing is applied.',
      ];
      await summary(
        planMarkdown({ ...run, title, notes, basis: stack.state ? 'live' : 'state' }, { limit: LONGEST_SUMMARY }),
      );
      console.log(changes ? `plan ${digest}` : `version ${version} is deployed: nothing to do`);
    });
    return undefined;
  },
});

/** Whether there is anything to apply: a version with the same images is another one all the same. */
export function isChange(run: Pick<EngineRun, 'steps'>, before: string | undefined, version: string): boolean {
  return run.steps.length > 0 || before !== version;
}
