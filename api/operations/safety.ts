import { findings, physicalNames } from '../../components/postgres/arguments.ts';
import { identifierProblem } from '../../components/postgres/identifiers.ts';
import { objectName } from '../../stacks/database.ts';
import { ServiceError } from '../errors.ts';
import type { Problem, WantedDatabase } from '../model.ts';
import type { StoredDatabase } from '../store/databases.ts';

const RESERVED = /^(postgres|template.*|pg_.*)$/;

/**
 * Most pairs of a role and a schema in a database. Each pair is several resources, and the engine writes its whole state
 * after each: 100 pairs take half a minute, 500 more than five and most of a replica's memory.
 */
export const MOST_PAIRS = 200;

/** Why this service does not touch a database of this name, or undefined. */
export function reservedProblem(name: string, ownDatabase: string): string | undefined {
  if (RESERVED.test(name))
    return `"${name}" belongs to PostgreSQL itself: choose a name other than postgres, template…, pg_…`;
  if (name === ownDatabase) return `"${name}" holds this service's own records: choose another name`;
  return identifierProblem('database', name);
}

/** @throws ServiceError `invalid-request` with every problem of the names, or `too-many-grants`. */
export function refuseBadNames(wanted: WantedDatabase, ownDatabase: string): void {
  const errors: { path: string; problem: string }[] = [];
  const add = (path: string, problem: string | undefined) => problem && errors.push({ path, problem });
  add('name', reservedProblem(wanted.name, ownDatabase));
  const { name: database, schemas, roles, connectionLimit, credentials } = wanted;
  const shape = { database, schemas, roles, connectionLimit, connection: { host: 'server' } };
  const delivery = credentials.type === 'secret' ? { namespace: credentials.namespace } : {};
  for (const finding of findings('database', { ...shape, ...delivery, objectName: objectName(database) })) {
    add(finding.path === 'database' ? 'name' : finding.path, finding.problem);
  }
  if (errors.length > 0) throw new ServiceError('invalid-request', 'The names cannot be used: see errors.', errors);
  refuseManyPairs(wanted);
}

function refuseManyPairs({ name, roles, schemas }: WantedDatabase): void {
  const count = Object.keys(roles).length;
  const pairs = count * schemas.length;
  if (pairs <= MOST_PAIRS) return;
  throw new ServiceError(
    'too-many-grants',
    `"${name}" has ${count} roles and ${schemas.length} schemas, which is ${pairs} pairs of both; at most ${MOST_PAIRS} can be granted: divide it into several databases.`,
  );
}

/** Names of the database and of its roles on the server; the database first, then the owner. */
export function serverNames(wanted: Pick<WantedDatabase, 'name' | 'roles'>): string[] {
  const roles = Object.fromEntries(Object.entries(wanted.roles).map(([role, { access }]) => [role, { access }]));
  const names = physicalNames({ database: wanted.name, roles });
  return [wanted.name, names.owner, ...Object.values(names.roles)];
}

/** Names that were never looked for on the server. */
export function uncheckedNames(wanted: WantedDatabase, checked: readonly string[]): string[] {
  return serverNames(wanted).filter((name) => !checked.includes(name));
}

/** Schemas that are there, or may be since a run that failed, and are not wanted any more. */
export function removedSchemas(
  database: Pick<StoredDatabase, 'applied' | 'attempted'> | undefined,
  wanted: WantedDatabase,
): string[] {
  const present = new Set([...(database?.applied?.schemas ?? []), ...(database?.attempted?.schemas ?? [])]);
  return [...present].filter((schema) => !wanted.schemas.includes(schema)).sort();
}

/** New values of rotation: all roles take the value of `''` that have none of their own. */
export function rotated(
  before: Readonly<Record<string, string>>,
  roles: readonly string[] | undefined,
  value: string,
): Record<string, string> {
  if (roles === undefined || roles.length === 0) return { '': value };
  return { ...before, ...Object.fromEntries(roles.map((role) => [role, value])) };
}

/** The problem that an operation ends with. */
export function problemOf(error: unknown, operationId: string): Problem {
  const known =
    error instanceof ServiceError
      ? error
      : new ServiceError(
          'engine-failed',
          'The service failed while it carried this out. Try again; its log says more.',
        );
  return known.problem(`/v1/operations/${operationId}`);
}
