/** What PostgreSQL's catalogue says of one database, beside what was wanted: not through the service. */

import type { WantedDatabase } from '../../../../api/model.ts';
import { query } from './local.ts';

interface Privileges {
  readonly database: readonly string[];
  readonly schema: readonly string[];
  readonly table: readonly string[];
}

/** Privileges that a role holds in its own name (README: access). */
const PRIVILEGES: Readonly<Record<string, Privileges>> = {
  owner: { database: [], schema: [], table: [] },
  write: { database: ['CONNECT', 'TEMPORARY'], schema: ['USAGE'], table: ['DELETE', 'INSERT', 'SELECT', 'UPDATE'] },
  read: { database: ['CONNECT'], schema: ['USAGE'], table: ['SELECT'] },
};

/** The group role that owns everything in a database. */
export const ownerRole = (database: string): string => `${database}_owner`;
export const loginRole = (database: string, role: string): string => `${database}_${role}`;

/** Names of the databases and roles that belong to `name`. */
export async function present(name: string): Promise<{ databases: string[]; roles: string[] }> {
  const databases = await query<{ name: string }>('SELECT datname AS name FROM pg_database WHERE datname = $1', [name]);
  const roles = await query<{ name: string }>(
    "SELECT rolname AS name FROM pg_roles WHERE rolname = $1 OR starts_with(rolname, $1 || '_') ORDER BY 1",
    [name],
  );
  return { databases: databases.map((row) => row.name), roles: roles.map((row) => row.name) };
}

export async function isAbsent(name: string): Promise<boolean> {
  const { databases, roles } = await present(name);
  return databases.length === 0 && roles.length === 0;
}

/** What is missing or too much, each in a line; nothing when the database is as wanted. */
export async function differences(wanted: WantedDatabase, owner: string): Promise<string[]> {
  const { name, schemas } = wanted;
  const found = await present(name);
  if (found.databases.length === 0) return [`the database ${name} is not there; roles: ${found.roles.join(', ')}`];
  const roles = Object.keys(wanted.roles).map((role) => loginRole(name, role));
  const expected = [...new Set([owner, ...roles])].sort();
  const lines = compare('roles', found.roles, expected);
  const spaces = await query<{ name: string; owner: string }>(
    `SELECT nspname AS name, pg_get_userbyid(nspowner) AS owner FROM pg_namespace
     WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public') ORDER BY 1`,
    [],
    name,
  );
  lines.push(
    ...compare(
      'schemas',
      spaces.map((row) => `${row.name} of ${row.owner}`),
      schemas.map((schema) => `${schema} of ${owner}`).sort(),
    ),
  );
  const granted = await grants(name, schemas);
  lines.push(...compare('privileges', granted, expectedGrants(wanted)));
  return lines;
}

function expectedGrants({ name, roles, schemas }: WantedDatabase): string[] {
  return Object.entries(roles)
    .flatMap(([short, { access }]) => {
      const { database, schema, table } = PRIVILEGES[access] ?? { database: [], schema: [], table: [] };
      const role = loginRole(name, short);
      return [
        ...database.map((privilege) => `database ${role} ${privilege}`),
        ...schemas.flatMap((space) => [
          ...schema.map((privilege) => `schema ${space} ${role} ${privilege}`),
          ...table.map((privilege) => `default ${space} ${role} ${privilege}`),
        ]),
      ];
    })
    .sort();
}

/** Privileges on the database and its schemas, and defaults for tables, that are held by other roles than the owner. */
async function grants(name: string, schemas: readonly string[]): Promise<string[]> {
  const rows = await query<{ line: string }>(
    `SELECT concat_ws(' ', 'database', coalesce(r.rolname, 'PUBLIC'), a.privilege_type) AS line
       FROM pg_database d, aclexplode(d.datacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
       WHERE d.datname = $1 AND a.grantee <> d.datdba
     UNION ALL SELECT concat_ws(' ', 'schema', n.nspname, coalesce(r.rolname, 'PUBLIC'), a.privilege_type)
       FROM pg_namespace n, aclexplode(n.nspacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
       WHERE n.nspname = ANY ($2) AND a.grantee <> n.nspowner
     UNION ALL SELECT concat_ws(' ', 'default', n.nspname, coalesce(r.rolname, 'PUBLIC'), a.privilege_type)
       FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a
       LEFT JOIN pg_roles r ON r.oid = a.grantee
       WHERE d.defaclobjtype = 'r' AND a.grantee <> d.defaclrole`,
    [name, schemas],
    name,
  );
  return rows.map((row) => row.line).sort();
}

function compare(what: string, found: readonly string[], expected: readonly string[]): string[] {
  const missing = expected.filter((entry) => !found.includes(entry));
  const extra = found.filter((entry) => !expected.includes(entry));
  return [
    ...(missing.length > 0 ? [`${what} missing: ${missing.join(', ')}`] : []),
    ...(extra.length > 0 ? [`${what} too many: ${extra.join(', ')}`] : []),
  ];
}
