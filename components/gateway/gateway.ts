import { Deployment } from '@pulumi/kubernetes/apps/v1/deployment.js';
import { ConfigMap } from '@pulumi/kubernetes/core/v1/configMap.js';
import { Secret } from '@pulumi/kubernetes/core/v1/secret.js';
import { Service } from '@pulumi/kubernetes/core/v1/service.js';
import { ServiceAccount } from '@pulumi/kubernetes/core/v1/serviceAccount.js';
import { NetworkPolicy } from '@pulumi/kubernetes/networking/v1/networkPolicy.js';
import { PodDisruptionBudget } from '@pulumi/kubernetes/policy/v1/podDisruptionBudget.js';
import * as pulumi from '@pulumi/pulumi';
import { refuse } from '../findings.ts';
import { recommendedLabels, selectorLabels } from '../kubernetes/labels.ts';
import { type AuthenticatorArguments, type GatewayArguments, refuseInvalid } from './arguments.ts';
import { htpasswdProblems } from './htpasswd.ts';
import { gatewayNetworkPolicy } from './network.ts';
import { nginxConfiguration } from './nginx/configuration.ts';
import { render } from './nginx/directive.ts';
import { servicePool } from './nginx/http.ts';
import { clientsFile, poolFile, serviceFile, usersFile } from './nginx/settings.ts';
import { AUTHENTICATOR_PORT, COMPONENT, gatewayPod, POD } from './pod.ts';
import { CLUSTER_AUTHORITY, type GatewayRoute, hosts, isPooled, type RouteService } from './routes.ts';
import { certificatesProblem } from './validation.ts';

export type { AuthenticatorArguments, GatewayArguments } from './arguments.ts';
export { type GatewayRoute, hosts, type RouteAuthentication, type RouteService } from './routes.ts';

/** Ports of the Service: TLS, and TLS behind the PROXY protocol. */
export const GATEWAY_PORTS = { tls: 443, proxyProtocol: 8444 } as const;

/**
 * The way into the cluster: nginx with TLS, HTTP/2 and authentication for each route, in front of Services.
 *
 * Configuration, certificates and users are immutable objects that the provider names. Another content is another object
 * under another name (a digest as the name would stand in the way of going back after an update that failed), and the
 * Deployment replaces its pods one by one: nothing is signalled (SIGHUP) in pods that serve. A mounted file changes only after a minute or so, and at another time in each pod; nginx that refuses a new
 * configuration at SIGHUP goes on with the old one without anyone being told. Here an init container runs `nginx -t` on
 * what the pod will serve with: what nginx refuses never gets a request, the rollout and with it the update fails, and
 * the old pods serve on with the old objects, which are deleted only after success. The price are the pods' drains.
 *
 * Needs Kubernetes 1.29 where there is an authenticator (a sidecar container).
 */
export class Gateway extends pulumi.ComponentResource {
  /** Name of the Service (ClusterIP), with GATEWAY_PORTS. */
  readonly serviceName: pulumi.Output<string>;
  /** Labels that the pods are selected by, for a Service in front. */
  readonly selectorLabels: Readonly<Record<string, string>>;
  /** Host names that are served. */
  readonly hosts: readonly string[];
  readonly routes: readonly GatewayRoute[];

  /** @throws pulumi.RunError with every invalid argument; those that are outputs are judged when they are known */
  constructor(name: string, args: GatewayArguments, options?: pulumi.ComponentResourceOptions) {
    refuseInvalid(name, args);
    super('development-operations:gateway:Gateway', name, {}, options);
    const configuration = this.createConfiguration(name, args);
    const tls = this.createCertificate(name, args);
    const users = this.createUsers(name, args);
    const settings = args.authenticator && this.createSettings(name, args, args.authenticator);
    const account = this.createAccount(name, args);
    const policy = this.createNetworkPolicy(name, args);
    const service = this.createService(name, args);
    const pod = gatewayPod(name, args, {
      configurationName: configuration.metadata.name,
      tlsName: tls.metadata.name,
      usersName: users?.metadata.name,
      settingsName: settings?.metadata.name,
      serviceAccountName: account.metadata.name,
    });
    this.createDeployment(name, args, pod, [policy]);
    this.createDisruptionBudget(name, args);
    this.serviceName = service.metadata.name;
    this.selectorLabels = selectorLabels(name, COMPONENT);
    this.hosts = hosts(args.routes);
    this.routes = args.routes;
    this.registerOutputs({ serviceName: this.serviceName, selectorLabels: this.selectorLabels, hosts: this.hosts });
  }

