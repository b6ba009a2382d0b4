import { type CoreV1Api, PatchStrategy, setHeaderOptions, type V1Service } from '@kubernetes/client-node';
import { LOAD_BALANCER_CIDR, NODE_INTERFACE } from '../../facts.ts';
import { run } from '../../run.ts';
import { assignAddresses, hostAddresses } from './addresses.ts';

const POOL = hostAddresses(LOAD_BALANCER_CIDR);

function keyOf(service: V1Service): string {
  return `${service.metadata?.namespace}/${service.metadata?.name}`;
}

/** A class names another implementation (Kubernetes documentation, "Load balancer class"). */
function isOurs(service: V1Service): boolean {
  return (
    service.spec?.type === 'LoadBalancer' &&
    service.spec.loadBalancerClass === undefined &&
    service.metadata?.deletionTimestamp === undefined
  );
}

function addressOf(service: V1Service): string | undefined {
  return service.status?.loadBalancer?.ingress?.map(({ ip }) => ip).find((ip) => ip !== undefined && POOL.includes(ip));
}

/** A Date in an object from a list, but a string in one from a watch: the client converts only the former. */
function createdAt(service: V1Service): number {
  const time = new Date(service.metadata?.creationTimestamp ?? 0).getTime();
  return Number.isNaN(time) ? 0 : time;
}

/** Addresses of the pool that are on the interface. */
async function presentAddresses(): Promise<string[]> {
  const { stdout } = await run('ip', ['-j', '-4', 'address', 'show', 'dev', NODE_INTERFACE]);
  const links = JSON.parse(stdout || '[]') as { addr_info?: { local?: string }[] }[];
  return links
    .flatMap((link) => link.addr_info ?? [])
    .flatMap(({ local }) => local ?? [])
    .filter((address) => POOL.includes(address));
}

/**
 * Gives every Service of type LoadBalancer an address on this machine and writes it into its status; kube-proxy then
 * takes the traffic. Takes away the addresses of those that are gone.
 */
export async function reconcileLoadBalancers(
  core: CoreV1Api,
  services: readonly V1Service[],
  log: (line: string) => void,
): Promise<void> {
  const ours = services.filter(isOurs);
  const assigned = assignAddresses(
    ours.map((service) => ({
      key: keyOf(service),
      current: addressOf(service),
      created: createdAt(service),
    })),
    POOL,
  );
  const wanted = new Set(assigned.values());
  const present = new Set(await presentAddresses());
  // The address first: who reads it in the status may connect at once.
  for (const address of wanted) {
    if (!present.has(address)) await run('ip', ['address', 'replace', `${address}/32`, 'dev', NODE_INTERFACE]);
  }
  for (const address of present) {
    if (!wanted.has(address)) await run('ip', ['address', 'delete', `${address}/32`, 'dev', NODE_INTERFACE]);
  }
  for (const service of services) {
    const address = assigned.get(keyOf(service));
    if (address === undefined && isOurs(service)) {
      log(`${keyOf(service)}: all ${POOL.length} addresses of ${LOAD_BALANCER_CIDR} are in use`);
    }
    // Also one that is no LoadBalancer any more, or that somebody gave a class.
    if (address === addressOf(service)) continue;
    await setAddress(core, service, address);
    log(`${keyOf(service)}: ${address ?? 'address taken back'}`);
  }
}

async function setAddress(core: CoreV1Api, service: V1Service, address: string | undefined): Promise<void> {
  const { namespace = '', name = '', uid } = service.metadata ?? {};
  const ingress = address === undefined ? null : [{ ip: address, ipMode: 'VIP' }];
  await core.patchNamespacedServiceStatus(
    // The uid: not one of the same name that was made meanwhile.
    { namespace, name, body: { metadata: { uid }, status: { loadBalancer: { ingress } } } },
    setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
  );
}
