/** GRANT, REVOKE and ALTER DEFAULT PRIVILEGES. */

import { grantee, InputError, identifier, qualified, routine } from './quote.ts';

/** What privileges are granted on. */
export interface GrantTarget {
  /** `database`, `schema`, `table`, … as in the SDK. */
  readonly objectType: string;
  readonly database: string;
  readonly schema?: string;
  readonly objects: readonly string[];
  readonly columns?: readonly string[];
}

export interface GrantChange extends GrantTarget {
  readonly role: string;
  readonly privileges: readonly string[];
  readonly withGrantOption?: boolean;
}

/** SQL keywords, in full: privileges are keywords, so nothing else may get into a statement as one. */
const KEYWORD = /^[A-Z]+$/;

const OBJECT_KEYWORDS: Readonly<Record<string, string>> = {
  table: 'TABLE',
  column: 'TABLE',
  sequence: 'SEQUENCE',
  function: 'FUNCTION',
  procedure: 'PROCEDURE',
  routine: 'ROUTINE',
  foreign_data_wrapper: 'FOREIGN DATA WRAPPER',
  foreign_server: 'FOREIGN SERVER',
  database: 'DATABASE',
  schema: 'SCHEMA',
  type: 'TYPE',
};

const ROUTINES: ReadonlySet<string> = new Set(['function', 'procedure', 'routine']);

function keyword(objectType: string): string {
  const found = OBJECT_KEYWORDS[objectType];
  if (found === undefined) throw new InputError(`objectType ${JSON.stringify(objectType)} is unknown`);
  return found;
}

function privilegeList(privileges: readonly string[], columns: readonly string[] = []): string {
  if (privileges.length === 0) throw new InputError('there is no privilege to grant or to revoke');
  const list = columns.length === 0 ? '' : ` (${columns.map((column) => identifier(column)).join(', ')})`;
  return privileges
    .map((privilege) => {
      if (!KEYWORD.test(privilege)) throw new InputError(`${JSON.stringify(privilege)} is not a privilege`);
      return `${privilege}${list}`;
    })
    .join(', ');
}

function target({ objectType, database, schema = '', objects }: GrantTarget): string {
  const kind = keyword(objectType);
  if (objectType === 'database') return `${kind} ${identifier(database)}`;
  if (objectType === 'schema') return `${kind} ${identifier(schema)}`;
  if (objects.length === 0) return `ALL ${kind}S IN SCHEMA ${identifier(schema)}`;
  if (objectType.startsWith('foreign_')) return `${kind} ${objects.map((name) => identifier(name)).join(', ')}`;
  const quote = ROUTINES.has(objectType) ? routine : qualified;
  return `${kind} ${objects.map((name) => quote(schema, name)).join(', ')}`;
}

export function grantSql(change: GrantChange): string {
  const option = change.withGrantOption ? ' WITH GRANT OPTION' : '';
  const privileges = privilegeList(change.privileges, change.columns);
  return `GRANT ${privileges} ON ${target(change)} TO ${grantee(change.role)}${option}`;
}

export function revokeSql(change: GrantChange): string {
  return `REVOKE ${privilegeList(change.privileges, change.columns)} ON ${target(change)} FROM ${grantee(change.role)}`;
}

/** Keeps the privileges, takes the right to pass them on. */
export function revokeGrantOptionSql(change: GrantChange): string {
  const privileges = privilegeList(change.privileges, change.columns);
  return `REVOKE GRANT OPTION FOR ${privileges} ON ${target(change)} FROM ${grantee(change.role)} CASCADE`;
}

/** What `owner` will grant on objects that it makes. */
export interface DefaultPrivilegeChange {
  readonly owner: string;
  readonly role: string;
  readonly schema?: string;
  readonly objectType: string;
  readonly privileges: readonly string[];
  readonly withGrantOption?: boolean;
}

/** ALTER DEFAULT PRIVILEGES, always with the role whose new objects it is about. */
function defaultPrivileges(change: DefaultPrivilegeChange): string {
  const where = change.schema ? ` IN SCHEMA ${identifier(change.schema)}` : '';
  return `ALTER DEFAULT PRIVILEGES FOR ROLE ${identifier(change.owner)}${where}`;
}

export function grantDefaultSql(change: DefaultPrivilegeChange): string {
  const option = change.withGrantOption ? ' WITH GRANT OPTION' : '';
  const what = `${privilegeList(change.privileges)} ON ${keyword(change.objectType)}S`;
  return `${defaultPrivileges(change)} GRANT ${what} TO ${grantee(change.role)}${option}`;
}

export function revokeDefaultSql(change: DefaultPrivilegeChange): string {
  const what = `${privilegeList(change.privileges)} ON ${keyword(change.objectType)}S`;
  return `${defaultPrivileges(change)} REVOKE ${what} FROM ${grantee(change.role)}`;
}

export function revokeDefaultGrantOptionSql(change: DefaultPrivilegeChange): string {
  const what = `${privilegeList(change.privileges)} ON ${keyword(change.objectType)}S`;
  return `${defaultPrivileges(change)} REVOKE GRANT OPTION FOR ${what} FROM ${grantee(change.role)}`;
}
