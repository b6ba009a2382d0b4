import { join } from 'node:path';
import { NODE_ADDRESS, runtimeDirectory } from '../facts.ts';

/** Names, ports and places of the node; networks are in `../facts.ts`. */

/** The same on every machine: what the cluster stores about its node stays true when the host is renamed. */
export const NODE_NAME = 'development-operations';
/** Also the name of the CNI network, the cgroup, the nft table and the kubeconfig's context. */
export const OWN_NAME = 'development-operations';
export const CLUSTER_DOMAIN = 'cluster.local';
export const DNS_ADDRESS = '10.96.0.10';
/** The first address of the service network: the Service `kubernetes`. */
export const API_SERVICE_ADDRESS = '10.96.0.1';

export const ETCD_PORT = 12379;
export const ETCD_PEER_PORT = 12380;
export const API_PORT = 16443;
export const CONTROLLER_MANAGER_PORT = 16257;
export const SCHEDULER_PORT = 16259;
export const KUBELET_PORT = 16250;
export const KUBELET_HEALTH_PORT = 16248;
export const PROXY_HEALTH_PORT = 16256;
export const PROXY_METRICS_PORT = 16249;

export const API_URL = `https://${NODE_ADDRESS}:${API_PORT}`;

/** Images that are made here: no registry can be asked for them. */
export const PAUSE_IMAGE = 'localhost/development-operations/pause:1';

type DirectoryContext = { readonly directory: string };

export function dataDirectory(ctx: DirectoryContext, name: string): string {
  return join(ctx.directory, 'data', name);
}

export function userKubeconfig(ctx: DirectoryContext): string {
  return join(ctx.directory, 'kubeconfig');
}

/** containerd's, also in the arguments of its shims: how they are told from those of another containerd. */
export function containerdSocket(): string {
  return join(runtimeDirectory(), 'containerd.sock');
}

/** Bundles of running containers, network namespaces, address leases: what does not outlive a boot. */
export function containerdState(): string {
  return join(runtimeDirectory(), 'containerd');
}

/** runc's own state. */
export function runcRoot(): string {
  return join(runtimeDirectory(), 'runc');
}

export function leaseDirectory(): string {
  return join(runtimeDirectory(), 'leases');
}

/**
 * A symbolic link to `.local/data/kubelet`: sockets lie deep below it, and the path of a Unix socket has 108 bytes at
 * most (unix(7)).
 */
export function kubeletRoot(): string {
  return join(runtimeDirectory(), 'kubelet');
}

/** Contents and images of containerd. */
export function containerdRoot(ctx: DirectoryContext): string {
  return dataDirectory(ctx, 'containerd');
}

export function podLogDirectory(ctx: DirectoryContext): string {
  return dataDirectory(ctx, 'pod-logs');
}
