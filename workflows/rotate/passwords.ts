/** Passwords of PostgreSQL roles in a state, and how old they are. Pure; no value is read. */

import type { State, StateResource } from '../engine/deployed.ts';

const PASSWORD = 'random:index/randomPassword:RandomPassword';
const ROLE = 'postgresql:index/role:Role';

export interface Password {
  readonly urn: string;
  /** Name of the resource. */
  readonly name: string;
  /** Milliseconds; undefined when the state does not say when it was made. */
  readonly age: number | undefined;
}

/**
 * The generated passwords of roles, oldest first. Other generated secrets are left out: what they sign or encrypt
 * cannot be known here.
 */
export function rolePasswords({ resources }: Pick<State, 'resources'>, now: number): Password[] {
  const used = new Set(resources.filter(({ type }) => type === ROLE).flatMap(passwordsOf));
  return resources
    .filter(({ type, urn }) => type === PASSWORD && used.has(urn))
    .map(({ urn, created }) => ({ urn, name: urn.split('::').at(-1) ?? urn, age: age(created, now) }))
    .sort(
      (a, b) => (b.age ?? Number.POSITIVE_INFINITY) - (a.age ?? Number.POSITIVE_INFINITY) || (a.urn < b.urn ? -1 : 1),
    );
}

function passwordsOf({ propertyDependencies }: StateResource): readonly string[] {
  return propertyDependencies?.password ?? [];
}

function age(created: string | undefined, now: number): number | undefined {
  const made = Date.parse(created ?? '');
  return Number.isNaN(made) ? undefined : Math.max(0, now - made);
}

/** One whose age nobody knows is old. */
export function olderThan(passwords: readonly Password[], age: number): Password[] {
  return passwords.filter((password) => password.age === undefined || password.age > age);
}
