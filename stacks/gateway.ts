import type * as pulumi from '@pulumi/pulumi';
import { Gateway, type GatewayRoute, type RouteAuthentication } from '../components/gateway/gateway.ts';
import { stableJson } from '../components/kubernetes/fingerprint.ts';
import { LoadBalancer } from '../components/loadBalancer/loadBalancer.ts';
import { clusterObserver } from '../components/loadBalancer/observe.ts';
import type { Configuration, GatewayConfiguration, LoadBalancerConfiguration, Settings } from './config.ts';
import { GATEWAY, LOAD_BALANCER } from './configuration/operationsRelations.ts';
import type { Shared } from './environment.ts';
import type { MadeOperationsApi } from './operationsApi.ts';

export interface GatewayOutputs {
  /** Where clients reach the first host; undefined until the load balancer has an address. */
  readonly url: pulumi.Output<string | undefined> | undefined;
  /** The whole configuration of the nginx in front of the cluster, where there is one. */
  readonly outerConfiguration: pulumi.Output<string | undefined> | undefined;
}

/** The gateway, and the load balancer in front of it, if the configuration has them. */
export function createGateway(shared: Shared, api: MadeOperationsApi | undefined): GatewayOutputs | undefined {
  const { settings, namespace, kubernetes } = shared;
  const { gateway: configuration, loadBalancer } = settings.configuration;
  const { tls } = settings.files.operations;
  if (!configuration || !tls) return undefined;
  const gateway = new Gateway(
    GATEWAY,
    {
      namespace,
      image: configuration.image,
      routes: [
        ...(api ? operationsRoutes(configuration.host, api) : []),
        ...applicationRoutes(settings, configuration),
        ...kubernetesRoutes(configuration),
      ],
      tls,
      authenticator: api && authenticatorOf(api),
      trustedProxies: configuration.trustedProxies,
      replicas: configuration.replicas,
      imagePullSecrets: [shared.pullSecret],
      timeoutSeconds: configuration.timeoutSeconds,
    },
    { provider: kubernetes },
  );
  const balancer = loadBalancer && createLoadBalancer(shared, gateway, configuration, loadBalancer);
  return { url: balancer?.url, outerConfiguration: balancer?.outerConfiguration };
}

/** Everyone may see the console and the documentation; what they ask for needs a token. */
function operationsRoutes(host: string, { service }: MadeOperationsApi): GatewayRoute[] {
  // A replica serves on for 3 s after it was told to end.
  const kept = { ...service, keepAlive: 16 };
  return [
    // Events of operations are sent as they happen.
    { name: 'operations-api', host, path: '/v1', service: kept, authentication: { type: 'oidc' }, streaming: true },
    { name: 'operations-console', host, path: '/', service, authentication: { type: 'none' } },
  ];
}

function applicationRoutes({ configuration, files }: Settings, { routes }: GatewayConfiguration): GatewayRoute[] {
  return Object.keys(routes)
    .sort()
    .flatMap((name) => {
      const route = routes[name];
      if (!route) return [];
      const { application, authentication, ...rest } = route;
      const port = configuration.applications[application]?.service.port ?? 80;
      return [
        {
          ...rest,
          name,
          service: { name: application, port },
          authentication: authenticationOf(authentication, files.operations.routes[name] ?? ''),
        },
      ];
    });
}

/** @param file the content of the file that the authentication names */
function authenticationOf(
  authentication: GatewayConfiguration['routes'][string]['authentication'],
  file: string,
): RouteAuthentication {
  switch (authentication.type) {
    case 'basic':
      return { type: 'basic', users: file };
    case 'mutualTls':
      return { type: 'mutualTls', certificateAuthority: file, subjects: authentication.subjects };
    default:
      return authentication;
  }
}

/** The Kubernetes API judges tokens itself; watches and `kubectl exec` stay open. */
function kubernetesRoutes({ kubernetesApi }: GatewayConfiguration): GatewayRoute[] {
  if (!kubernetesApi) return [];
  return [
    {
      name: 'kubernetes-api',
      host: kubernetesApi.host,
      service: {
        name: 'kubernetes',
        namespace: 'default',
        port: 443,
        scheme: 'https',
        certificateAuthority: 'cluster',
      },
      authentication: { type: 'none' },
      streaming: true,
    },
  ];
}

function authenticatorOf({ image, settings, certificates }: MadeOperationsApi) {
  return {
    image,
    settings: stableJson(settings),
    files: certificates,
    serviceAccountToken: settings.issuers.some(({ tokenFile }) => tokenFile !== undefined),
  };
}

function createLoadBalancer(
  { settings, namespace, kubernetes }: Shared,
  gateway: Gateway,
  { host }: GatewayConfiguration,
  { outer, profile, annotations, ...rest }: LoadBalancerConfiguration,
): LoadBalancer {
  return new LoadBalancer(
    LOAD_BALANCER,
    {
      ...rest,
      profile,
      annotations,
      namespace,
      selector: gateway.selectorLabels,
      // The first is the one that the address is told for.
      hosts: [host, ...gateway.hosts.filter((other) => other !== host)],
      outer,
      observe: clusterObserver(accessOf(settings.configuration)),
      // Set by `npm run pulumi` where the language host is one that was built here.
      hooks: !process.env.DEVELOPMENT_OPERATIONS_WITHOUT_HOOKS,
    },
    // Its address is waited for only when there are pods to lead to.
    { provider: kubernetes, dependsOn: [gateway] },
  );
}

function accessOf({ kubernetes }: Configuration): { kubeconfig?: string; context?: string } {
  return { kubeconfig: kubernetes?.kubeconfig, context: kubernetes?.context };
}
