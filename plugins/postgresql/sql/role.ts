/** Statements that make, change and drop roles. */

import { grantee, identifier, integer, literal } from './quote.ts';

/** A role's attributes as they are in the SDK; absent values take the SDK's defaults. */
export interface RoleAttributes {
  readonly name: string;
  readonly superuser?: boolean;
  readonly createDatabase?: boolean;
  readonly createRole?: boolean;
  /** @default true */
  readonly inherit?: boolean;
  readonly login?: boolean;
  readonly replication?: boolean;
  readonly bypassRowLevelSecurity?: boolean;
  /** -1 is without limit. @default -1 */
  readonly connectionLimit?: number;
  /** A timestamp. @default 'infinity' */
  readonly validUntil?: string;
  readonly roles?: readonly string[];
  readonly searchPaths?: readonly string[];
  /** Milliseconds; 0 leaves the server's setting. */
  readonly statementTimeout?: number;
  /** Milliseconds; 0 leaves the server's setting. */
  readonly idleInTransactionSessionTimeout?: number;
  readonly assumeRole?: string;
}

/** A verifier (never a plain password), or null for `PASSWORD NULL`; undefined leaves the password alone. */
export type PasswordValue = string | null | undefined;

type Flag = keyof RoleAttributes &
  ('superuser' | 'createDatabase' | 'createRole' | 'inherit' | 'login' | 'replication' | 'bypassRowLevelSecurity');

const FLAGS: readonly (readonly [Flag, string])[] = [
  ['superuser', 'SUPERUSER'],
  ['createDatabase', 'CREATEDB'],
  ['createRole', 'CREATEROLE'],
  ['inherit', 'INHERIT'],
  ['login', 'LOGIN'],
  ['replication', 'REPLICATION'],
  ['bypassRowLevelSecurity', 'BYPASSRLS'],
];

/** Attributes that only a superuser may set to their default, too, before PostgreSQL 16: left out where they are it. */
const PRIVILEGED: ReadonlySet<Flag> = new Set(['superuser', 'replication', 'bypassRowLevelSecurity']);

function flag(role: RoleAttributes, name: Flag): boolean {
  return role[name] ?? name === 'inherit';
}

function passwordClause(password: PasswordValue): string[] {
  if (password === undefined) return [];
  return [password === null ? 'PASSWORD NULL' : `PASSWORD ${literal(password)}`];
}

function validUntil(role: RoleAttributes): string {
  return role.validUntil && role.validUntil.toLowerCase() !== 'infinity' ? role.validUntil : 'infinity';
}

/** CREATE ROLE, its memberships and its settings. */
export function createRoleSql(role: RoleAttributes, password?: PasswordValue): string[] {
  const options = [
    ...passwordClause(password),
    `VALID UNTIL ${literal(validUntil(role))}`,
    `CONNECTION LIMIT ${integer(role.connectionLimit ?? -1)}`,
    ...FLAGS.filter(([name]) => flag(role, name) || !PRIVILEGED.has(name)).map(
      ([name, keyword]) => `${flag(role, name) ? '' : 'NO'}${keyword}`,
    ),
  ];
  return [`CREATE ROLE ${identifier(role.name)} WITH ${options.join(' ')}`, ...settingsSql({ name: role.name }, role)];
}

/** ALTER ROLE statements that lead from `old` to `next`; none when they are the same. */
export function alterRoleSql(old: RoleAttributes, next: RoleAttributes, password?: PasswordValue): string[] {
  const options = [...passwordClause(password)];
  if (validUntil(old) !== validUntil(next)) options.push(`VALID UNTIL ${literal(validUntil(next))}`);
  const limit = next.connectionLimit ?? -1;
  if ((old.connectionLimit ?? -1) !== limit) options.push(`CONNECTION LIMIT ${integer(limit)}`);
  for (const [name, keyword] of FLAGS) {
    if (flag(old, name) !== flag(next, name)) options.push(`${flag(next, name) ? '' : 'NO'}${keyword}`);
  }
  const rename = old.name === next.name ? [] : [renameRoleSql(old.name, next.name)];
  const alter = options.length === 0 ? [] : [`ALTER ROLE ${identifier(next.name)} WITH ${options.join(' ')}`];
  return [...rename, ...alter, ...settingsSql(old, next)];
}

export function renameRoleSql(from: string, to: string): string {
  return `ALTER ROLE ${identifier(from)} RENAME TO ${identifier(to)}`;
}

/** Memberships (as sets) and settings of the role itself. */
function settingsSql(old: RoleAttributes, next: RoleAttributes): string[] {
  const role = identifier(next.name);
  const before = new Set(old.roles ?? []);
  const after = new Set(next.roles ?? []);
  const statements = [
    ...[...before].filter((item) => !after.has(item)).map((item) => `REVOKE ${identifier(item)} FROM ${role}`),
    ...[...after].filter((item) => !before.has(item)).map((item) => `GRANT ${identifier(item)} TO ${role}`),
  ];
  const paths = next.searchPaths ?? [];
  if (JSON.stringify(old.searchPaths ?? []) !== JSON.stringify(paths)) {
    statements.push(
      paths.length === 0
        ? `ALTER ROLE ${role} RESET search_path`
        : `ALTER ROLE ${role} SET search_path TO ${paths.map((path) => identifier(path)).join(', ')}`,
    );
  }
  for (const [name, setting] of [
    ['statementTimeout', 'statement_timeout'],
    ['idleInTransactionSessionTimeout', 'idle_in_transaction_session_timeout'],
  ] as const) {
    const value = next[name] ?? 0;
    if ((old[name] ?? 0) === value) continue;
    statements.push(
      value === 0 ? `ALTER ROLE ${role} RESET ${setting}` : `ALTER ROLE ${role} SET ${setting} TO ${integer(value)}`,
    );
  }
  const assume = next.assumeRole ?? '';
  if ((old.assumeRole ?? '') !== assume) {
    statements.push(
      assume === '' ? `ALTER ROLE ${role} RESET ROLE` : `ALTER ROLE ${role} SET ROLE TO ${identifier(assume)}`,
    );
  }
  return statements;
}

/** Gives a role's objects of the connected database to the connected role, then takes what was granted to the role. */
export function releaseRoleSql(name: string): string[] {
  return [`REASSIGN OWNED BY ${identifier(name)} TO CURRENT_USER`, `DROP OWNED BY ${identifier(name)}`];
}

export function dropRoleSql(name: string): string {
  return `DROP ROLE ${identifier(name)}`;
}

/** One membership. */
export interface Membership {
  /** The role that becomes a member. */
  readonly role: string;
  /** The role that is granted. */
  readonly grantRole: string;
  readonly withAdminOption?: boolean;
}

export function grantRoleSql(membership: Membership): string {
  const admin = membership.withAdminOption ? ' WITH ADMIN OPTION' : '';
  return `GRANT ${identifier(membership.grantRole)} TO ${grantee(membership.role)}${admin}`;
}

export function revokeRoleSql(membership: Membership): string {
  return `REVOKE ${identifier(membership.grantRole)} FROM ${grantee(membership.role)}`;
}

/** Keeps the membership, takes the right to pass it on. */
export function revokeAdminOptionSql(membership: Membership): string {
  return `REVOKE ADMIN OPTION FOR ${identifier(membership.grantRole)} FROM ${grantee(membership.role)}`;
}
