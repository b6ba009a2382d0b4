/** How what a plan does is coloured, in pictures and legends. */

import type { StepOperation } from '../../engineEvents/model.ts';

export const CHANGE_COLOURS: Readonly<Partial<Record<StepOperation, string>>> = {
  create: '#b7e4c7',
  update: '#ffe8a3',
  replace: '#ffc078',
  delete: '#ffa8a8',
};
export const UNCHANGED = '#f8f9fa';

/** The strongest of several: what a node shows that stands for many resources. */
const STRENGTH: readonly StepOperation[] = ['create', 'update', 'replace', 'delete'];

/** @returns undefined when nothing changes */
export function strongest(operations: readonly StepOperation[]): StepOperation | undefined {
  // A component of which everything is new is new; with one that is not, it changes.
  const changes = operations.filter((operation) => STRENGTH.includes(operation));
  if (changes.length === 0) return undefined;
  if (changes.length < operations.length && changes.every((operation) => operation === 'create')) return 'update';
  return changes.toSorted((a, b) => STRENGTH.indexOf(b) - STRENGTH.indexOf(a))[0];
}
