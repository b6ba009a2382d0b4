import { ConfigMap } from '@pulumi/kubernetes/core/v1/configMap.js';
import { Secret } from '@pulumi/kubernetes/core/v1/secret.js';
import { Database } from '@pulumi/postgresql/database.js';
import { GrantRole } from '@pulumi/postgresql/grantRole.js';
import { Role } from '@pulumi/postgresql/role.js';
import { Schema } from '@pulumi/postgresql/schema.js';
import * as pulumi from '@pulumi/pulumi';
import { RandomPassword } from '@pulumi/random/randomPassword.js';
import { refuse } from '../findings.ts';
import { keyedDigestOf } from '../kubernetes/fingerprint.ts';
import { base64Values, type SecretReference } from '../secrets/applicationSecrets.ts';
import { findings, PASSWORD_LENGTH, physicalNames } from './arguments.ts';
import { createGrants } from './grants.ts';
import type { Access } from './privileges.ts';

/** A role that logs in. */
export interface LoginRole {
  /** `owner` for migrations, `write` for the application, `read` for reports. */
  readonly access: Access;
  /** Name in PostgreSQL. @default `<database>_<role>` */
  readonly name?: string;
  /** Most connections at once, -1 for no limit. @default -1 */
  readonly connectionLimit?: number;
}

/** How pods reach the server. */
export interface ConnectionSettings {
  readonly host: pulumi.Input<string>;
  /** @default 5432 */
  readonly port?: number;
  /** https://www.postgresql.org/docs/current/libpq-ssl.html @default 'verify-full' */
  readonly sslmode?: SslMode;
  /** Certificate authority in PEM, handed to the pods in a ConfigMap. @default the system's */
  readonly rootCertificate?: pulumi.Input<string>;
  /** Folder at which pods mount that ConfigMap. @default '/etc/postgres' */
  readonly certificateFolder?: string;
  /** Where pods find the certificate authority: a ConfigMap, or `ca.crt` in each Secret. @default 'configMap' */
  readonly certificateIn?: 'configMap' | 'secret';
}

export type SslMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

export interface PostgresDatabaseArguments {
  /** Name of the database in PostgreSQL, at most 63 bytes. */
  readonly database: string;
  /** Schemas, owned by the owner role; also the roles' search path. */
  readonly schemas: readonly string[];
  /** Roles that log in, by a short name such as `application` and `migrations`. */
  readonly roles: Readonly<Record<string, LoginRole>>;
  /** Most connections to the database at once, -1 for no limit. @default -1 */
  readonly connectionLimit?: number;
  /**
   * Role as which the provider connects, when it is no superuser: it becomes a member of the owner. Without that it
   * cannot enter the database, from which PUBLIC is kept (since PostgreSQL 16 creating a role gives no use of its
   * privileges: documentation 22.2). @default none: a superuser enters every database
   */
  readonly administrator?: string;
  /** Refuse to delete the database, its schemas and their owner. @default true */
  readonly protect?: boolean;
  /**
   * Namespace of the Secrets and the ConfigMap.
   * @default none: neither is made, and who needs the credentials takes them from `credentials`
   */
  readonly namespace?: pulumi.Input<string>;
  /** First part of the names of the Secrets and the ConfigMap, a DNS-1123 subdomain. @default the component's name */
  readonly objectName?: string;
  readonly connection: ConnectionSettings;
  /** A text for each role; another text makes another password. @default none: a password stays as it is */
  readonly rotations?: Readonly<Record<string, string>>;
  /** Names of schemas that may be deleted with what they hold. @default none */
  readonly dropSchemas?: readonly string[];
  /** Labels of the Secrets and the ConfigMap. @default none */
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * One database with an owner that cannot log in, roles that can, schemas, and only the privileges that each role
 * needs; PUBLIC has none. Each login role has a generated password and a Secret with libpq's variables (PGHOST, ...).
 */
export class PostgresDatabase extends pulumi.ComponentResource {
  /** Name of the database in PostgreSQL. */
  readonly database: pulumi.Output<string>;
  /** Name of the owner in PostgreSQL. */
  readonly owner: pulumi.Output<string>;
  /** The Secret with the connection settings of each login role, by its short name; usable when all grants are. */
  readonly connections: Readonly<Record<string, SecretReference>>;
  /**
   * The connection settings of each login role as libpq's variables (PGHOST, …), by its short name; secret, as they hold
   * PGPASSWORD, and there when all grants are.
   */
  readonly credentials: Readonly<Record<string, pulumi.Output<Readonly<Record<string, string>>>>>;
  /** Name of the ConfigMap with `ca.crt`, when there is a root certificate that goes into one. */
  readonly certificateConfigMapName: pulumi.Output<string> | undefined;

