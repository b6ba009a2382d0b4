/** One review environment, ready to be worked on: the rendered template and the stack that it is for. */

import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Configuration } from '../../stacks/config.ts';
import { readTarget, type Target } from '../engine/target.ts';
import { withVersion } from '../engine/version.ts';
import { EXIT, WorkflowError } from '../failure.ts';
import type { GitHub } from '../github/client.ts';
import type { RunContext } from '../github/context.ts';
import { stackName } from './names.ts';
import { readRendered, renderTemplate, templateProblems } from './template.ts';

/** What all actions of the flow share. */
export interface ReviewContext {
  readonly run: RunContext;
  readonly github: GitHub;
  /** Folder of the application's repository. */
  readonly application: string;
  /** Path of the template in it. */
  readonly template: string;
  /** Milliseconds after its last deployment until an environment may be swept away. */
  readonly timeToLive: number;
}

export interface Review {
  readonly context: ReviewContext;
  readonly pullRequest: number;
  /** owner/name */
  readonly repository: string;
  readonly target: Target;
  /** Undefined when it is not valid: the engine's run says why. */
  readonly configuration: Configuration | undefined;
}

/**
 * Renders the template for one pull request, does the work, and removes the rendered file.
 *
 * @param commit what is deployed: `OPERATIONS_VERSION` for the configuration
 * @throws WorkflowError when there is no template, or environments of it would share something or could not be removed
 */
export async function withReview<T>(
  context: ReviewContext,
  pullRequest: number,
  commit: string,
  work: (review: Review) => Promise<T>,
): Promise<T> {
  const path = templatePath(context);
  const text = await readFile(path, 'utf8');
  const stack = stackName(pullRequest, context.run.repository);
  const directory = await mkdtemp(join(tmpdir(), 'review-'));
  try {
    const configFile = join(directory, `Pulumi.${stack}.yaml`);
    const rendered = renderTemplate(text, pullRequest);
    await writeFile(configFile, rendered, { mode: 0o600 });
    const target = withVersion(await readTarget(context.application, stack, { configFile }), commit || undefined);
    const configuration = readRendered(rendered, stack, target.env);
    const number = pullRequest + 1;
    const other = readRendered(renderTemplate(text, number), stackName(number, context.run.repository), target.env);
    if (configuration && other) refuse(path, templateProblems(configuration, other));
    const repository = `${context.run.owner}/${context.run.repository}`;
    return await work({ context, pullRequest, repository, target, configuration });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** @throws WorkflowError when it is not there */
export function templatePath({ application, template }: Pick<ReviewContext, 'application' | 'template'>): string {
  const path = resolve(application, template);
  if (existsSync(path)) return path;
  throw new WorkflowError(
    `there is no template for review environments: ${path} does not exist`,
    `add ${template} to the application's repository (docs/workflows.md), or name another with --template`,
  );
}

function refuse(path: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new WorkflowError(
    `${path} cannot be the template of review environments:\n${problems.map((text) => `  - ${text}`).join('\n')}`,
    'mend the template: each environment has everything of its own, and can be removed whole',
    EXIT.refused,
  );
}
