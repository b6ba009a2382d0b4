import { readFileSync } from 'node:fs';
import { Provider as KubernetesProvider } from '@pulumi/kubernetes/provider.js';
import { Provider as PostgresqlProvider } from '@pulumi/postgresql/provider.js';
import * as pulumi from '@pulumi/pulumi';
import { digestOf } from '../components/kubernetes/fingerprint.ts';
import { type LoginRole, PostgresDatabase, type SslMode } from '../components/postgres/postgresDatabase.ts';
import type { Configuration, DatabaseConfiguration, Settings } from './config.ts';
import { tenantDatabase } from './configuration/relations.ts';

/** Where a tenant's database and its Secrets are made. */
export interface DatabasePlace {
  readonly namespace: pulumi.Output<string>;
  readonly providers: pulumi.ProviderResource[];
}

/**
 * The database of one application.
 *
 * @param server the server that it is made on: the configuration's `database`.
 */
export function createDatabase(
  settings: Settings,
  application: string,
  tenant: DatabaseConfiguration,
  server: NonNullable<Configuration['database']>,
  place: DatabasePlace,
): PostgresDatabase {
  return new PostgresDatabase(
    `${application}-database`,
    {
      ...tenantDatabase(settings.configuration, application, tenant),
      connectionLimit: tenant.connectionLimit,
      protect: tenant.protect,
      namespace: place.namespace,
      connection: {
        host: server.clusterHost ?? server.host,
        port: server.clusterPort ?? server.port,
        sslmode: server.sslmode,
        rootCertificate: settings.files.rootCertificate,
      },
    },
    { providers: place.providers },
  );
}

/** The database server of one environment, as its administrator. */
export interface TenantServer {
  readonly host: string;
  readonly port: number;
  readonly sslmode: SslMode;
  /** Path of the certificate authority in PEM. @default the system's */
  readonly rootCertificateFile?: string;
  /** Database that the administrator connects to. */
  readonly database: string;
  readonly superuser: boolean;
  readonly username: string;
  readonly password: string;
}

export interface TenantArguments {
  /** Name in PostgreSQL. */
  readonly database: string;
  /** Label of the Secrets: `development-operations/environment`. */
  readonly environment: string;
  readonly schemas: readonly string[];
  readonly roles: Readonly<Record<string, Pick<LoginRole, 'access' | 'connectionLimit'>>>;
  readonly connectionLimit?: number;
  /** `secret`: a Secret for each role, in the cluster that the program runs in; `return`: no Secrets. */
  readonly delivery: { readonly type: 'secret'; readonly namespace: string } | { readonly type: 'return' };
  /** Another text makes another password, by role; `''` is for the roles that are not named. */
  readonly rotations: Readonly<Record<string, string>>;
  /** Schemas of `schemas` that may be deleted with what they hold. @default none */
  readonly dropSchemas?: readonly string[];
  readonly server: TenantServer;
}

export interface Tenant {
  /** Connection settings by role, secret, as libpq's variables. */
  readonly credentials: PostgresDatabase['credentials'];
}

/** Connections of one run to the tenant's database: its steps wait for each other more than for the server. */
const TENANT_CONNECTIONS = 1;

/**
 * The whole program of one tenant's stack.
 *
 * Nothing is protected here: whether data may be deleted is asked before the engine is.
 *
 * @throws pulumi.RunError with every invalid argument.
 */
export function deployTenant(tenant: TenantArguments): Tenant {
  const { delivery, server } = tenant;
  const inCluster = delivery.type === 'secret';
  const providers: pulumi.ProviderResource[] = [tenantServer(server)];
  // Without a kubeconfig it takes the pod's own service account.
  if (inCluster) providers.push(new KubernetesProvider('kubernetes', { enableServerSideApply: true }));
  const database = new PostgresDatabase(
    'database',
    {
      database: tenant.database,
      schemas: tenant.schemas,
      roles: tenant.roles,
      connectionLimit: tenant.connectionLimit,
      protect: false,
      administrator: server.superuser ? undefined : server.username,
      rotations: rotationsOf(tenant),
      dropSchemas: tenant.dropSchemas,
      connection: tenantConnection(server, inCluster),
      ...(inCluster && {
        namespace: delivery.namespace,
        objectName: objectName(tenant.database),
        labels: { 'development-operations/environment': tenant.environment },
      }),
    },
    { providers },
  );
  return { credentials: database.credentials };
}

function tenantServer(server: TenantServer): pulumi.ProviderResource {
  return new PostgresqlProvider('postgresql', {
    host: server.host,
    port: server.port,
    database: server.database,
    username: pulumi.secret(server.username),
    password: pulumi.secret(server.password),
    sslmode: server.sslmode,
    sslrootcert: server.rootCertificateFile,
    superuser: server.superuser,
    maxConnections: TENANT_CONNECTIONS,
    connectTimeout: 30,
  });
}

/** A caller has the certificate authority in a place of its own: only a Secret can carry it. */
function tenantConnection({ host, port, sslmode, rootCertificateFile }: TenantServer, inCluster: boolean) {
  const shared = { host, port, sslmode };
  if (!inCluster || rootCertificateFile === undefined) return shared;
  const rootCertificate = readFileSync(rootCertificateFile, 'utf8');
  return { ...shared, rootCertificate, certificateIn: 'secret' as const };
}

function rotationsOf({ roles, rotations }: TenantArguments): Record<string, string> {
  const found = Object.keys(roles).map((role) => [role, rotations[role] ?? rotations['']] as const);
  return Object.fromEntries(found.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/**
 * A database's name as the first part of Kubernetes names: `orders_dev` becomes `orders-dev`. Where letters are lost on
 * the way, a digest keeps two databases apart.
 */
export function objectName(database: string): string {
  const plain = database.replaceAll('_', '-');
  if (/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(plain) && !database.includes('-')) return plain;
  const readable = database
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  return [...(readable === '' ? ['database'] : [readable]), digestOf(database)].join('-');
}
