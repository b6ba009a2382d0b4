/** What a rotation would change besides passwords and what follows from them. Pure. */

import type { Step } from '../../engineEvents/model.ts';
import { kindOf } from '../report/markdown.ts';

/**
 * Resources that the rotation changes and that are waiting to be changed anyway: by a configuration that was not
 * deployed, or because somebody has changed them by hand. The engine can only bring a resource up to date as a whole.
 *
 * @param rotation steps of the rotation's plan
 * @param pending steps of a plan without any rotation
 */
export function carriedAlong(rotation: readonly Step[], pending: readonly Step[]): string[] {
  const touched = new Set(rotation.map(({ urn }) => urn));
  return pending.filter(({ urn }) => touched.has(urn)).map(describe);
}

/** Steps of the rotation that take something away, or replace what is no password. */
export function unexpected(rotation: readonly Step[], passwords: readonly string[]): string[] {
  const replaceable = new Set(passwords);
  return rotation
    .filter(({ operation, urn, type }) => {
      if (operation === 'replace') return !replaceable.has(urn) && !REPLACED_BY_NATURE.has(type);
      return operation !== 'update';
    })
    .map(describe);
}

/** A Job cannot be changed; of a Secret the provider makes a new one, unless it is told otherwise. */
const REPLACED_BY_NATURE: ReadonlySet<string> = new Set(['kubernetes:batch/v1:Job', 'kubernetes:core/v1:Secret']);

function describe({ type, name, operation, changes }: Step): string {
  const paths = operation === 'update' ? changes.map(({ path }) => path) : [];
  return `${kindOf(type)} ${name}: ${operation}${paths.length > 0 ? ` (${paths.join(', ')})` : ''}`;
}
