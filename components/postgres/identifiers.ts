/** Rules for identifiers: https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS */

/** NAMEDATALEN - 1: a longer name is cut by the server, so that two long names could become one. */
export const LONGEST_IDENTIFIER = 63;

/** Words that stand for something else where a role is expected (role_specification in CREATE ROLE). */
const RESERVED_ROLES = new Set(['public', 'none', 'current_role', 'current_user', 'session_user', 'user']);
const RESERVED_DATABASES = new Set(['postgres', 'template0', 'template1']);

/** What is wrong with the name of a database, role or schema, or undefined. Names are always quoted. */
export function identifierProblem(kind: 'database' | 'role' | 'schema', name: string): string | undefined {
  if (name === '') return `is empty: name the ${kind}`;
  if (name.includes('\0')) return 'holds a zero byte, which PostgreSQL refuses';
  // It would be sent as U+FFFD, so that two names could become one.
  if (!name.isWellFormed()) return 'holds half of a surrogate pair, which has no form in UTF-8';
  const bytes = Buffer.byteLength(name, 'utf8');
  if (bytes > LONGEST_IDENTIFIER)
    return `is ${bytes} bytes long; an identifier of PostgreSQL has at most ${LONGEST_IDENTIFIER}`;
  if (kind !== 'database' && name.startsWith('pg_'))
    return `"${name}" starts with "pg_", which PostgreSQL keeps for itself`;
  if (kind === 'role' && RESERVED_ROLES.has(name)) return `"${name}" is a reserved word where a role is expected`;
  if (kind === 'schema' && name === 'information_schema') return `"${name}" is a schema of PostgreSQL itself`;
  if (kind === 'database' && RESERVED_DATABASES.has(name)) return `"${name}" is a database of PostgreSQL itself`;
  return undefined;
}

/** The default name of a database: application and environment, with `_` as SQL likes it. */
export function databaseName(application: string, environment: string): string {
  return `${application}_${environment}`.replaceAll('-', '_');
}
