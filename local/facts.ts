import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** Addresses, ports and names of the local environment; one environment per machine. */

/** The node's address, on a dummy interface: the same on every machine, reachable from pods. */
export const NODE_ADDRESS = '172.31.240.1';
export const NODE_INTERFACE = 'devops0';
/** Addresses that Services of type LoadBalancer get, added to the interface one by one. */
export const LOAD_BALANCER_CIDR = '172.31.241.0/24';
/** Containers of image builds (`RUN` in a Dockerfile). */
export const DOCKER_BRIDGE = 'devops-docker0';
export const DOCKER_BRIDGE_CIDR = '172.31.242.1/24';
/** All of the above in one block. */
export const HOST_CIDR = '172.31.240.0/22';
export const POD_CIDR = '10.244.0.0/16';
export const SERVICE_CIDR = '10.96.0.0/16';

export const POSTGRES_PORT = 15432;
export const REGISTRY_PORT = 15000;
export const REGISTRY_ADDRESS = `127.0.0.1:${REGISTRY_PORT}`;
export const REGISTRY_USERNAME = 'developer';
export const POSTGRES_ADMIN = 'postgres';

/** Root owns the whole node; anybody else runs without network interfaces and without a cluster of our own. */
export function isNodeOwner(): boolean {
  return process.platform === 'linux' && process.getuid?.() === 0;
}

/** Sockets and mount points: short, as the path of a Unix socket has 108 bytes at most (unix(7)). */
export function runtimeDirectory(): string {
  if (isNodeOwner()) return '/run/development-operations';
  return join(process.env.XDG_RUNTIME_DIR ?? tmpdir(), `development-operations-${userInfo().uid}`);
}

export function dockerSocket(): string {
  return `unix://${join(runtimeDirectory(), 'docker.sock')}`;
}
