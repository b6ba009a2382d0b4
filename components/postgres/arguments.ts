import type { Finding } from '../findings.ts';
import { labelProblem, portProblem, subdomainProblem } from '../kubernetes/names.ts';
import { identifierProblem } from './identifiers.ts';
import type { PostgresDatabaseArguments } from './postgresDatabase.ts';

/** Letters and digits of a generated password: about 190 bits. */
export const PASSWORD_LENGTH = 32;

/** The names in PostgreSQL of the owner and of each login role. */
export interface PhysicalNames {
  readonly owner: string;
  readonly roles: Readonly<Record<string, string>>;
}

/** The names that the roles get: roles belong to the whole server, so they carry the database's name. */
export function physicalNames(args: Pick<PostgresDatabaseArguments, 'database' | 'roles'>): PhysicalNames {
  const roles = Object.entries(args.roles).map(
    ([role, { name }]) => [role, name ?? `${args.database}_${role.replaceAll('-', '_')}`] as const,
  );
  return { owner: `${args.database}_owner`, roles: Object.fromEntries(roles) };
}

/** Everything that PostgreSQL, Kubernetes or the component itself would refuse. */
export function findings(name: string, args: PostgresDatabaseArguments): Finding[] {
  const found: Finding[] = [];
  const add = (path: string, problem: string | undefined) => problem && found.push({ path, problem });
  add('database', identifierProblem('database', args.database));
  if (args.schemas.length === 0) add('schemas', 'is empty: name at least one schema, as "public" is closed to all');
  for (const [index, schema] of args.schemas.entries()) {
    const path = `schemas[${index}]`;
    add(path, identifierProblem('schema', schema));
    // The provider writes the search path as one text parted by ", ".
    if (schema.includes(', ')) add(path, `"${schema}" holds ", ", which a search path cannot carry`);
    if (schema === 'public') add(path, '"public" is closed by this component: use a schema of your own');
    if (args.schemas.indexOf(schema) !== index) add(path, `"${schema}" is named twice: keep one`);
  }
  if (Object.keys(args.roles).length === 0) add('roles', 'is empty: without a login role nobody can connect');
  const names = physicalNames(args);
  const owners = new Map([[names.owner, 'the owner']]);
  add('database', prefixed(`its owner "${names.owner}" `, identifierProblem('role', names.owner)));
  for (const [role, physical] of Object.entries(names.roles)) {
    const path = `roles.${role}`;
    add(path, labelProblem(role));
    if (args.namespace !== undefined) add(path, subdomainProblem(`${args.objectName ?? name}-${role}`));
    add(path, prefixed(`(role "${physical}") `, identifierProblem('role', physical)));
    const owner = owners.get(physical);
    if (owner) add(path, `"${physical}" is also the name of ${owner} in PostgreSQL: give one of them another name`);
    owners.set(physical, `role "${role}"`);
    add(path, limitProblem(args.roles[role]?.connectionLimit));
  }
  for (const role of Object.keys(args.rotations ?? {})) {
    if (!(role in args.roles)) add(`rotations.${role}`, `there is no role "${role}": name one of ${roleList(args)}`);
  }
  for (const [index, schema] of (args.dropSchemas ?? []).entries()) {
    if (!args.schemas.includes(schema)) add(`dropSchemas[${index}]`, `there is no schema "${schema}" in "schemas"`);
  }
  add('connectionLimit', limitProblem(args.connectionLimit));
  add('connection.port', portProblem(args.connection.port ?? 5432));
  return found;
}

function roleList(args: PostgresDatabaseArguments): string {
  return Object.keys(args.roles).sort().join(', ');
}

function prefixed(prefix: string, problem: string | undefined): string | undefined {
  return problem && prefix + problem;
}

function limitProblem(limit: number | undefined): string | undefined {
  if (limit === undefined || (Number.isInteger(limit) && limit >= -1 && limit <= 2 ** 31 - 1)) return undefined;
  return `${limit} is not a connection limit: use a whole number, or -1 for no limit`;
}
