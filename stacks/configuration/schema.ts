import * as z from 'zod';
import { LONGEST_APPLICATION_NAME } from '../../components/application/limits.ts';
import { repositoryPathProblem, serverProblem } from '../../components/image/reference.ts';
import {
  environmentVariableProblem,
  labelProblem,
  serviceNameProblem,
  subdomainProblem,
} from '../../components/kubernetes/names.ts';
import { identifierProblem } from '../../components/postgres/identifiers.ts';
import { images } from './images.ts';
import { type Environment, flag, integer, list, named, oneOf, reference, secret, section, text } from './leaves.ts';
import { gateway, loadBalancer, operationsApi } from './operations.ts';

/** The schema of the whole configuration: each key below `development-operations:`, with its defaults. */
export function configurationSchema(environment: Environment, stackName: string) {
  return section({
    /** Name of the environment; part of the databases' names. */
    environment: text('a name such as "dev"', labelProblem).default(stackName),
    /** What is deployed: a whole environment, or only the images. */
    stack: oneOf(['environment', 'images']).default('environment'),
    /** Address of the repository that the applications' images are built from; a label of them. */
    source: reference(environment, 'the address of a repository').default(
      environment.DEVELOPMENT_OPERATIONS_SOURCE ?? '',
    ),
    kubernetes: kubernetes(environment).optional(),
    registry: registry(environment),
    database: database(environment).optional(),
    applications: named(application(environment), (name) => serviceNameProblem(name, LONGEST_APPLICATION_NAME)).default(
      {},
    ),
    gateway: gateway(environment).optional(),
    loadBalancer: loadBalancer(environment).optional(),
    operationsApi: operationsApi(environment).optional(),
  });
}

function kubernetes(environment: Environment) {
  return section({
    /** Path of a kubeconfig. @default the user's own */
    kubeconfig: reference(environment, 'the path of a kubeconfig').optional(),
    /** @default the kubeconfig's current context */
    context: reference(environment, 'the name of a context').optional(),
    namespace: text('the name of a namespace', labelProblem),
    /** Whether the namespace is created, or exists. */
    createNamespace: flag().default(true),
  });
}

function registry(environment: Environment) {
  return section({
    server: reference(environment, 'a registry such as "registry.example.com"', serverProblem),
    /** Path before the applications' names, such as a team. @default none */
    repositoryPrefix: text('a path such as "team"', repositoryPathProblem).optional(),
    username: secret(environment, 'a user name'),
    password: secret(environment, 'a password or token'),
    /** Further registries from which the pods pull. */
    pullFrom: list(
      section({
        server: text('a registry such as "ghcr.io"', serverProblem),
        username: secret(environment, 'a user name'),
        password: secret(environment, 'a password or token'),
      }),
      'a list of registries',
    ).default([]),
  });
}

function database(environment: Environment) {
  return section({
    /** Address from where the program runs. */
    host: reference(environment, 'the host of the PostgreSQL server'),
    port: integer('a port', 1, 65535).default(5432),
    sslmode: oneOf(['disable', 'require', 'verify-ca', 'verify-full']).default('verify-full'),
    /** Path of the certificate authority in PEM. @default the system's */
    rootCertificateFile: reference(environment, 'the path of a certificate in PEM').optional(),
    adminUsername: secret(environment, 'the name of a role that may create databases and roles'),
    adminPassword: secret(environment, 'the password of adminUsername'),
    adminDatabase: text('the database that the administrator connects to').default('postgres'),
    /** Whether the administrator is a superuser; false for managed servers. */
    superuser: flag().default(true),
    /** Address from where the pods run. @default host and port */
    clusterHost: reference(environment, 'the host as pods reach it').optional(),
    clusterPort: integer('a port', 1, 65535).optional(),
    /** Connections that the provider opens at once. */
    maxConnections: integer('a number of connections', 1, 1000).default(4),
  });
}

function application(environment: Environment) {
  return section({
    /** Folder of the application, relative to the project. */
    path: text('the folder of the application'),
    images: images(environment).prefault({}),
    database: applicationDatabase().optional(),
    migrations: section({
      /** Name of the image target. */
      image: text('the name of an image target').default('migrations'),
      /** Login role that runs them. */
      role: text('the name of a login role').default('migrations'),
      command: list(text('a word of the command'), 'a list of words').optional(),
      backoffLimit: integer('a number of tries', 0, 100).default(2),
      timeoutSeconds: integer('seconds', 1, 86400).default(300),
      ttlSecondsAfterFinished: integer('seconds', 0, 31536000).optional(),
      /** Another text runs the migrations once more. */
      run: text('any text').optional(),
    }).optional(),
    service: section({
      type: oneOf(['ClusterIP', 'NodePort', 'LoadBalancer']).default('ClusterIP'),
      port: integer('a port', 1, 65535).default(80),
      targetPort: integer('a port', 1, 65535).default(8080),
      annotations: z.record(z.string(), text('a text')).optional(),
    }).prefault({}),
    replicas: integer('a number of replicas', 0, 1000).default(1),
    healthPath: text('a path such as "/healthz"', pathProblem).default('/healthz'),
    timeoutSeconds: integer('seconds', 1, 86400).default(300),
    resources: section({
      requests: z.record(z.string(), text('a quantity such as "100m"')).optional(),
      limits: z.record(z.string(), text('a quantity such as "256Mi"')).optional(),
    }).optional(),
    environment: named(reference(environment, 'a text'), environmentVariableProblem).default({}),
    secrets: named(
      z.union([section({ generate: integer('a length', 16, 512) }), secret(environment, 'a secret')], {
        error: 'expected {env: NAME}, {generate: LENGTH}, or a text encrypted with "pulumi config set --secret --path"',
      }),
      environmentVariableProblem,
    ).default({}),
    /** ConfigMaps of the resource files, or of the namespace, whose keys become environment variables. */
    configMaps: list(text('the name of a ConfigMap', subdomainProblem), 'a list of ConfigMaps').default([]),
    /** ServiceAccount of the pods. @default the namespace's */
    serviceAccount: text('the name of a ServiceAccount', subdomainProblem).optional(),
    /** Patterns of Kubernetes resource files, relative to `path`. */
    resourceFiles: list(text('a pattern such as "kubernetes/*.yaml"'), 'a list of patterns').default([]),
    /** Cluster-scoped kinds that the resource files may hold. */
    allowClusterScoped: list(text('a kind such as "ClusterRole"'), 'a list of kinds').default([]),
  });
}

function applicationDatabase() {
  return section({
    /** @default application and environment */
    name: text('the name of a database', (name) => identifierProblem('database', name)).optional(),
    /** @default the application's name */
    schemas: list(
      text('the name of a schema', (name) => identifierProblem('schema', name)),
      'a list of schemas',
    ).optional(),
    roles: named(
      section({
        access: oneOf(['owner', 'write', 'read']),
        name: text('the name of a role', (name) => identifierProblem('role', name)).optional(),
        connectionLimit: integer('a number of connections', -1, 1000000).optional(),
      }),
      labelProblem,
    ).default({ application: { access: 'write' }, migrations: { access: 'owner' } }),
    /** Login role of the application's pods. */
    role: text('the name of a login role').default('application'),
    connectionLimit: integer('a number of connections', -1, 1000000).optional(),
    /** Refuse to delete the database. */
    protect: flag().default(true),
  });
}

function pathProblem(path: string): string | undefined {
  return path.startsWith('/') ? undefined : `"${path}" is not a path: it starts with "/"`;
}