  /** @throws pulumi.RunError with every invalid argument. */
  constructor(name: string, args: PostgresDatabaseArguments, options?: pulumi.ComponentResourceOptions) {
    refuse(`PostgresDatabase "${name}"`, findings(name, args));
    super('development-operations:postgres:PostgresDatabase', name, {}, options);
    const names = physicalNames(args);
    const owner = this.createOwner(name, names.owner, args);
    const passwords = this.createPasswords(name, args);
    const roles = this.createRoles(name, args, owner, passwords);
    const administration = this.createAdministration(name, args, owner);
    const database = this.createDatabase(name, args, owner, [...Object.values(roles), ...administration]);
    const schemas = this.createSchemas(name, args, database, owner);
    const grants = createGrants(name, { args, owner, roles, database, schemas, parent: this });
    this.certificateConfigMapName = this.createCertificate(name, args)?.metadata.name;
    const made = { database, roles, passwords, grants };
    this.connections = this.createConnections(name, args, made);
    this.credentials = credentialsOf(args, made);
    this.database = database.name;
    this.owner = owner.name;
    this.registerOutputs({ database: this.database, owner: this.owner });
  }

  private createOwner(name: string, role: string, args: PostgresDatabaseArguments): Role {
    return new Role(`${name}-owner`, { name: role, login: false }, { parent: this, protect: args.protect ?? true });
  }

  private createAdministration(name: string, { administrator }: PostgresDatabaseArguments, owner: Role): GrantRole[] {
    if (administrator === undefined) return [];
    const inputs = { role: administrator, grantRole: owner.name };
    return [new GrantRole(`${name}-administrator`, inputs, { parent: this })];
  }

  private createPasswords(name: string, args: PostgresDatabaseArguments): Record<string, pulumi.Output<string>> {
    const make = (role: string) =>
      new RandomPassword(
        `${name}-password-${role}`,
        { length: PASSWORD_LENGTH, special: false, ...keepers(args.rotations?.[role]) },
        { parent: this },
      );
    return Object.fromEntries(roleNames(args).map((role) => [role, make(role).result]));
  }

  private createRoles(
    name: string,
    args: PostgresDatabaseArguments,
    owner: Role,
    passwords: Record<string, pulumi.Output<string>>,
  ): Record<string, Role> {
    const names = physicalNames(args).roles;
    const make = (role: string) => {
      const { access, connectionLimit } = args.roles[role] as LoginRole;
      const membership = access === 'owner' ? { roles: [owner.name], assumeRole: owner.name } : {};
      return new Role(
        `${name}-role-${role}`,
        {
          name: names[role] as string,
          login: true,
          password: passwords[role],
          connectionLimit: connectionLimit ?? -1,
          searchPaths: [...args.schemas],
          ...membership,
        },
        { parent: this },
      );
    };
    return Object.fromEntries(roleNames(args).map((role) => [role, make(role)]));
  }

  /** After the roles, so that it is deleted before them: a role with privileges in a database cannot be dropped. */
  private createDatabase(
    name: string,
    args: PostgresDatabaseArguments,
    owner: Role,
    roles: (Role | GrantRole)[],
  ): Database {
    return new Database(
      `${name}-database`,
      { name: args.database, owner: owner.name, encoding: 'UTF8', connectionLimit: args.connectionLimit ?? -1 },
      { parent: this, protect: args.protect ?? true, dependsOn: roles },
    );
  }

  private createSchemas(
    name: string,
    args: PostgresDatabaseArguments,
    database: Database,
    owner: Role,
  ): Record<string, Schema> {
    const make = (schema: string) =>
      new Schema(
        `${name}-schema-${schema}`,
        // Without dropCascade a schema with data is only ever deleted together with its database.
        { name: schema, database: database.name, owner: owner.name, ...dropCascade(args, schema) },
        { parent: this, protect: args.protect ?? true, deletedWith: database },
      );
    return Object.fromEntries([...args.schemas].sort().map((schema) => [schema, make(schema)]));
  }

