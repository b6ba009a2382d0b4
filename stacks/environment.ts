import * as pulumi from '@pulumi/pulumi';
import { Application } from '../components/application/application.ts';
import { digestOf } from '../components/kubernetes/fingerprint.ts';
import { ResourceFiles } from '../components/manifests/resourceFiles.ts';
import { Namespace } from '../components/namespace/namespace.ts';
import type { PostgresDatabase } from '../components/postgres/postgresDatabase.ts';
import { RegistrySecret } from '../components/registry/registrySecret.ts';
import { ApplicationSecrets, type SecretReference } from '../components/secrets/applicationSecrets.ts';
import type { ApplicationConfiguration, Configuration, Settings } from './config.ts';
import { SecretText } from './configuration/leaves.ts';
import { createDatabase } from './database.ts';
import { createGateway, type GatewayOutputs } from './gateway.ts';
import { createImages } from './images.ts';
import { createOperationsApi, type OperationsApiOutputs } from './operationsApi.ts';
import { imageProviders, kubernetesProvider, postgresqlProvider } from './providers.ts';

/** What the stack tells of one application; nothing of it is secret. */
export interface ApplicationOutputs {
  readonly url: pulumi.Output<string | undefined>;
  readonly healthPath: string;
  readonly images: Readonly<Record<string, pulumi.Output<string>>>;
  readonly database?: {
    readonly name: pulumi.Output<string>;
    readonly owner: pulumi.Output<string>;
    /** Names of the Kubernetes Secrets with the connection settings, by login role. */
    readonly connectionSecrets: Readonly<Record<string, pulumi.Output<string>>>;
  };
}

/** The outputs of the stack `environment`. */
export interface EnvironmentOutputs {
  readonly namespace: pulumi.Output<string>;
  /**
   * What `OPERATIONS_VERSION` named when it was deployed; absent when it named nothing. There when all applications are
   * rolled out, so that a version that failed never takes the place of the one before.
   */
  readonly version?: pulumi.Output<string>;
  readonly applications: Readonly<Record<string, ApplicationOutputs>>;
  readonly gateway?: GatewayOutputs;
  readonly operationsApi?: OperationsApiOutputs;
}

/** What the parts of one environment share. */
export interface Shared {
  readonly settings: Settings;
  readonly namespace: pulumi.Output<string>;
  readonly pullSecret: pulumi.Output<string>;
  readonly images: ReturnType<typeof createImages>;
  readonly imageProviders: pulumi.ProviderResource[];
  readonly kubernetes: pulumi.ProviderResource;
  readonly postgresql: pulumi.ProviderResource | undefined;
}

/** One environment: namespace, pull secret, images and, for each application, database, secrets and workloads. */
export function deployEnvironment(settings: Settings): EnvironmentOutputs {
  const { configuration } = settings;
  const builders = imageProviders(configuration);
  const images = createImages(settings, builders);
  const kubernetes = kubernetesProvider(configuration);
  const namespace = createNamespace(configuration, kubernetes);
  const pullSecret = createPullSecret(configuration, namespace, kubernetes);
  const tenants = Object.values(configuration.applications).some((application) => application.database);
  const usesDatabase = tenants || configuration.operationsApi !== undefined;
  const postgresql = configuration.database && usesDatabase ? postgresqlProvider(configuration.database) : undefined;
  const shared = { settings, namespace, pullSecret, images, imageProviders: builders, kubernetes, postgresql };
  const applications = Object.entries(configuration.applications)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, application]) => ({ name, ...createApplication(name, application, shared) }));
  const operationsApi = createOperationsApi(shared);
  const gateway = createGateway(shared, operationsApi);
  const { version } = settings;
  const rolledOut = pulumi.all(applications.map(({ deploymentName }) => deploymentName));
  return {
    namespace,
    ...(version && { version: rolledOut.apply(() => version) }),
    applications: Object.fromEntries(applications.map(({ name, outputs }) => [name, outputs])),
    ...(gateway && { gateway }),
    ...(operationsApi && { operationsApi: operationsApi.outputs }),
  };
}

function createNamespace(configuration: Configuration, provider: pulumi.ProviderResource): pulumi.Output<string> {
  const { namespace = 'default', createNamespace: create } = configuration.kubernetes ?? {};
  const labels = { 'development-operations/environment': configuration.environment };
  return new Namespace('environment', { name: namespace, create, labels }, { provider }).namespaceName;
}

