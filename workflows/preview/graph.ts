/** The picture of an environment with what a plan changes. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Step } from '../../engineEvents/model.ts';
import type { State } from '../engine/deployed.ts';
import { type Operations, toDot } from '../graph/dot.ts';
import { toMermaid } from '../graph/mermaid.ts';
import type { GraphResource } from '../graph/model.ts';
import { drawSvg } from '../graph/svg.ts';

/** The parts that are read here of what `pulumi preview --save-plan` writes (`apitype.DeploymentPlanV1`). */
interface SavedPlan {
  readonly resourcePlans?: Readonly<Record<string, ResourcePlan>> | null;
}
interface ResourcePlan {
  /** Undefined for what is deleted. */
  readonly goal?: {
    readonly type: string;
    readonly custom?: boolean;
    readonly parent?: string;
    readonly dependencies?: readonly string[] | null;
  } | null;
}

/** What is there after the plan, and what the plan deletes. */
export async function plannedResources(
  planFile: string,
  state: State | undefined,
  steps: readonly Step[],
): Promise<GraphResource[]> {
  const { resourcePlans } = JSON.parse(await readFile(planFile, 'utf8')) as SavedPlan;
  const planned = Object.entries(resourcePlans ?? {}).flatMap(([urn, { goal }]) =>
    goal ? [{ ...goal, urn, dependencies: goal.dependencies ?? [] }] : [],
  );
  const known = new Set(planned.map(({ urn }) => urn));
  const deleted = new Set(steps.filter(({ operation }) => operation === 'delete').map(({ urn }) => urn));
  const parents = new Set((state?.resources ?? []).filter(({ urn }) => deleted.has(urn)).map(({ parent }) => parent));
  const gone = (state?.resources ?? []).filter(({ urn }) => !known.has(urn) && (deleted.has(urn) || parents.has(urn)));
  return [...planned, ...gone];
}

/** Markdown of a diagram; undefined for an environment that is too large to be drawn by GitHub. */
export function diagram(resources: readonly GraphResource[], steps: readonly Step[]): string | undefined {
  return toMermaid(resources, operationsOf(steps));
}

/** A picture of every resource (SVG). */
async function picture(resources: readonly GraphResource[], steps: readonly Step[], title: string): Promise<string> {
  return await drawSvg(toDot(resources, operationsOf(steps)), title);
}

function operationsOf(steps: readonly Step[]): Operations {
  return new Map(steps.map(({ urn, operation }) => [urn, operation]));
}

/** Writes the picture of each environment as `<environment>.svg`. */
export async function writePictures(
  folder: string,
  drawings: readonly { environment: string; resources: readonly GraphResource[]; steps: readonly Step[] }[],
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const { environment, resources, steps } of drawings) {
    const title = `What changes in ${environment}`;
    await writeFile(join(folder, `${environment}.svg`), await picture(resources, steps, title));
  }
}
