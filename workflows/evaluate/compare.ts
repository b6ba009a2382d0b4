/** Two evaluations as the steps from one to the other. Pure. */

import type { PropertyChange, Step, StepOperation } from '../../engineEvents/model.ts';
import { shown } from '../../engineEvents/steps.ts';
import { plannedStatements } from '../../plugins/postgresql/statements.ts';
import type { GraphResource } from '../graph/model.ts';
import type { EvaluatedResource } from './evaluation.ts';

export interface Comparison {
  readonly steps: readonly Step[];
  readonly counts: Readonly<Partial<Record<StepOperation, number>>>;
  /** What is there in the end, and what is gone. */
  readonly resources: readonly GraphResource[];
}

/** Digests that the evaluation made up, as no registry was asked. */
const DIGEST = /sha256:[a-f0-9]{64}/g;

export function compare(base: readonly EvaluatedResource[], head: readonly EvaluatedResource[]): Comparison {
  const before = new Map(base.map((resource) => [resource.urn, resource]));
  const after = new Map(head.map((resource) => [resource.urn, resource]));
  const steps: Step[] = [];
  const counts: Partial<Record<StepOperation, number>> = {};
  for (const urn of new Set([...before.keys(), ...after.keys()])) {
    const step = stepOf(before.get(urn), after.get(urn));
    if (!step) continue;
    counts[step.operation] = (counts[step.operation] ?? 0) + 1;
    if (step.operation !== 'same') steps.push(step);
  }
  return { steps, counts, resources: [...head, ...base.filter(({ urn }) => !after.has(urn))] };
}

function stepOf(base: EvaluatedResource | undefined, head: EvaluatedResource | undefined): Step | undefined {
  const resource = head ?? base;
  if (!resource?.custom || resource.type.startsWith('pulumi:')) return undefined;
  const { urn, type, name } = resource;
  const olds = valuesOf(base);
  const news = valuesOf(head);
  const changes = base && head ? differences(base.inputs, head.inputs) : topLevel(olds, news);
  const operation = !base ? 'create' : !head ? 'delete' : changes.length > 0 ? 'update' : 'same';
  const diffs = changes.map(({ path }) => path.split(/[.[]/)[0] ?? path);
  const sql = operation === 'same' ? [] : plannedStatements({ type, operation, olds, news, diffs });
  return { urn, type, name, operation, changes, sql };
}

function valuesOf(resource: EvaluatedResource | undefined): Record<string, unknown> {
  return (shown(resource?.inputs ?? {}) ?? {}) as Record<string, unknown>;
}

function topLevel(olds: Readonly<Record<string, unknown>>, news: Readonly<Record<string, unknown>>): PropertyChange[] {
  const from = Object.entries(olds).map(([path, value]) => ({ path, from: withoutDigests(value) }));
  return [...from, ...Object.entries(news).map(([path, value]) => ({ path, to: withoutDigests(value) }))];
}

/** Each property that differs, as deep as it can be named; a secret only by its name. */
export function differences(from: unknown, to: unknown, path = ''): PropertyChange[] {
  if (isMapping(from) && isMapping(to) && !isMarked(from) && !isMarked(to)) {
    const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort();
    return keys.flatMap((key) => differences(from[key], to[key], child(path, key)));
  }
  if (Array.isArray(from) && Array.isArray(to) && from.length === to.length) {
    return from.flatMap((item, index) => differences(item, to[index], `${path}[${index}]`));
  }
  if (JSON.stringify(from) === JSON.stringify(to)) return [];
  return [
    {
      path,
      ...(from !== undefined && { from: withoutDigests(shown(from)) }),
      ...(to !== undefined && { to: withoutDigests(shown(to)) }),
    },
  ];
}

function withoutDigests(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(DIGEST, 'sha256:[unknown]');
  if (Array.isArray(value)) return value.map(withoutDigests);
  if (!isMapping(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutDigests(inner)]));
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A secret, or a file, as the engine writes it. */
function isMarked(value: Readonly<Record<string, unknown>>): boolean {
  return '4dabf18193072939515e22adb298388d' in value;
}

function child(path: string, key: string): string {
  if (!/^[A-Za-z_][\w-]*$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === '' ? key : `${path}.${key}`;
}
