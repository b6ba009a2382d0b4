import { AsyncResource } from 'node:async_hooks';
import { Service } from '@pulumi/kubernetes/core/v1/service.js';
import * as pulumi from '@pulumi/pulumi';
import { type Finding, refuse } from '../findings.ts';
import { portProblem, serviceNameProblem } from '../kubernetes/names.ts';
import { ingressAddress, type ServicePort, type ServiceStatus } from './address.ts';
import { upstreamHostProblem } from './hosts.ts';
import type { Observer } from './observe.ts';
import { type OuterServer, outerFindings, outerUrl, renderOuterNginx } from './outerNginx.ts';
import { explainLack, lacking, PROFILES, type Profile, type WantedService } from './profiles.ts';

export interface LoadBalancerArguments {
  /** How this cluster gives an address to a Service. */
  readonly profile: Profile;
  readonly namespace: pulumi.Input<string>;
  /** Labels of the gateway's pods. */
  readonly selector: Readonly<Record<string, string>>;
  /** DNS names that the gateway serves; `*.` in front stands for one or more labels. */
  readonly hosts: readonly string[];
  /** Port of TLS, from outside and in the pods. @default 443 and 8443 */
  readonly https?: PortArguments;
  /** Port of TLS behind the PROXY protocol, for the outer nginx. @default 8444 and 8444 */
  readonly proxied?: PortArguments;
  /** Labels of the Service. @default none */
  readonly labels?: Readonly<Record<string, string>>;
  /** Annotations, for example of a cloud's load balancer. @default none */
  readonly annotations?: Readonly<Record<string, string>>;
  /**
   * Which of several implementations is meant (Kubernetes documentation, "Load balancer class"); it cannot be changed
   * later. @default the cluster's own
   */
  readonly loadBalancerClass?: string;
  /**
   * CIDR blocks that may connect to the load balancer (Kubernetes API, `loadBalancerSourceRanges`); only where the
   * implementation supports it. @default all
   */
  readonly sourceRanges?: readonly string[];
  /**
   * `Local` keeps the client's address for who connects without the outer nginx, and takes only nodes with a pod
   * (Kubernetes documentation, "Preserving the client source IP"). @default 'Cluster'
   */
  readonly externalTrafficPolicy?: 'Cluster' | 'Local';
  /** Address of a node as the outer nginx reaches it; needed by the profile nodePort, and only there. */
  readonly nodeAddress?: pulumi.Input<string>;
  /** Longest wait for an address and for ready pods, in seconds. @default 300 */
  readonly timeoutSeconds?: number;
  /** The nginx in front of the cluster. @default none: clients reach the load balancer itself */
  readonly outer?: OuterServer;
  /**
   * Looks at the cluster before the Service is made, and when it got no address, so that warning and error name what is
   * missing. Not called in a preview, nor when nothing is created or fails. @default the error names what the profile needs
   */
  readonly observe?: Observer;
  /** Whether the language host passes the engine's calls of hooks on: old ones do not. @default true */
  readonly hooks?: boolean;
}

export interface PortArguments {
  readonly port: number;
  /** Port in the pods. */
  readonly targetPort: number;
  /** Port on the nodes, 30000 to 32767 unless the cluster says otherwise. @default Kubernetes chooses */
  readonly nodePort?: number;
}

const HTTPS: PortArguments = { port: 443, targetPort: 8443 };
const PROXIED: PortArguments = { port: 8444, targetPort: 8444 };

/**
 * The Service through which the gateway is reached from outside the cluster, and the configuration of the nginx in
 * front of it.
 */
export class LoadBalancer extends pulumi.ComponentResource {
  /** IP address, or DNS name where a cloud gives one; undefined in a preview that makes it. */
  readonly address: pulumi.Output<string | undefined>;
  /** Port that expects the PROXY protocol, at `address`. */
  readonly proxiedPort: pulumi.Output<number | undefined>;
  /** Where clients reach the first host without `*`: through the outer nginx, else at the load balancer. */
  readonly url: pulumi.Output<string | undefined>;
  readonly serviceName: pulumi.Output<string>;
  /** The whole configuration of the outer nginx, see `renderOuterNginx`; undefined without one, and without an address. */
  readonly outerConfiguration: pulumi.Output<string | undefined>;

