/** Statements that make, change and drop databases. CREATE and DROP DATABASE cannot run in a transaction. */

import { identifier, integer, literal } from './quote.ts';

/** A database as it is in the SDK; absent values are left to the server, except those with a default. */
export interface DatabaseAttributes {
  readonly name: string;
  /** @default the connected role */
  readonly owner?: string;
  /** `DEFAULT` is the server's. @default 'template0' */
  readonly template?: string;
  /** @default 'UTF8' */
  readonly encoding?: string;
  readonly lcCollate?: string;
  readonly lcCtype?: string;
  readonly tablespaceName?: string;
  /** -1 is without limit. @default -1 */
  readonly connectionLimit?: number;
  /** @default true */
  readonly allowConnections?: boolean;
  readonly isTemplate?: boolean;
}

function isDefault(value: string): boolean {
  return value.toUpperCase() === 'DEFAULT';
}

function option(keyword: string, value: string | undefined, quote: (value: string) => string): string[] {
  if (!value) return [];
  return [`${keyword} ${isDefault(value) ? 'DEFAULT' : quote(value)}`];
}

export function createDatabaseSql(database: DatabaseAttributes): string {
  return [
    `CREATE DATABASE ${identifier(database.name)}`,
    ...(database.owner ? [`OWNER ${identifier(database.owner)}`] : []),
    ...option('TEMPLATE', database.template || 'template0', identifier),
    ...option('ENCODING', database.encoding || 'UTF8', literal),
    ...option('LC_COLLATE', database.lcCollate, literal),
    ...option('LC_CTYPE', database.lcCtype, literal),
    ...option('TABLESPACE', database.tablespaceName, identifier),
    `ALLOW_CONNECTIONS ${database.allowConnections ?? true}`,
    `CONNECTION LIMIT ${integer(database.connectionLimit ?? -1)}`,
    `IS_TEMPLATE ${database.isTemplate ?? false}`,
  ].join(' ');
}

/** ALTER DATABASE statements from `old` to `next`, the new name first and the owner last. */
export function alterDatabaseSql(old: DatabaseAttributes, next: DatabaseAttributes): string[] {
  const name = identifier(next.name);
  const statements = old.name === next.name ? [] : [`ALTER DATABASE ${identifier(old.name)} RENAME TO ${name}`];
  if ((next.tablespaceName ?? '') !== '' && next.tablespaceName !== old.tablespaceName) {
    const space = next.tablespaceName ?? '';
    statements.push(`ALTER DATABASE ${name} SET TABLESPACE ${isDefault(space) ? 'pg_default' : identifier(space)}`);
  }
  if ((next.connectionLimit ?? -1) !== (old.connectionLimit ?? -1)) {
    statements.push(`ALTER DATABASE ${name} CONNECTION LIMIT ${integer(next.connectionLimit ?? -1)}`);
  }
  if ((next.allowConnections ?? true) !== (old.allowConnections ?? true)) {
    statements.push(`ALTER DATABASE ${name} ALLOW_CONNECTIONS ${next.allowConnections ?? true}`);
  }
  if (next.isTemplate !== undefined && next.isTemplate !== (old.isTemplate ?? false)) {
    statements.push(isTemplateSql(next.name, next.isTemplate));
  }
  if (next.owner && next.owner !== old.owner)
    statements.push(`ALTER DATABASE ${name} OWNER TO ${identifier(next.owner)}`);
  return statements;
}

/** A template cannot be dropped until it is none. */
export function isTemplateSql(name: string, isTemplate: boolean): string {
  return `ALTER DATABASE ${identifier(name)} IS_TEMPLATE ${isTemplate}`;
}

/** @param force ends the sessions in it (PostgreSQL 13 and later). */
export function dropDatabaseSql(name: string, force: boolean): string {
  return `DROP DATABASE ${identifier(name)}${force ? ' WITH (FORCE)' : ''}`;
}

export function reassignOwnedSql(from: string, to: string): string {
  return `REASSIGN OWNED BY ${identifier(from)} TO ${identifier(to)}`;
}
