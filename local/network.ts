import { readFileSync, writeFileSync } from 'node:fs';
import { type Route, routeConflicts } from './cidr.ts';
import {
  DOCKER_BRIDGE,
  DOCKER_BRIDGE_CIDR,
  HOST_CIDR,
  NODE_ADDRESS,
  NODE_INTERFACE,
  POD_CIDR,
  SERVICE_CIDR,
} from './facts.ts';
import { run, tryRun } from './run.ts';
import { type Context, type Health, LocalError, type Service } from './service.ts';

/** Interfaces whose routes are the environment's own; the bridge of the pods is made by the CNI plugin. */
const OWN_INTERFACES = [NODE_INTERFACE, DOCKER_BRIDGE, 'devops-cni0', 'kube-ipvs0', 'veth*'];

/**
 * The node's address on an interface of its own, and the bridge of image builds. Idempotent.
 *
 * @throws LocalError when a network of this machine has the same addresses
 */
export async function ensureNetwork(_ctx: Context): Promise<void> {
  await assertNoConflict();
  await ensureInterface(NODE_INTERFACE, 'dummy', `${NODE_ADDRESS}/32`);
  await ensureInterface(DOCKER_BRIDGE, 'bridge', DOCKER_BRIDGE_CIDR);
  // Before dockerd starts: it sets the policy of FORWARD to DROP only where it turns forwarding on itself.
  const forwarding = '/proc/sys/net/ipv4/ip_forward';
  if (readFileSync(forwarding, 'utf8').trim() !== '1') writeFileSync(forwarding, '1');
}

async function assertNoConflict(): Promise<void> {
  const { stdout } = await run('ip', ['-j', '-4', 'route', 'show']);
  const routes = JSON.parse(stdout || '[]') as Route[];
  const conflict = routeConflicts([HOST_CIDR, POD_CIDR, SERVICE_CIDR], routes, OWN_INTERFACES)[0];
  if (conflict === undefined) return;
  const { network, route } = conflict;
  throw new LocalError(
    `the local environment uses ${network}, but this machine has a route to ${route.dst} through ` +
      `${route.dev ?? route.gateway ?? 'another network'}; ` +
      `take that network down for the time (ip route del ${route.dst}${route.dev ? ` dev ${route.dev}` : ''})`,
  );
}

async function ensureInterface(name: string, kind: 'dummy' | 'bridge', address: string): Promise<void> {
  if ((await tryRun('ip', ['link', 'show', 'dev', name])) === undefined) {
    const made = await tryRun('ip', ['link', 'add', name, 'type', kind]);
    // A bridge without ports does the same where the kernel has no dummy interfaces.
    if (made === undefined) await run('ip', ['link', 'add', name, 'type', 'bridge']);
  }
  await run('ip', ['address', 'replace', address, 'dev', name]);
  await run('ip', ['link', 'set', 'dev', name, 'up']);
}

export const network: Service = {
  name: 'network',
  url: NODE_ADDRESS,
  dependsOn: [],
  start: ensureNetwork,
  // Addresses are no process: they stay until `clean`, or a reboot.
  stop: async () => undefined,
  async health(): Promise<Health> {
    const shown = await tryRun('ip', ['-4', '-o', 'address', 'show', 'dev', NODE_INTERFACE]);
    const there = shown?.stdout.includes(`${NODE_ADDRESS}/`) === true;
    return {
      healthy: there,
      detail: there ? `interface ${NODE_INTERFACE}` : `interface ${NODE_INTERFACE} is not there`,
    };
  },
  async clean() {
    for (const name of [NODE_INTERFACE, DOCKER_BRIDGE]) await tryRun('ip', ['link', 'delete', 'dev', name]);
  },
};