  /** @throws pulumi.RunError with every invalid argument. */
  constructor(name: string, args: LoadBalancerArguments, options?: pulumi.ComponentResourceOptions) {
    refuse(`LoadBalancer "${name}"`, findings(name, args));
    super('development-operations:loadBalancer:LoadBalancer', name, {}, options);
    const service = this.createService(name, args);
    const reached = pulumi
      .all([service.spec, service.status, args.nodeAddress])
      .apply(([spec, status, node]) => reachedAt(args, spec?.ports, status as ServiceStatus | undefined, node));
    this.address = reached.apply(({ address }) => address);
    this.proxiedPort = reached.apply(({ proxiedPort }) => proxiedPort);
    this.serviceName = service.metadata.name;
    this.url = reached.apply(({ url }) => url);
    this.outerConfiguration = reached.apply(({ address, proxiedPort }) =>
      args.outer === undefined || address === undefined || proxiedPort === undefined
        ? undefined
        : renderOuterNginx(args.outer, [{ hosts: args.hosts, address, port: proxiedPort }]),
    );
    this.registerOutputs({
      address: this.address,
      proxiedPort: this.proxiedPort,
      url: this.url,
      serviceName: this.serviceName,
      outerConfiguration: this.outerConfiguration,
    });
  }

  private createService(name: string, args: LoadBalancerArguments): Service {
    const balanced = args.profile !== 'nodePort';
    const seconds = args.timeoutSeconds ?? 300;
    return new Service(
      `${name}-service`,
      {
        metadata: { name, namespace: args.namespace, labels: { ...args.labels }, annotations: { ...args.annotations } },
        spec: {
          type: balanced ? 'LoadBalancer' : 'NodePort',
          selector: { ...args.selector },
          externalTrafficPolicy: args.externalTrafficPolicy ?? 'Cluster',
          loadBalancerClass: balanced ? args.loadBalancerClass : undefined,
          loadBalancerSourceRanges: balanced && args.sourceRanges ? [...args.sourceRanges].sort() : undefined,
          ports: [servicePort('https', args.https ?? HTTPS), servicePort('https-proxy', args.proxied ?? PROXIED)],
        },
      },
      {
        parent: this,
        // The provider ends its wait for an address, and for ready pods, with this.
        customTimeouts: { create: `${seconds}s`, update: `${seconds}s` },
        hooks: this.hooks(name, args),
      },
    );
  }

  /** A warning before the Service is made, while there is time to start what is missing; the cure when it failed. */
  private hooks(name: string, args: LoadBalancerArguments): pulumi.ResourceHookBinding | undefined {
    if (args.hooks === false || pulumi.runtime.isDryRun() || !runsHooks()) return undefined;
    const look = async (inputs: unknown) => {
      const wanted = wantedService(name, args, inputs);
      // Whatever keeps us from looking must not hide why the update failed.
      const observed = await args.observe?.().catch(() => undefined);
      return { wanted, lacks: lacking(args.profile, wanted, observed ?? {}) };
    };
    const warn = async (inputs: unknown) => {
      const { wanted, lacks } = await look(inputs);
      if (lacks.length === 0) return;
      const wait = `It is waited for ${args.timeoutSeconds ?? 300} seconds`;
      await pulumi.log.warn(`${wait}. ${explainLack(args.profile, wanted, lacks)}`, this);
    };
    const explain = async (inputs: unknown) => {
      const { wanted, lacks } = await look(inputs);
      await pulumi.log.error(explainLack(args.profile, wanted, lacks), this);
      // No second try: the wait was long enough.
      return false;
    };
    // An inline program of the Automation API is known by its asynchronous context, which the engine's call is not in.
    const [warnHere, explainHere] = [AsyncResource.bind(warn), AsyncResource.bind(explain)];
    const preflight = new pulumi.ResourceHook(`${name}-load-balancer-preflight`, ({ newInputs }) =>
      warnHere(newInputs),
    );
    const cure = new pulumi.ErrorHook(`${name}-load-balancer-cure`, ({ newInputs }) => explainHere(newInputs));
    return { ...(args.observe && { beforeCreate: [preflight] }), onError: [cure] };
  }
}

