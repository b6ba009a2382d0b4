import { readdirSync, readFileSync } from 'node:fs';
import { platform } from 'node:os';
import type { CoreV1Api, CustomObjectsApi } from '@kubernetes/client-node';
import type { Observation, ObservedNode, ObservedService } from './profiles.ts';

/** Looks at a cluster; what it cannot see is left out. */
export type Observer = () => Promise<Observation>;

export interface ClusterAccess {
  /** Path of a kubeconfig, or its content. @default `KUBECONFIG`, else `~/.kube/config` */
  readonly kubeconfig?: string;
  /** @default the current one */
  readonly context?: string;
}

/** A name that the bundler does not follow: the client is large, and needed only where an address is missing. */
const CLIENT: string = '@kubernetes/client-node';
const TIMEOUT_MS = 10_000;
const UNINITIALIZED = 'node.cloudprovider.kubernetes.io/uninitialized';

/** An observer of a cluster and of this machine's processes. Reads only; a refused or failed request is no error. */
export function clusterObserver(access: ClusterAccess = {}): Observer {
  return async () => {
    const { KubeConfig, CoreV1Api, CustomObjectsApi } = (await import(
      CLIENT
    )) as typeof import('@kubernetes/client-node');
    const config = new KubeConfig();
    if (access.kubeconfig === undefined) config.loadFromDefault();
    else if (access.kubeconfig.includes('\n')) config.loadFromString(access.kubeconfig);
    else config.loadFromFile(access.kubeconfig);
    if (access.context !== undefined) config.setCurrentContext(access.context);
    const core = config.makeApiClient(CoreV1Api);
    const custom = config.makeApiClient(CustomObjectsApi);
    const [nodes, services, metallb] = await Promise.all([
      attempt(observeNodes(core)),
      attempt(observeServices(core)),
      attempt(observeMetallb(core, custom)),
    ]);
    return { nodes, services, metallb, ...observeMachine() };
  };
}

/** The value, or undefined after an error or 10 seconds. */
async function attempt<T>(work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), TIMEOUT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

async function observeNodes(core: CoreV1Api): Promise<ObservedNode[]> {
  const { items } = await core.listNode();
  return items.map(({ metadata, spec }) => ({
    name: metadata?.name ?? '',
    providerId: spec?.providerID ?? '',
    labels: metadata?.labels ?? {},
    uninitialized: spec?.taints?.some(({ key }) => key === UNINITIALIZED) === true,
  }));
}

async function observeServices(core: CoreV1Api): Promise<ObservedService[]> {
  const { items } = await core.listServiceForAllNamespaces();
  return items
    .filter(({ spec }) => spec?.type === 'LoadBalancer')
    .map(({ metadata, spec, status }) => ({
      namespace: metadata?.namespace ?? '',
      name: metadata?.name ?? '',
      ports: spec?.ports?.map(({ port }) => port) ?? [],
      addressed: (status?.loadBalancer?.ingress?.length ?? 0) > 0,
    }));
}

const METALLB = { group: 'metallb.io', version: 'v1beta1', namespace: 'metallb-system' };

async function observeMetallb(core: CoreV1Api, custom: CustomObjectsApi): Promise<Observation['metallb']> {
  const { items } = await core.listNamespace({ fieldSelector: `metadata.name=${METALLB.namespace}` });
  if (items.length === 0) return { installed: false, addressPools: 0, advertisements: 0 };
  const count = async (plural: string) => {
    const list = (await custom.listNamespacedCustomObject({ ...METALLB, plural })) as { items?: unknown[] };
    return list.items?.length ?? 0;
  };
  const addressPools = await count('ipaddresspools');
  const advertisements = (await count('l2advertisements')) + (await count('bgpadvertisements'));
  return { installed: true, addressPools, advertisements };
}

/** What runs on this machine; nothing where processes cannot be listed (no /proc). */
function observeMachine(): Pick<Observation, 'tunnel' | 'cloudProviderKind'> {
  if (platform() !== 'linux') return {};
  const commands = commandLines();
  return {
    tunnel: commands.some(isTunnel),
    // It may also run as a container; its process is then seen as well, unless docker runs in a virtual machine.
    cloudProviderKind: commands.some(([program = '']) => /(^|\/)cloud-provider-kind$/.test(program)),
  };
}

/** `minikube [flags] tunnel [flags]`. */
export function isTunnel(command: readonly string[]): boolean {
  const start = command.findIndex((word) => /(^|\/)minikube(-[a-z0-9-]+)?$/.test(word));
  return start !== -1 && command.slice(start + 1).includes('tunnel');
}

function commandLines(): string[][] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      return [readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0')];
    } catch {
      // Ended meanwhile.
      return [];
    }
  });
}