  private createCertificate(name: string, args: PostgresDatabaseArguments): ConfigMap | undefined {
    const { rootCertificate, certificateIn } = args.connection;
    if (rootCertificate === undefined || certificateIn === 'secret' || args.namespace === undefined) return undefined;
    return new ConfigMap(
      `${name}-certificate`,
      {
        metadata: { name: `${args.objectName ?? name}-certificate`, namespace: args.namespace, labels: args.labels },
        data: { 'ca.crt': rootCertificate },
      },
      { parent: this },
    );
  }

  private createConnections(
    name: string,
    args: PostgresDatabaseArguments,
    made: Made,
  ): Record<string, SecretReference> {
    if (args.namespace === undefined) return {};
    const make = (role: string): SecretReference => {
      const password = made.passwords[role] as pulumi.Output<string>;
      const values = { ...settingsOf(args, made, role), ...certificate(args.connection) };
      const secret = new Secret(
        `${name}-connection-${role}`,
        {
          metadata: { name: `${args.objectName ?? name}-${role}`, namespace: args.namespace, labels: args.labels },
          type: 'Opaque',
          data: base64Values({ ...values, PGPASSWORD: password }),
        },
        // Whoever reads the Secret may connect at once, so it comes after the last grant.
        { parent: this, dependsOn: made.grants },
      );
      // The generated password is the key: it is long enough that the digest tells nothing about it.
      const checksum = pulumi.all([password, pulumi.all(values)]).apply(([key, plain]) => keyedDigestOf(key, plain));
      return { name: secret.metadata.name, checksum: pulumi.unsecret(checksum) };
    };
    return Object.fromEntries(roleNames(args).map((role) => [role, make(role)]));
  }
}

interface Made {
  readonly database: Database;
  readonly roles: Record<string, Role>;
  readonly passwords: Record<string, pulumi.Output<string>>;
  readonly grants: pulumi.Resource[];
}

/** Only where there is one, so that passwords made without it stay as they are. */
function keepers(rotation: string | undefined): { keepers?: Record<string, string> } {
  return rotation === undefined ? {} : { keepers: { rotation } };
}

function dropCascade({ dropSchemas }: PostgresDatabaseArguments, schema: string): { dropCascade?: true } {
  return dropSchemas?.includes(schema) ? { dropCascade: true } : {};
}

function certificate(connection: ConnectionSettings): Record<string, pulumi.Input<string>> {
  const { rootCertificate, certificateIn } = connection;
  return rootCertificate !== undefined && certificateIn === 'secret' ? { 'ca.crt': rootCertificate } : {};
}

function credentialsOf(args: PostgresDatabaseArguments, made: Made): PostgresDatabase['credentials'] {
  const granted = pulumi.all(made.grants.map((grant) => grant.urn));
  const of = (role: string): pulumi.Output<Readonly<Record<string, string>>> => {
    const values: pulumi.Output<Record<string, string>> = pulumi.all(settingsOf(args, made, role));
    const password = made.passwords[role] as pulumi.Output<string>;
    return pulumi.secret(
      pulumi
        .all([values, password, granted])
        .apply(([plain, PGPASSWORD]): Record<string, string> => ({ ...plain, PGPASSWORD })),
    );
  };
  return Object.fromEntries(roleNames(args).map((role) => [role, of(role)]));
}

/** What a role needs to connect, but for its password. */
function settingsOf(args: PostgresDatabaseArguments, made: Made, role: string): Record<string, pulumi.Input<string>> {
  return { ...settings(args.connection), PGDATABASE: made.database.name, PGUSER: made.roles[role]?.name ?? '' };
}

/** The connection settings that all roles share, as libpq's environment variables. */
function settings(connection: ConnectionSettings): Record<string, pulumi.Input<string>> {
  const shared = {
    PGHOST: connection.host,
    PGPORT: String(connection.port ?? 5432),
    PGSSLMODE: connection.sslmode ?? 'verify-full',
  };
  if (connection.rootCertificate === undefined) return shared;
  return { ...shared, PGSSLROOTCERT: `${connection.certificateFolder ?? '/etc/postgres'}/ca.crt` };
}

function roleNames(args: PostgresDatabaseArguments): string[] {
  return Object.keys(args.roles).sort();
}
