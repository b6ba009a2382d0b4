import type * as pulumi from '@pulumi/pulumi';
import { selectorLabels } from '../components/kubernetes/labels.ts';
import { outerUrl } from '../components/loadBalancer/outerNginx.ts';
import { Namespace } from '../components/namespace/namespace.ts';
import { DatabaseAdministrator } from '../components/operationsApi/administrator.ts';
import { OperationsApi, POSTGRES_FOLDER, SETTINGS_FOLDER } from '../components/operationsApi/operationsApi.ts';
import type { ApiSettings, IssuerSettings } from '../components/operationsApi/settings.ts';
import { PostgresDatabase } from '../components/postgres/postgresDatabase.ts';
import type { Configuration, OperationsApiConfiguration, Settings } from './config.ts';
import { administratorRole, GATEWAY, OPERATIONS_API, operationsDatabase } from './configuration/operationsRelations.ts';
import type { Shared } from './environment.ts';
import { buildImages, operationsApiSource } from './images.ts';

export interface OperationsApiOutputs {
  /** Address for its clients. */
  readonly url: string;
  /** Name of its own database. */
  readonly database: pulumi.Output<string>;
}

/** The operations API, and what the gateway needs of it. */
export interface MadeOperationsApi {
  readonly outputs: OperationsApiOutputs;
  readonly image: pulumi.Output<string>;
  readonly settings: ApiSettings;
  /** Certificates in PEM by the names of files in the folder of the settings. */
  readonly certificates: Readonly<Record<string, string>>;
  readonly service: { readonly name: string; readonly port: number };
}

/** Where a pod finds the token of its service account, and the authority of the cluster. */
const ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The operations API with its database and its administrator, if the configuration has it. */
export function createOperationsApi(shared: Shared): MadeOperationsApi | undefined {
  const { settings, namespace, kubernetes, postgresql } = shared;
  const { operationsApi: configuration, database: server } = settings.configuration;
  if (!configuration || !server || !postgresql) return undefined;
  const image = buildImages(settings, operationsApiSource(configuration), shared.imageProviders)?.main;
  if (!image) throw new Error('there is no image "main" of the operations API');
  const database = createOwnDatabase(shared, configuration, server);
  const administrator = createAdministrator(settings.configuration, postgresql);
  const apiSettings = apiSettingsOf(settings.configuration, configuration, server);
  const certificates = issuerCertificates(settings);
  const namespaces = createNamespaces(settings.configuration, configuration, kubernetes);
  const connection = database.connections.service;
  if (!connection) throw new Error('the database of the operations API has no role "service"');
  const api = new OperationsApi(
    OPERATIONS_API,
    {
      namespace,
      image,
      settings: apiSettings,
      administrators: { [settings.configuration.environment]: administrator },
      connection,
      certificateConfigMapName: database.certificateConfigMapName,
      certificates,
      destinations: destinationsOf(apiSettings, configuration.tracesEndpoint),
      tracesEndpoint: configuration.tracesEndpoint,
      clients: selectorLabels(GATEWAY, 'gateway'),
      replicas: configuration.replicas,
      protect: configuration.protect,
      imagePullSecrets: [shared.pullSecret],
      resources: configuration.resources,
      timeoutSeconds: configuration.timeoutSeconds,
    },
    { provider: kubernetes, dependsOn: namespaces },
  );
  return {
    outputs: { url: apiSettings.publicUrl, database: database.database },
    image,
    settings: apiSettings,
    certificates,
    service: { name: OPERATIONS_API, port: api.servicePort },
  };
}

type Server = NonNullable<Configuration['database']>;

function createOwnDatabase(
  { settings, namespace, kubernetes, postgresql }: Shared,
  { protect }: OperationsApiConfiguration,
  server: Server,
): PostgresDatabase {
  return new PostgresDatabase(
    `${OPERATIONS_API}-database`,
    {
      ...operationsDatabase(settings.configuration),
      protect,
      namespace,
      connection: { ...address(server), sslmode: server.sslmode, rootCertificate: settings.files.rootCertificate },
    },
    { providers: [kubernetes, ...(postgresql ? [postgresql] : [])] },
  );
}

