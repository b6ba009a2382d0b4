/** In what two plans differ, for a reader who has seen the first. Pure. */

import type { PropertyChange, Step } from '../../engineEvents/model.ts';
import { digestOf } from '../report/digest.ts';
import { kindOf } from '../report/markdown.ts';

/** One line for each resource whose step is another one. */
export function differences(reviewed: readonly Step[], now: readonly Step[]): string[] {
  const before = byUrn(reviewed);
  const after = byUrn(now);
  const urns = [...new Set([...before.keys(), ...after.keys()])].sort();
  return urns.flatMap((urn) => {
    const [old, present] = [before.get(urn), after.get(urn)];
    if (old && present) return digestOf([old]) === digestOf([present]) ? [] : [changed(old, present)];
    if (present)
      return [`${named(present)}: ${VERBS[present.operation]} now, and was not in the plan${paths(present)}`];
    return old ? [`${named(old)}: was to be ${PARTICIPLES[old.operation]}, and is not any more`] : [];
  });
}

/** What was done to resources, and was not in the plan: their values may be known only when they are made. */
export function beyond(planned: readonly Step[], done: readonly Step[]): string[] {
  const known = new Set(planned.map(({ urn, operation }) => `${operation} ${urn}`));
  return done
    .filter(({ urn, operation }) => !known.has(`${operation} ${urn}`))
    .map((step) => `${named(step)}: ${VERBS[step.operation]}`);
}

const VERBS = {
  create: 'is created',
  update: 'is changed',
  replace: 'is replaced',
  delete: 'is deleted',
  read: 'is read',
  same: 'is left',
} as const;
const PARTICIPLES = {
  create: 'created',
  update: 'changed',
  replace: 'replaced',
  delete: 'deleted',
  read: 'read',
  same: 'left',
} as const;

function byUrn(steps: readonly Step[]): Map<string, Step> {
  return new Map(steps.map((step) => [step.urn, step]));
}

function named({ type, name }: Step): string {
  return `${kindOf(type)} ${name}`;
}

function changed(old: Step, now: Step): string {
  if (old.operation !== now.operation) {
    return `${named(now)}: was to be ${PARTICIPLES[old.operation]}, and ${VERBS[now.operation]} now${paths(now)}`;
  }
  const known = new Map(old.changes.map((change) => [change.path, change]));
  const other = now.changes.filter((change) => !same(known.get(change.path), change)).map(({ path }) => path);
  const gone = old.changes.filter(({ path }) => !now.changes.some((change) => change.path === path));
  const all = [...other, ...gone.map(({ path }) => path)].sort();
  return `${named(now)}: is changed in another way than in the plan: ${all.join(', ')}`;
}

function same(a: PropertyChange | undefined, b: PropertyChange): boolean {
  return JSON.stringify([a?.from, a?.to]) === JSON.stringify([b.from, b.to]);
}

function paths({ operation, changes }: Step): string {
  return operation === 'update' && changes.length > 0 ? ` (${changes.map(({ path }) => path).join(', ')})` : '';
}
