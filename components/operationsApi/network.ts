import { isIP } from 'node:net';
import type * as kubernetes from '@pulumi/kubernetes/types/input.js';

/** Where a service connects to. */
export interface Destination {
  /** IP address, or a name: rules of Kubernetes know addresses only, so a name stands for any. */
  readonly host: string;
  readonly port: number;
}

export interface NetworkInput {
  /** Labels of the pods in the same namespace that may connect to `port`. */
  readonly clients: Readonly<Record<string, string>>;
  readonly port: number;
  /** Labels of the namespaces whose pods may connect to `metricsPort`. */
  readonly monitoring?: Readonly<Record<string, string>>;
  readonly metricsPort: number;
  readonly destinations: readonly Destination[];
}

/** The label that Kubernetes gives to every namespace. */
const MONITORING = { 'kubernetes.io/metadata.name': 'monitoring' };
/** The Kubernetes API: the Service's port and, behind it, that of the servers (most plugins look at the latter). */
const API_SERVER_PORTS = [443, 6443];

type Rules = Required<Pick<kubernetes.networking.v1.NetworkPolicySpec, 'ingress' | 'egress'>>;

/**
 * Who may connect to the pods, and where they may connect to.
 * https://kubernetes.io/docs/concepts/services-networking/network-policies/
 */
export function networkRules(input: NetworkInput): Rules {
  return {
    ingress: [
      { from: [{ podSelector: { matchLabels: { ...input.clients } } }], ports: [tcp(input.port)] },
      {
        from: [{ namespaceSelector: { matchLabels: { ...(input.monitoring ?? MONITORING) } } }],
        ports: [tcp(input.metricsPort)],
      },
    ],
    egress: [
      { ports: [{ port: 53, protocol: 'UDP' }, tcp(53)] },
      { ports: API_SERVER_PORTS.map(tcp) },
      ...destinationRules(input.destinations),
    ],
  };
}

/** One rule for each host, sorted, so that another order of the settings changes nothing. */
function destinationRules(destinations: readonly Destination[]): kubernetes.networking.v1.NetworkPolicyEgressRule[] {
  const ports = new Map<string, Set<number>>();
  for (const { host, port } of destinations) {
    const address = isIP(host) === 0 ? '' : host;
    ports.set(address, (ports.get(address) ?? new Set()).add(port));
  }
  return [...ports.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([address, numbers]) => ({
      ...(address !== '' && { to: [{ ipBlock: { cidr: `${address}/${isIP(address) === 6 ? 128 : 32}` } }] }),
      ports: [...numbers].sort((a, b) => a - b).map(tcp),
    }));
}

function tcp(port: number): kubernetes.networking.v1.NetworkPolicyPort {
  return { port, protocol: 'TCP' };
}