function createAdministrator(configuration: Configuration, provider: pulumi.ProviderResource): DatabaseAdministrator {
  const role = administratorRole(configuration);
  return new DatabaseAdministrator(`${OPERATIONS_API}-administrator`, { role }, { provider });
}

/** The namespaces that are not the stack's own, which is made elsewhere. */
function createNamespaces(
  configuration: Configuration,
  { createNamespaces: create }: OperationsApiConfiguration,
  provider: pulumi.ProviderResource,
): pulumi.Resource[] {
  if (!create) return [];
  const labels = { 'development-operations/environment': configuration.environment };
  return namespacesOf(configuration)
    .filter((name) => name !== configuration.kubernetes?.namespace)
    .map((name) => new Namespace(`${OPERATIONS_API}-${name}`, { name, create, labels }, { provider }));
}

/** The server as pods reach it. */
function address(server: Server): { host: string; port: number } {
  return { host: server.clusterHost ?? server.host, port: server.clusterPort ?? server.port };
}

function namespacesOf({ operationsApi, kubernetes }: Configuration): string[] {
  return [...(operationsApi?.namespaces ?? [kubernetes?.namespace ?? 'default'])].sort();
}

function apiSettingsOf(
  configuration: Configuration,
  { issuers, concurrency }: OperationsApiConfiguration,
  server: Server,
): ApiSettings {
  const { environment, database } = configuration;
  return {
    publicUrl: publicUrl(configuration),
    environments: {
      [environment]: {
        ...address(server),
        sslmode: server.sslmode,
        ...(database?.rootCertificateFile && { rootCertificateFile: `${POSTGRES_FOLDER}/ca.crt` }),
        adminDatabase: server.adminDatabase,
        superuser: false,
        usernameVariable: 'DATABASE_ADMIN_USERNAME',
        passwordVariable: 'DATABASE_ADMIN_PASSWORD',
      },
    },
    issuers: issuers.map((issuer, index) => issuerSettings(environment, issuer, index)),
    namespaces: namespacesOf(configuration),
    concurrency,
  };
}

/** The address of the host through what stands in front of the gateway. */
function publicUrl({ gateway, loadBalancer }: Configuration): string {
  const host = gateway?.host ?? 'localhost';
  return loadBalancer?.outer ? outerUrl(loadBalancer.outer, host) : `https://${host}`;
}

function issuerSettings(
  environment: string,
  { certificateAuthorityFile, cluster, rules, ...issuer }: OperationsApiConfiguration['issuers'][number],
  index: number,
): IssuerSettings {
  return {
    ...issuer,
    rules: rules.map(({ actions, ...rule }) => ({
      ...rule,
      scopes: actions.map((action) => `${environment}:${action}`),
    })),
    ...(cluster && { caFile: `${ACCOUNT_FOLDER}/ca.crt`, tokenFile: `${ACCOUNT_FOLDER}/token` }),
    ...(certificateAuthorityFile !== undefined && { caFile: `${SETTINGS_FOLDER}/${certificateFile(index)}` }),
  };
}

function certificateFile(index: number): string {
  return `issuer-${index}.crt`;
}

function issuerCertificates({ files }: Settings): Record<string, string> {
  const entries = Object.entries(files.operations.issuers);
  return Object.fromEntries(entries.map(([index, pem]) => [certificateFile(Number(index)), pem]));
}

/** The database servers, the issuers, and where spans are sent. */
function destinationsOf(
  { environments, issuers }: ApiSettings,
  tracesEndpoint: string | undefined,
): { host: string; port: number }[] {
  const servers = Object.values(environments).map(({ host, port }) => ({ host, port }));
  const urls = issuers
    .flatMap(({ issuer, jwksUri }) => [issuer, ...(jwksUri ? [jwksUri] : [])])
    .concat(tracesEndpoint ?? [])
    .map((url) => new URL(url));
  const portOf = ({ port, protocol }: URL) => Number(port || (protocol === 'http:' ? 80 : 443));
  return [...servers, ...urls.map((url) => ({ host: url.hostname, port: portOf(url) }))];
}
