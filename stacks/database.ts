import type * as pulumi from '@pulumi/pulumi';
import { PostgresDatabase } from '../components/postgres/postgresDatabase.ts';
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
