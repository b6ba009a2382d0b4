import { Secret } from '@pulumi/kubernetes/core/v1/secret.js';
import * as pulumi from '@pulumi/pulumi';
import { type Finding, refuse } from '../findings.ts';
import { serverProblem } from '../image/reference.ts';
import { subdomainProblem } from '../kubernetes/names.ts';

/** What logs in to one registry. */
export interface RegistryCredentials {
  /** Address without scheme: `registry.example.com:5000`; `docker.io` for Docker Hub. */
  readonly server: string;
  readonly username: pulumi.Input<string>;
  /** Password or access token. */
  readonly password: pulumi.Input<string>;
}

export interface RegistrySecretArguments {
  readonly namespace: pulumi.Input<string>;
  /** Name of the Kubernetes Secret. @default the component's name */
  readonly secretName?: string;
  /** One entry for each registry, at least one, no server twice. */
  readonly registries: readonly RegistryCredentials[];
}

/**
 * The Kubernetes Secret with which the kubelet pulls images, for any number of registries.
 * Pods name it in `imagePullSecrets`.
 */
export class RegistrySecret extends pulumi.ComponentResource {
  /** Name of the Secret; pods that use it wait until it exists. */
  readonly secretName: pulumi.Output<string>;

  /** @throws pulumi.RunError with every invalid argument. */
  constructor(name: string, args: RegistrySecretArguments, options?: pulumi.ComponentResourceOptions) {
    refuse(`RegistrySecret "${name}"`, findings(name, args));
    super('development-operations:registry:RegistrySecret', name, {}, options);
    const secret = new Secret(
      `${name}-secret`,
      {
        metadata: { name: args.secretName ?? name, namespace: args.namespace },
        type: 'kubernetes.io/dockerconfigjson',
        data: { '.dockerconfigjson': dockerConfiguration(args.registries) },
      },
      { parent: this },
    );
    this.secretName = secret.metadata.name;
    this.registerOutputs({ secretName: this.secretName });
  }
}

function dockerConfiguration(registries: readonly RegistryCredentials[]): pulumi.Output<string> {
  return pulumi.secret(
    pulumi
      .all(registries.map((registry) => pulumi.all([registry.server, registry.username, registry.password])))
      .apply((all) => encodeDockerConfiguration(all)),
  );
}

/**
 * The value of `.dockerconfigjson`, in base64, with the servers sorted.
 *
 * @param registries server, user name and password of each.
 * @throws Error when a user name has a colon, which the basic scheme cannot carry.
 */
export function encodeDockerConfiguration(registries: readonly (readonly [string, string, string])[]): string {
  const entries = registries.map(([server, username, password]) => {
    if (username.includes(':'))
      throw new Error(`the user name for registry ${server} contains ":"; basic authentication forbids it`);
    const auth = Buffer.from(`${username}:${password}`).toString('base64');
    return [serverKey(server), { username, password, auth }] as const;
  });
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.from(JSON.stringify({ auths: Object.fromEntries(entries) })).toString('base64');
}

/** Docker Hub is looked up under its historical address. */
function serverKey(server: string): string {
  return server === 'docker.io' ? 'https://index.docker.io/v1/' : server;
}

function findings(name: string, args: RegistrySecretArguments): Finding[] {
  const found: Finding[] = [];
  const problem = subdomainProblem(args.secretName ?? name);
  if (problem) found.push({ path: 'secretName', problem });
  if (args.registries.length === 0) found.push({ path: 'registries', problem: 'is empty: name at least one registry' });
  const seen = new Set<string>();
  for (const [index, { server }] of args.registries.entries()) {
    const path = `registries[${index}].server`;
    const wrong = serverProblem(server);
    if (wrong) found.push({ path, problem: wrong });
    if (seen.has(server)) found.push({ path, problem: `"${server}" is named twice: keep one entry for each registry` });
    seen.add(server);
  }
  return found;
}