/** The SDK's mocks have no hooks: registering one there never ends. */
function runsHooks(): boolean {
  const monitor = pulumi.runtime.getMonitor() as { readonly registerErrorHook?: unknown } | undefined;
  return typeof monitor?.registerErrorHook === 'function';
}

function servicePort(name: string, { port, targetPort, nodePort }: PortArguments) {
  return { name, port, targetPort, protocol: 'TCP', ...(nodePort !== undefined && { nodePort }) };
}

function wantedService(name: string, args: LoadBalancerArguments, inputs: unknown): WantedService {
  const { metadata } = (inputs ?? {}) as { metadata?: { namespace?: string } };
  const ports = [(args.https ?? HTTPS).port, (args.proxied ?? PROXIED).port];
  return { namespace: metadata?.namespace ?? 'default', name, ports };
}

interface Reached {
  readonly address: string | undefined;
  readonly proxiedPort: number | undefined;
  readonly url: string | undefined;
}

/** Where the Service is reached, as far as it is known. */
function reachedAt(
  args: LoadBalancerArguments,
  ports: readonly ServicePort[] | undefined,
  status: ServiceStatus | undefined,
  node: string | undefined,
): Reached {
  const balanced = args.profile !== 'nodePort';
  const onNode = (wanted: PortArguments) =>
    wanted.nodePort ?? ports?.find(({ port }) => port === wanted.port)?.nodePort ?? undefined;
  const port = (wanted: PortArguments) => (balanced ? wanted.port : onNode(wanted));
  const address = balanced ? ingressAddress(status) : node;
  const https = port(args.https ?? HTTPS);
  return { address, proxiedPort: port(args.proxied ?? PROXIED), url: urlOf(args, address, https) };
}

function urlOf(args: LoadBalancerArguments, address: string | undefined, https: number | undefined) {
  const host = args.hosts.find((name) => !name.startsWith('*.'));
  if (host === undefined) return undefined;
  if (args.outer !== undefined) return outerUrl(args.outer, host);
  if (address === undefined || https === undefined) return undefined;
  return https === 443 ? `https://${host}` : `https://${host}:${https}`;
}

function findings(name: string, args: LoadBalancerArguments): Finding[] {
  const found: Finding[] = [];
  const add = (path: string, problem: string | undefined) => problem && found.push({ path, problem });
  add('name', serviceNameProblem(name));
  if (!PROFILES.includes(args.profile)) {
    add('profile', `"${args.profile}" is not a profile: use ${PROFILES.join(', ')}`);
  }
  if (Object.keys(args.selector).length === 0) add('selector', 'is empty: name the labels of the gateway');
  if (args.hosts.length === 0) add('hosts', 'is empty: name at least one host');
  const ports = { https: args.https ?? HTTPS, proxied: args.proxied ?? PROXIED };
  for (const [key, { port, targetPort, nodePort }] of Object.entries(ports)) {
    add(`${key}.port`, portProblem(port));
    add(`${key}.targetPort`, portProblem(targetPort));
    if (nodePort !== undefined) add(`${key}.nodePort`, portProblem(nodePort));
  }
  if (ports.https.port === ports.proxied.port) add('proxied.port', 'is the same as https.port: use another');
  const seconds = args.timeoutSeconds ?? 300;
  if (!Number.isInteger(seconds) || seconds < 1) add('timeoutSeconds', `${seconds} is not a number of seconds`);
  if (args.profile === 'nodePort' && args.nodeAddress === undefined) {
    add('nodeAddress', 'is missing: the profile nodePort needs the address of a node');
  }
  if (typeof args.nodeAddress === 'string') add('nodeAddress', upstreamHostProblem(args.nodeAddress));
  // The address is checked when it is known; any will do to check the rest.
  const server = args.outer ?? { listenAddress: '127.0.0.1', httpsPort: 443, httpPort: 80 };
  const checked = outerFindings(server, args.hosts.length === 0 ? [] : [{ hosts: args.hosts, address: 'a', port: 1 }]);
  found.push(...checked.map(({ path, problem }) => ({ path: path.replace(/^routes\[0\]\./, ''), problem })));
  return found;
}
