import { Provider as DockerProvider } from '@pulumi/docker/provider.js';
import { Provider as DockerBuildProvider } from '@pulumi/docker-build/provider.js';
import { Provider as KubernetesProvider } from '@pulumi/kubernetes/provider.js';
import { Provider as PostgresqlProvider } from '@pulumi/postgresql/provider.js';
import type * as pulumi from '@pulumi/pulumi';
import type { Configuration } from './config.ts';

/** The cluster that the configuration names. */
export function kubernetesProvider(configuration: Configuration): pulumi.ProviderResource {
  const { kubeconfig, context } = configuration.kubernetes ?? {};
  return new KubernetesProvider('kubernetes', {
    kubeconfig,
    context,
    enableServerSideApply: true,
    // What the configuration says is put back, also where somebody has taken a field over by hand.
    enablePatchForce: true,
  });
}

/** The database server that the configuration names, as its administrator. */
export function postgresqlProvider(database: NonNullable<Configuration['database']>): pulumi.ProviderResource {
  return new PostgresqlProvider('postgresql', {
    host: database.host,
    port: database.port,
    database: database.adminDatabase,
    username: database.adminUsername.output(),
    password: database.adminPassword.output(),
    sslmode: database.sslmode,
    sslrootcert: database.rootCertificateFile,
    superuser: database.superuser,
    maxConnections: database.maxConnections,
    // Zero would wait for ever for a server that does not answer.
    connectTimeout: 30,
  });
}

/**
 * The providers that images need: docker-build to build, docker to look up. Each is there only when an application
 * uses it.
 */
export function imageProviders(configuration: Configuration): pulumi.ProviderResource[] {
  const sources = [
    ...Object.values(configuration.applications),
    ...(configuration.operationsApi ? [configuration.operationsApi] : []),
  ];
  const modes = new Set(sources.map(({ images }) => images.mode));
  const { server, username, password } = configuration.registry;
  const login = { address: server, username: username.output(), password: password.output() };
  const providers: pulumi.ProviderResource[] = [];
  if (modes.has('build')) {
    providers.push(new DockerBuildProvider('docker-build', { registries: [login] }));
  }
  if (modes.has('existing')) {
    // Only the registry is asked: a machine that deploys needs no docker daemon.
    providers.push(new DockerProvider('docker', { registryAuth: [login], disableDockerDaemonCheck: true }));
  }
  return providers;
}