  private createConfiguration(name: string, args: GatewayArguments): ConfigMap {
    const data = pulumi
      .all([args.namespace, pulumi.all(authorities(args.routes))])
      .apply(([namespace, files]) => configurationData(name, args, namespace, files));
    return this.createConfigMap(name, 'configuration', args, data);
  }

  private createSettings(name: string, args: GatewayArguments, authenticator: AuthenticatorArguments): ConfigMap {
    const data = pulumi.all({ ...authenticator.files, 'settings.json': authenticator.settings });
    return this.createConfigMap(name, 'authenticator', args, data);
  }

  private createConfigMap(
    name: string,
    suffix: string,
    args: GatewayArguments,
    data: pulumi.Output<Record<string, string>>,
  ): ConfigMap {
    return new ConfigMap(
      `${name}-${suffix}`,
      { metadata: this.metadata(name, args), data, immutable: true },
      { parent: this },
    );
  }

  private createCertificate(name: string, args: GatewayArguments): Secret {
    const certificate = pulumi.output(args.tls.certificate).apply((pem) => {
      refuse(`Gateway "${name}"`, problems('tls.certificate', certificatesProblem(pem)));
      return pem;
    });
    return this.createSecret(name, 'tls', args, 'kubernetes.io/tls', {
      'tls.crt': base64(certificate),
      'tls.key': pulumi.secret(base64(args.tls.privateKey)),
    });
  }

  private createUsers(name: string, args: GatewayArguments): Secret | undefined {
    const files = Object.entries(userFiles(name, args.routes));
    if (files.length === 0) return undefined;
    const data = Object.fromEntries(files.map(([file, text]) => [file, pulumi.secret(base64(text))]));
    return this.createSecret(name, 'users', args, 'Opaque', data);
  }

  private createSecret(
    name: string,
    suffix: string,
    args: GatewayArguments,
    type: string,
    data: Record<string, pulumi.Output<string>>,
  ): Secret {
    return new Secret(
      `${name}-${suffix}`,
      { metadata: this.metadata(name, args), type, data, immutable: true },
      { parent: this },
    );
  }

  private createAccount(name: string, args: GatewayArguments): ServiceAccount {
    return new ServiceAccount(
      `${name}-account`,
      { metadata: this.metadata(name, args, name), automountServiceAccountToken: false },
      { parent: this },
    );
  }

  private createNetworkPolicy(name: string, args: GatewayArguments): NetworkPolicy {
    return new NetworkPolicy(
      `${name}-network`,
      { metadata: this.metadata(name, args, name), spec: gatewayNetworkPolicy(name, args) },
      { parent: this },
    );
  }

  private createService(name: string, args: GatewayArguments): Service {
    return new Service(
      `${name}-service`,
      {
        metadata: this.metadata(name, args, name),
        spec: {
          type: 'ClusterIP',
          selector: selectorLabels(name, COMPONENT),
          ports: [
            { name: 'https', port: GATEWAY_PORTS.tls, protocol: 'TCP', targetPort: 'https' },
            { name: 'https-proxy', port: GATEWAY_PORTS.proxyProtocol, protocol: 'TCP', targetPort: 'https-proxy' },
          ],
        },
      },
      { parent: this, customTimeouts: timeouts(args) },
    );
  }

