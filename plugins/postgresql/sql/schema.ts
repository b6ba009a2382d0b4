/** Statements that make, change and drop schemas and extensions. */

import { grantee, identifier, PUBLIC } from './quote.ts';

export interface SchemaAttributes {
  readonly name: string;
  readonly owner?: string;
}

/** Deprecated in the SDK in favour of Grant with objectType `schema`; an empty role is PUBLIC. */
export interface SchemaPolicy {
  readonly role?: string;
  readonly create?: boolean;
  readonly createWithGrant?: boolean;
  readonly usage?: boolean;
  readonly usageWithGrant?: boolean;
}

export function createSchemaSql(schema: SchemaAttributes): string {
  const owner = schema.owner ? ` AUTHORIZATION ${identifier(schema.owner)}` : '';
  return `CREATE SCHEMA ${identifier(schema.name)}${owner}`;
}

export function alterSchemaSql(old: SchemaAttributes, next: SchemaAttributes): string[] {
  const statements: string[] = [];
  if (old.name !== next.name) {
    statements.push(`ALTER SCHEMA ${identifier(old.name)} RENAME TO ${identifier(next.name)}`);
  }
  if (next.owner && next.owner !== old.owner) {
    statements.push(`ALTER SCHEMA ${identifier(next.name)} OWNER TO ${identifier(next.owner)}`);
  }
  return statements;
}

export function dropSchemaSql(name: string, cascade: boolean): string {
  return `DROP SCHEMA ${identifier(name)} ${cascade ? 'CASCADE' : 'RESTRICT'}`;
}

export function grantPolicySql(schema: string, policy: SchemaPolicy): string[] {
  const to = `ON SCHEMA ${identifier(schema)} TO ${grantee(policy.role || PUBLIC)}`;
  const statements: string[] = [];
  for (const [privilege, plain, withGrant] of [
    ['CREATE', policy.create, policy.createWithGrant],
    ['USAGE', policy.usage, policy.usageWithGrant],
  ] as const) {
    if (withGrant) statements.push(`GRANT ${privilege} ${to} WITH GRANT OPTION`);
    else if (plain) statements.push(`GRANT ${privilege} ${to}`);
  }
  return statements;
}

export function revokePolicySql(schema: string, policy: SchemaPolicy): string {
  return `REVOKE ALL ON SCHEMA ${identifier(schema)} FROM ${grantee(policy.role || PUBLIC)}`;
}

export interface ExtensionAttributes {
  readonly name: string;
  readonly schema?: string;
  readonly version?: string;
  readonly createCascade?: boolean;
}

export function createExtensionSql(extension: ExtensionAttributes): string {
  return [
    `CREATE EXTENSION IF NOT EXISTS ${identifier(extension.name)}`,
    ...(extension.schema ? [`SCHEMA ${identifier(extension.schema)}`] : []),
    ...(extension.version ? [`VERSION ${identifier(extension.version)}`] : []),
    ...(extension.createCascade ? ['CASCADE'] : []),
  ].join(' ');
}

export function alterExtensionSql(old: ExtensionAttributes, next: ExtensionAttributes): string[] {
  const name = identifier(next.name);
  const statements: string[] = [];
  if (next.schema && next.schema !== old.schema) {
    statements.push(`ALTER EXTENSION ${name} SET SCHEMA ${identifier(next.schema)}`);
  }
  if (next.version && next.version !== old.version) {
    statements.push(`ALTER EXTENSION ${name} UPDATE TO ${identifier(next.version)}`);
  }
  return statements;
}

export function dropExtensionSql(name: string, cascade: boolean): string {
  return `DROP EXTENSION ${identifier(name)} ${cascade ? 'CASCADE' : 'RESTRICT'}`;
}
