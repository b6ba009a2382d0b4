/** One value for one plan: the same plan has the same, and another one has another. */

import { createHash } from 'node:crypto';
import type { Step } from '../../engineEvents/model.ts';

/** What stands for a value that is known only when the plan is carried out (`engineEvents/steps.ts`). */
const UNKNOWN = '[unknown]';

/**
 * SHA-256 over the operation, the URN and the changes of each step, in hexadecimal. Neither the order of the steps nor
 * that of keys counts, nor does a value that is not known yet. Of a secret only that it is there: another secret in its
 * place has the same digest.
 */
export function digestOf(steps: readonly Step[]): string {
  const lines = steps
    .filter(({ operation }) => operation !== 'same' && operation !== 'read')
    .map(({ urn, operation, changes }) => {
      const values = changes.map(({ path, from, to }) => [path, canonical(from), canonical(to)]);
      return JSON.stringify([urn, operation, values.sort(([a], [b]) => compare(String(a), String(b)))]);
    });
  return createHash('sha256').update(lines.sort(compare).join('\n')).digest('hex');
}

function canonical(value: unknown): unknown {
  if (value === undefined || value === UNKNOWN) return null;
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return [value];
  const entries = Object.entries(value).sort(([a], [b]) => compare(a, b));
  return { entries: entries.map(([key, inner]) => [key, canonical(inner)]) };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
