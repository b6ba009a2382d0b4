import type { Database } from '@pulumi/postgresql/database.js';
import { DefaultPrivileges } from '@pulumi/postgresql/defaultPrivileges.js';
import { Grant } from '@pulumi/postgresql/grant.js';
import type { Role } from '@pulumi/postgresql/role.js';
import type { Schema } from '@pulumi/postgresql/schema.js';
import type * as pulumi from '@pulumi/pulumi';
import type { PostgresDatabaseArguments } from './postgresDatabase.ts';
import { privilegesOf } from './privileges.ts';

export interface GrantContext {
  readonly args: PostgresDatabaseArguments;
  readonly owner: Role;
  readonly roles: Readonly<Record<string, Role>>;
  readonly database: Database;
  readonly schemas: Readonly<Record<string, Schema>>;
  readonly parent: pulumi.ComponentResource;
}

/**
 * All grants of a database.
 *
 * Grants on one object change the same row of a system catalogue, and two at once fail with "tuple concurrently
 * updated" (cyrilgdn/terraform-provider-postgresql#178). So the grants on one object form a chain, each depending on
 * the one before; chains of different objects run beside each other.
 *
 * @returns the last grant of each chain: who waits for these has waited for all.
 */
export function createGrants(name: string, context: GrantContext): pulumi.Resource[] {
  return [
    ...databaseChain(name, context),
    ...publicSchemaChain(name, context),
    ...functionChain(name, context),
    ...Object.keys(context.schemas)
      .sort()
      .flatMap((schema) => [
        ...schemaChain(name, context, schema),
        ...objectChain(name, context, schema, 'table'),
        ...objectChain(name, context, schema, 'sequence'),
        ...defaultChain(name, context, schema, 'table'),
        ...defaultChain(name, context, schema, 'sequence'),
      ]),
  ];
}

type Link = (options: pulumi.CustomResourceOptions) => pulumi.Resource;

/** Creates the links one after the other, each depending on the one before; returns the last, if any. */
function chain(context: GrantContext, links: readonly Link[]): pulumi.Resource[] {
  let last: pulumi.Resource | undefined;
  for (const link of links) {
    last = link({
      parent: context.parent,
      dependsOn: last ? [last] : [],
      // Privileges vanish with their database: deleting them one by one would only take time.
      deletedWith: context.database,
    });
  }
  return last ? [last] : [];
}

/** PUBLIC may connect to every new database and create temporary tables in it; here only the login roles may. */
function databaseChain(name: string, context: GrantContext): pulumi.Resource[] {
  const grant = (suffix: string, role: pulumi.Input<string>, privileges: readonly string[]): Link => {
    const inputs = { database: context.database.name, role, objectType: 'database', privileges: [...privileges] };
    return (options) => new Grant(`${name}-grant-database-${suffix}`, inputs, options);
  };
  return chain(context, [
    grant('public', 'public', []),
    ...eachRole(context, 'database').map(([role, physical, privileges]) => grant(role, physical, privileges)),
  ]);
}

/** The schema "public" exists in every database; nothing of an application belongs there. */
function publicSchemaChain(name: string, context: GrantContext): pulumi.Resource[] {
  const inputs = {
    database: context.database.name,
    role: 'public',
    objectType: 'schema',
    schema: 'public',
    privileges: [],
  };
  return chain(context, [(options) => new Grant(`${name}-grant-schema-public-public`, inputs, options)]);
}

/** PUBLIC may execute every new function; the owner's are closed. Only a default for all schemas can take this away. */
function functionChain(name: string, context: GrantContext): pulumi.Resource[] {
  const inputs = {
    database: context.database.name,
    owner: context.owner.name,
    role: 'public',
    objectType: 'function',
    privileges: [],
  };
  return chain(context, [(options) => new DefaultPrivileges(`${name}-default-function-public`, inputs, options)]);
}

function schemaChain(name: string, context: GrantContext, schema: string): pulumi.Resource[] {
  const links = eachRole(context, 'schema').map(([role, physical, privileges]): Link => {
    const inputs = { ...schemaInputs(context, schema), role: physical, objectType: 'schema', privileges };
    return (options) => new Grant(`${name}-grant-schema-${schema}-${role}`, inputs, options);
  });
  return chain(context, links);
}

/** For what exists already, so that a role that is added later reads the tables of before. */
function objectChain(
  name: string,
  context: GrantContext,
  schema: string,
  objectType: 'table' | 'sequence',
): pulumi.Resource[] {
  const links = eachRole(context, objectType).map(([role, physical, privileges]): Link => {
    const inputs = { ...schemaInputs(context, schema), role: physical, objectType, privileges };
    return (options) => new Grant(`${name}-grant-${objectType}-${schema}-${role}`, inputs, options);
  });
  return chain(context, links);
}

/** For what comes: default privileges belong to the role that creates, which is the owner (migrations become it). */
function defaultChain(
  name: string,
  context: GrantContext,
  schema: string,
  objectType: 'table' | 'sequence',
): pulumi.Resource[] {
  const links = eachRole(context, objectType).map(([role, physical, privileges]): Link => {
    const inputs = {
      ...schemaInputs(context, schema),
      owner: context.owner.name,
      role: physical,
      objectType,
      privileges,
    };
    return (options) => new DefaultPrivileges(`${name}-default-${objectType}-${schema}-${role}`, inputs, options);
  });
  return chain(context, links);
}

function schemaInputs(context: GrantContext, schema: string) {
  return { database: context.database.name, schema: context.schemas[schema]?.name ?? schema };
}

/** The roles that get privileges on this kind of object in their own name, sorted. */
function eachRole(
  context: GrantContext,
  kind: 'database' | 'schema' | 'table' | 'sequence',
): [string, pulumi.Output<string>, string[]][] {
  return Object.keys(context.args.roles)
    .sort()
    .flatMap((role) => {
      const privileges = privilegesOf(context.args.roles[role]?.access ?? 'read')[kind];
      const physical = context.roles[role]?.name;
      return privileges.length > 0 && physical ? [[role, physical, [...privileges]]] : [];
    });
}