  private createDeployment(
    name: string,
    args: GatewayArguments,
    template: ReturnType<typeof gatewayPod>,
    dependsOn: pulumi.Resource[],
  ): Deployment {
    return new Deployment(
      `${name}-deployment`,
      {
        metadata: this.metadata(name, args, name),
        spec: {
          replicas: args.replicas ?? 2,
          selector: { matchLabels: selectorLabels(name, COMPONENT) },
          // Nothing that serves is taken away before its successor is ready.
          strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          template,
        },
      },
      { parent: this, dependsOn, customTimeouts: timeouts(args) },
    );
  }

  /** Drains of nodes take one pod after the other. */
  private createDisruptionBudget(name: string, args: GatewayArguments): PodDisruptionBudget {
    const selector = { matchLabels: selectorLabels(name, COMPONENT) };
    return new PodDisruptionBudget(
      `${name}-disruption`,
      { metadata: this.metadata(name, args, name), spec: { maxUnavailable: 1, selector } },
      { parent: this },
    );
  }

  /** Without a name of its own an object is named by the provider, and its successor otherwise. */
  private metadata(name: string, args: GatewayArguments, objectName?: string) {
    return { name: objectName, namespace: args.namespace, labels: recommendedLabels(name, COMPONENT) };
  }
}

/** Certificates in PEM that the configuration names, by file. */
function authorities(routes: readonly GatewayRoute[]): Record<string, pulumi.Input<string>> {
  const found: Record<string, pulumi.Input<string>> = {};
  for (const { name, service, authentication } of routes) {
    if (authentication.type === 'mutualTls') found[clientsFile(name)] = authentication.certificateAuthority;
    if (service.certificateAuthority !== undefined && service.certificateAuthority !== CLUSTER_AUTHORITY)
      found[serviceFile(name)] = service.certificateAuthority;
  }
  return found;
}

function configurationData(
  name: string,
  args: GatewayArguments,
  namespace: string,
  files: Readonly<Record<string, string>>,
): Record<string, string> {
  refuse(
    `Gateway "${name}"`,
    Object.entries(files).flatMap(([file, pem]) => problems(file, certificatesProblem(pem))),
  );
  const { clusterDomain = 'cluster.local' } = args;
  const address = (service: RouteService) => `${service.name}.${service.namespace ?? namespace}.svc.${clusterDomain}`;
  const configuration = nginxConfiguration({
    ...POD,
    routes: args.routes,
    authenticator: args.authenticator && `127.0.0.1:${AUTHENTICATOR_PORT}`,
    trustedProxies: args.trustedProxies ?? [],
    shutdownSeconds: args.shutdownSeconds ?? 45,
    address,
  });
  const pools = args.routes
    .filter(isPooled)
    .map((route) => [poolFile(route.name), render([servicePool(route, address)])]);
  return { ...files, ...Object.fromEntries(pools), 'nginx.conf': configuration };
}

/** The routes' files of users, each found valid. */
function userFiles(name: string, routes: readonly GatewayRoute[]): Record<string, pulumi.Output<string>> {
  const found: Record<string, pulumi.Output<string>> = {};
  for (const [index, route] of routes.entries()) {
    if (route.authentication.type !== 'basic') continue;
    const path = `routes[${index}].authentication.users`;
    found[usersFile(route.name)] = pulumi.secret(route.authentication.users).apply((text) => {
      refuse(`Gateway "${name}"`, problems(path, ...htpasswdProblems(text)));
      return text;
    });
  }
  return found;
}

function problems(path: string, ...all: (string | undefined)[]) {
  return all.flatMap((problem) => (problem === undefined ? [] : [{ path, problem }]));
}

function base64(text: pulumi.Input<string>): pulumi.Output<string> {
  return pulumi.output(text).apply((value) => Buffer.from(value).toString('base64'));
}

function timeouts({ timeoutSeconds = 300 }: GatewayArguments): pulumi.CustomTimeouts {
  return { create: `${timeoutSeconds}s`, update: `${timeoutSeconds}s` };
}
