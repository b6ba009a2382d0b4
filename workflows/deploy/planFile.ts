/** The plan that is reviewed, as it goes from the job that shows it to the job that applies it. */

import { readFile, writeFile } from 'node:fs/promises';
import type { Step } from '../../engineEvents/model.ts';
import { WorkflowError } from '../failure.ts';

/** Secrets in it are `[secret]`: it may be kept as an artifact. */
export interface ReviewedPlan {
  readonly environment: string;
  readonly version: string;
  /** See `digestOf`. */
  readonly digest: string;
  readonly steps: readonly Step[];
}

export async function writePlan(path: string, plan: ReviewedPlan): Promise<void> {
  await writeFile(path, `${JSON.stringify(plan, null, 2)}\n`);
}

/**
 * @param digest that of the plan that was reviewed, from where nobody but the reviewed job writes
 * @throws WorkflowError when it is missing, is not a plan, or is that of something else
 */
export async function readPlan(
  path: string,
  { environment, version, digest }: Omit<ReviewedPlan, 'steps'>,
): Promise<ReviewedPlan> {
  const plan = await parsed(path);
  const cure = 'run the deployment from its beginning: the plan, its review, and then its application';
  if (plan.environment !== environment || plan.version !== version) {
    throw new WorkflowError(
      `${path} is the plan of version ${plan.version} for the environment "${plan.environment}", not of version ${version} for "${environment}"`,
      cure,
    );
  }
  if (plan.digest !== digest) {
    throw new WorkflowError(
      `${path} is not the plan that was reviewed: its digest is ${plan.digest}, not ${digest}`,
      cure,
    );
  }
  return plan;
}

async function parsed(path: string): Promise<ReviewedPlan> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as ReviewedPlan;
  } catch (error) {
    throw new WorkflowError(
      `the plan cannot be read from ${path}: ${(error as Error).message}`,
      'make it with deploy-plan first, and hand over the file that --plan names there',
    );
  }
}