function createPullSecret(
  { registry }: Configuration,
  namespace: pulumi.Output<string>,
  provider: pulumi.ProviderResource,
): pulumi.Output<string> {
  const registries = [registry, ...registry.pullFrom].map(({ server, username, password }) => ({
    server,
    username: username.output(),
    password: password.output(),
  }));
  return new RegistrySecret('registry', { namespace, registries }, { provider }).secretName;
}

/** One application, as far as the stack tells of it. */
interface MadeApplication {
  readonly outputs: ApplicationOutputs;
  readonly deploymentName: pulumi.Output<string>;
}

function createApplication(name: string, application: ApplicationConfiguration, shared: Shared): MadeApplication {
  const images = shared.images[name] ?? {};
  const database = createApplicationDatabase(name, application, shared);
  const secrets = createSecrets(name, application, shared);
  const resources = createResourceFiles(name, shared);
  const { url, deploymentName } = createWorkloads(name, application, shared, { database, secrets, resources });
  const { healthPath } = application;
  return {
    outputs: { url, healthPath, images, ...(database && { database: databaseOutputs(database) }) },
    deploymentName,
  };
}

function createApplicationDatabase(
  name: string,
  application: ApplicationConfiguration,
  { settings, namespace, kubernetes, postgresql }: Shared,
): PostgresDatabase | undefined {
  const server = settings.configuration.database;
  if (!application.database || !server || !postgresql) return undefined;
  return createDatabase(settings, name, application.database, server, {
    namespace,
    providers: [kubernetes, postgresql],
  });
}

function createSecrets(
  name: string,
  application: ApplicationConfiguration,
  { namespace, kubernetes }: Shared,
): SecretReference | undefined {
  const entries = Object.entries(application.secrets);
  if (entries.length === 0) return undefined;
  const values = entries.map(([key, value]) => [key, value instanceof SecretText ? value.output() : value] as const);
  const args = { namespace, values: Object.fromEntries(values) };
  return new ApplicationSecrets(`${name}-secrets`, args, { provider: kubernetes }).secret;
}

function createResourceFiles(name: string, { settings, namespace, kubernetes }: Shared): ResourceFiles | undefined {
  const documents = settings.files.documents[name] ?? [];
  if (documents.length === 0) return undefined;
  return new ResourceFiles(name, { documents, namespace }, { provider: kubernetes });
}

/** The ConfigMaps that the pods read, with the contents of those that the resource files define. */
function configMapReferences(name: string, application: ApplicationConfiguration, settings: Settings) {
  const documents = settings.files.documents[name] ?? [];
  return application.configMaps.map((configMap) => {
    const own = documents.find((document) => document.kind === 'ConfigMap' && document.name === configMap);
    return { name: configMap, checksum: own && digestOf(own.body) };
  });
}

/** What the workloads of one application use. */
interface Parts {
  readonly database: PostgresDatabase | undefined;
  readonly secrets: SecretReference | undefined;
  readonly resources: ResourceFiles | undefined;
}

function createWorkloads(
  name: string,
  application: ApplicationConfiguration,
  { settings, namespace, pullSecret, images, kubernetes }: Shared,
  { database, secrets, resources }: Parts,
): Application {
  const { migrations, service } = application;
  const image = (target: string) => images[name]?.[target] ?? '';
  const connection = (role: string) => (database?.connections[role] ? [database.connections[role]] : []);
  const certificate = database?.certificateConfigMapName;
  return new Application(
    name,
    {
      namespace,
      image: image('main'),
      migrations: migrations && {
        ...migrations,
        image: image(migrations.image),
        secrets: connection(migrations.role),
      },
      replicas: application.replicas,
      port: service.targetPort,
      healthPath: application.healthPath,
      service,
      environment: application.environment,
      secrets: [...connection(application.database?.role ?? ''), ...(secrets ? [secrets] : [])],
      configMaps: configMapReferences(name, application, settings),
      serviceAccountName: application.serviceAccount,
      after: resources?.prerequisites,
      mounts: certificate ? [{ name: 'postgres', configMapName: certificate, path: '/etc/postgres' }] : [],
      imagePullSecrets: [pullSecret],
      resources: application.resources,
      timeoutSeconds: application.timeoutSeconds,
    },
    { provider: kubernetes },
  );
}

function databaseOutputs(database: PostgresDatabase): NonNullable<ApplicationOutputs['database']> {
  const secrets = Object.entries(database.connections).map(([role, { name }]) => [role, name] as const);
  return { name: database.database, owner: database.owner, connectionSecrets: Object.fromEntries(secrets) };
}
