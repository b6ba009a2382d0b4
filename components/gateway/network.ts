import type * as kubernetes from '@pulumi/kubernetes/types/input.js';
import type * as pulumi from '@pulumi/pulumi';
import { selectorLabels } from '../kubernetes/labels.ts';
import type { GatewayArguments } from './arguments.ts';
import { COMPONENT, PORTS } from './pod.ts';
import { type GatewayRoute, usesClusterAuthority } from './routes.ts';

/**
 * Who may talk to the gateway, and to whom it talks. It serves everyone on its ports. It reaches DNS and the namespaces
 * of its routes; anything where issuers of tokens are asked, or the Kubernetes API, which are at addresses unknown here.
 */
export function gatewayNetworkPolicy(name: string, args: GatewayArguments): kubernetes.networking.v1.NetworkPolicySpec {
  const ingress = [{ ports: Object.values(PORTS).map((port) => ({ port, protocol: 'TCP' })) }];
  const podSelector = { matchLabels: selectorLabels(name, COMPONENT) };
  if (args.authenticator !== undefined || args.routes.some(usesClusterAuthority))
    return { podSelector, policyTypes: ['Ingress'], ingress };
  const dns = { ports: ['UDP', 'TCP'].map((protocol) => ({ port: 53, protocol })) };
  return { podSelector, policyTypes: ['Ingress', 'Egress'], ingress, egress: [dns, ...namespaces(args)] };
}

/** A Service's port is not its pods', which the policy is about: so any port in the namespace. */
function namespaces(args: GatewayArguments): kubernetes.networking.v1.NetworkPolicyEgressRule[] {
  const own = ({ service }: GatewayRoute) => service.namespace === undefined;
  const others = new Set(args.routes.flatMap(({ service }) => service.namespace ?? []));
  const names: pulumi.Input<string>[] = [...(args.routes.some(own) ? [args.namespace] : []), ...[...others].sort()];
  const rule = (namespace: pulumi.Input<string>) => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
  });
  return [{ to: names.map(rule) }];
}
