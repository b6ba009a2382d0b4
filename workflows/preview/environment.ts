/** The preview of one environment: read-only, whether it is there or not. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failureOf } from '../engine/failures.ts';
import { runEngine } from '../engine/run.ts';
import { type Stack, withStack } from '../engine/stack.ts';
import { readTarget, type Target } from '../engine/target.ts';
import { deployedVersion, withVersion } from '../engine/version.ts';
import { EXIT, WorkflowError } from '../failure.ts';
import type { GraphResource } from '../graph/model.ts';
import { digestOf } from '../report/digest.ts';
import type { Plan } from '../report/markdown.ts';
import { codeSpan } from '../report/text.ts';
import { diagram, plannedResources } from './graph.ts';

export interface Preview {
  readonly environment: string;
  readonly plan: Plan;
  /** Undefined when there is no whole plan. */
  readonly digest: string | undefined;
  /** For the picture; empty when there is no whole plan. */
  readonly resources: readonly GraphResource[];
  /** 0; 1 when the change would fail; 2 when it could not be tried. */
  readonly exitCode: number;
}

export interface PreviewOptions {
  /** Folder of the application's repository. */
  readonly application: string;
  readonly environment: string;
  /** Version for an environment that has none yet. Its images need not be there. */
  readonly version: string;
}

/** With it, images that are not in the registry have a digest that is known only later (`stacks/images.ts`). */
const MISSING_IMAGES = 'DEVELOPMENT_OPERATIONS_MISSING_IMAGES';

/** Never throws for what is wrong with one environment: it is told in its plan, and the others go on. */
export async function previewEnvironment(options: PreviewOptions): Promise<Preview> {
  try {
    const target = await readTarget(options.application, options.environment);
    return await withStack(target, 'pretend', async (stack) => await preview(stack, options));
  } catch (error) {
    if (!(error instanceof WorkflowError)) throw error;
    const { environment } = options;
    const errors = [...error.message.split('\n'), `What to do: ${error.cure}`].filter((line) => line.trim() !== '');
    const plan = { title: titleOf(environment), steps: [], counts: {}, warnings: [], errors };
    return { environment, plan, digest: undefined, resources: [], exitCode: error.exitCode };
  }
}

async function preview(stack: Stack, { environment, version }: PreviewOptions): Promise<Preview> {
  const directory = await mkdtemp(join(tmpdir(), 'preview-'));
  try {
    const { state } = stack;
    const previous = deployedVersion(state);
    const target = withMissingImages(withVersion(stack.target, previous ?? version));
    const planFile = join(directory, 'plan.json');
    const run = await runEngine(target, 'preview', {
      refresh: state !== undefined,
      args: [`--save-plan=${planFile}`],
    });
    // Without its cluster a preview goes on, with a warning, and takes everything for new.
    const impossible = failureOf(run, target);
    if (impossible) throw impossible;
    const failed = run.exitCode !== 0;
    const resources = failed ? [] : await plannedResources(planFile, state, run.steps);
    const drawn = diagram(resources, run.steps);
    const digest = failed ? undefined : digestOf(run.steps);
    const notes = [
      ...(state === undefined
        ? ['The environment is not there yet: everything is to be created. Nothing was made.']
        : []),
      ...(previous ? [`With the version that is deployed: ${codeSpan(previous)}.`] : []),
      ...(digest ? [`Digest of the plan: ${codeSpan(digest)}`] : []),
    ];
    const plan: Plan = {
      ...run,
      title: titleOf(environment),
      notes,
      ...(state !== undefined && { basis: 'live' }),
      ...(drawn !== undefined && { picture: drawn }),
    };
    return { environment, plan, digest, resources, exitCode: failed ? EXIT.refused : 0 };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function withMissingImages(target: Target): Target {
  return { ...target, env: { ...target.env, [MISSING_IMAGES]: 'unknown' } };
}

export function titleOf(environment: string): string {
  return `Preview of ${codeSpan(environment)}`;
}
