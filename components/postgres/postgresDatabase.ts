import { ConfigMap } from '@pulumi/kubernetes/core/v1/configMap.js';
import { Secret } from '@pulumi/kubernetes/core/v1/secret.js';
import { Database } from '@pulumi/postgresql/database.js';
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
  /** Refuse to delete the database, its schemas and their owner. @default true */
  readonly protect?: boolean;
  /** Namespace of the Secrets and the ConfigMap. */
  readonly namespace: pulumi.Input<string>;
  readonly connection: ConnectionSettings;
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
  /** Name of the ConfigMap with `ca.crt`, when there is a root certificate. */
  readonly certificateConfigMapName: pulumi.Output<string> | undefined;

  /** @throws pulumi.RunError with every invalid argument. */
  constructor(name: string, args: PostgresDatabaseArguments, options?: pulumi.ComponentResourceOptions) {
    refuse(`PostgresDatabase "${name}"`, findings(name, args));
    super('development-operations:postgres:PostgresDatabase', name, {}, options);
    const names = physicalNames(args);
    const owner = this.createOwner(name, names.owner, args);
    const passwords = this.createPasswords(name, args);
    const roles = this.createRoles(name, args, owner, passwords);
    const database = this.createDatabase(name, args, owner, Object.values(roles));
    const schemas = this.createSchemas(name, args, database, owner);
    const grants = createGrants(name, { args, owner, roles, database, schemas, parent: this });
    this.certificateConfigMapName = this.createCertificate(name, args)?.metadata.name;
    this.connections = this.createConnections(name, args, { database, roles, passwords, grants });
    this.database = database.name;
    this.owner = owner.name;
    this.registerOutputs({ database: this.database, owner: this.owner });
  }

  private createOwner(name: string, role: string, args: PostgresDatabaseArguments): Role {
    return new Role(`${name}-owner`, { name: role, login: false }, { parent: this, protect: args.protect ?? true });
  }

  private createPasswords(name: string, args: PostgresDatabaseArguments): Record<string, pulumi.Output<string>> {
    const make = (role: string) =>
      new RandomPassword(`${name}-password-${role}`, { length: PASSWORD_LENGTH, special: false }, { parent: this });
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
  private createDatabase(name: string, args: PostgresDatabaseArguments, owner: Role, roles: Role[]): Database {
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
        { name: schema, database: database.name, owner: owner.name },
        { parent: this, protect: args.protect ?? true, deletedWith: database },
      );
    return Object.fromEntries([...args.schemas].sort().map((schema) => [schema, make(schema)]));
  }

  private createCertificate(name: string, args: PostgresDatabaseArguments): ConfigMap | undefined {
    if (args.connection.rootCertificate === undefined) return undefined;
    return new ConfigMap(
      `${name}-certificate`,
      {
        metadata: { name: `${name}-certificate`, namespace: args.namespace, labels: args.labels },
        data: { 'ca.crt': args.connection.rootCertificate },
      },
      { parent: this },
    );
  }

  private createConnections(
    name: string,
    args: PostgresDatabaseArguments,
    made: Made,
  ): Record<string, SecretReference> {
    const make = (role: string): SecretReference => {
      const password = made.passwords[role] as pulumi.Output<string>;
      const values = {
        ...settings(args.connection),
        PGDATABASE: made.database.name,
        PGUSER: made.roles[role]?.name ?? '',
      };
      const secret = new Secret(
        `${name}-connection-${role}`,
        {
          metadata: { name: `${name}-${role}`, namespace: args.namespace, labels: args.labels },
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
