import type * as pulumi from '@pulumi/pulumi';
import type { ComputeResources } from '../application/pod.ts';
import { type Finding, refuse } from '../findings.ts';
import { serviceNameProblem } from '../kubernetes/names.ts';
import type { GatewayRoute } from './routes.ts';
import { certificatesProblem, networkProblem, routeFindings } from './validation.ts';

/** Judges bearer tokens, in a container beside nginx: `GET /verify` on 127.0.0.1:9000. */
export interface AuthenticatorArguments {
  /** The operations API's image, by digest. */
  readonly image: pulumi.Input<string>;
  /** Content of the file that `API_SETTINGS_FILE` names: JSON, without secrets. */
  readonly settings: pulumi.Input<string>;
  /** @default ['node', '/app/authenticator.mjs'] */
  readonly command?: readonly string[];
  /** Further files that the settings name, by name, such as authorities; in the folder of the settings. @default none */
  readonly files?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Folder of the settings and the files. @default '/etc/operations-api' */
  readonly folder?: string;
  /**
   * Mounts a token of the gateway's service account and the cluster's authority at the usual folder
   * `/var/run/secrets/kubernetes.io/serviceaccount`, for this container alone: the Kubernetes API server as an issuer
   * hands its keys to accounts only. @default false
   */
  readonly serviceAccountToken?: boolean;
  /** @default 50m CPU and 64Mi requested, 192Mi limit */
  readonly resources?: ComputeResources;
}

export interface GatewayArguments {
  readonly namespace: pulumi.Input<string>;
  /** nginx, 1.22 or later, such as `docker.io/nginxinc/nginx-unprivileged:stable`. */
  readonly image: pulumi.Input<string>;
  /** What is served. A change of it makes the pods roll, see Gateway. */
  readonly routes: readonly GatewayRoute[];
  /** For all hosts: the chain in PEM, and the private key. A change makes the pods roll. */
  readonly tls: { readonly certificate: pulumi.Input<string>; readonly privateKey: pulumi.Input<string> };
  /** Needed by routes with tokens. @default none */
  readonly authenticator?: AuthenticatorArguments;
  /** Networks (CIDR) of the load balancers whose PROXY protocol on port 8444 is believed. @default none */
  readonly trustedProxies?: readonly string[];
  /** @default 2 */
  readonly replicas?: number;
  /** @default 'cluster.local' */
  readonly clusterDomain?: string;
  /** Names of the Secrets with which images are pulled. @default none */
  readonly imagePullSecrets?: readonly pulumi.Input<string>[];
  /** Of nginx. @default 50m CPU and 64Mi requested, 256Mi limit */
  readonly resources?: ComputeResources;
  /** Numeric user and group of nginx, not 0. @default 101, as in the public image */
  readonly userId?: number;
  /** Seconds that a pod that ends goes on serving, until every load balancer knows. @default 5 */
  readonly drainSeconds?: number;
  /** Seconds that its last requests have then. @default 45 */
  readonly shutdownSeconds?: number;
  /** Seconds to wait for the rollout. @default 300 */
  readonly timeoutSeconds?: number;
}

/** Longest name: the longest suffix of a child's physical name has 31 characters, a name 63. */
const LONGEST_NAME = 32;

/** @throws pulumi.RunError with every invalid argument */
export function refuseInvalid(name: string, args: GatewayArguments): void {
  refuse(`Gateway "${name}"`, findings(name, args));
}

function findings(name: string, args: GatewayArguments): Finding[] {
  const found: Finding[] = [];
  const add = (path: string, problem: string | undefined) => problem && found.push({ path, problem });
  add('name', serviceNameProblem(name, LONGEST_NAME));
  found.push(...routeFindings(args.routes, args.authenticator !== undefined));
  const { certificate, privateKey } = args.tls;
  if (typeof certificate === 'string') add('tls.certificate', certificatesProblem(certificate));
  if (typeof privateKey === 'string' && !/-----BEGIN ([A-Z]+ )?PRIVATE KEY-----/.test(privateKey))
    add('tls.privateKey', 'is no private key in PEM, or it is encrypted');
  for (const [index, network] of (args.trustedProxies ?? []).entries())
    add(`trustedProxies[${index}]`, networkProblem(network));
  add('replicas', wholeNumber(args.replicas ?? 2, 1));
  add('userId', wholeNumber(args.userId ?? 101, 1));
  add('drainSeconds', wholeNumber(args.drainSeconds ?? 5, 0));
  add('shutdownSeconds', wholeNumber(args.shutdownSeconds ?? 45, 1));
  if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(args.clusterDomain ?? 'cluster.local'))
    add('clusterDomain', `${JSON.stringify(args.clusterDomain)} is not a domain name`);
  for (const file of Object.keys(args.authenticator?.files ?? {}))
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$/.test(file) || file === 'settings.json')
      add('authenticator.files', `${JSON.stringify(file)} is not the name of a further file`);
  return found;
}

function wholeNumber(value: number, least: number): string | undefined {
  return Number.isInteger(value) && value >= least
    ? undefined
    : `${value} is not allowed: use a whole number from ${least}`;
}
