import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CoreV1Api,
  type Informer,
  KubeConfig,
  type KubernetesListObject,
  type KubernetesObject,
  makeInformer,
  type ObjectCache,
  StorageV1Api,
} from '@kubernetes/client-node';
import { reconcileLoadBalancers } from './loadBalancer.ts';
import { reconcileVolumes } from './volumes.ts';

export interface ControllerOptions {
  readonly kubeconfig: string;
  /** Where the folders of volumes are made. */
  readonly volumes: string;
  /** Touched after every round that succeeded: how `status` sees that it works. */
  readonly heartbeat: string;
  readonly signal: AbortSignal;
}

/** Also without an event: somebody may have taken an address off the interface. */
const ROUND_MS = 5000;
const RETRY_MS = 1000;

function log(line: string): void {
  process.stdout.write(`${new Date().toISOString()} ${line}\n`);
}

/** Addresses for Services of type LoadBalancer and volumes for claims, until the signal aborts. */
export async function runController(options: ControllerOptions): Promise<void> {
  const config = new KubeConfig();
  config.loadFromFile(options.kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  const storage = config.makeApiClient(StorageV1Api);
  let wake: () => void = () => undefined;
  const informers: Informer<KubernetesObject>[] = [];
  const watch = async <T extends KubernetesObject>(path: string, list: () => Promise<KubernetesListObject<T>>) => {
    const informer: Informer<T> & ObjectCache<T> = makeInformer<T>(config, path, list);
    for (const verb of ['add', 'update', 'delete'] as const) informer.on(verb, () => wake());
    informer.on('error', (error: unknown) => {
      if (options.signal.aborted) return;
      log(`${path}: ${reason(error)}; watching again in ${RETRY_MS} ms`);
      void restart(informer, options.signal);
    });
    informers.push(informer as unknown as Informer<KubernetesObject>);
    await restart(informer, options.signal);
    return () => [...informer.list()];
  };
  const [services, claims, volumes, classes] = await Promise.all([
    watch('/api/v1/services', () => core.listServiceForAllNamespaces()),
    watch('/api/v1/persistentvolumeclaims', () => core.listPersistentVolumeClaimForAllNamespaces()),
    watch('/api/v1/persistentvolumes', () => core.listPersistentVolume()),
    watch('/apis/storage.k8s.io/v1/storageclasses', () => storage.listStorageClass()),
  ]);
  log('watching');
  while (!options.signal.aborted) {
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const state = { claims: claims(), volumes: volumes(), classes: classes() };
    const results = await Promise.allSettled([
      reconcileLoadBalancers(core, services(), log),
      reconcileVolumes(core, state, options.volumes, log),
      // Watches that went silent still answer from their cache: this asks the API server itself.
      core.listPersistentVolume({ limit: 1 }),
    ]);
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [reason(result.reason)] : []));
    for (const failure of failures) log(failure);
    if (failures.length === 0) writeFileSync(options.heartbeat, new Date().toISOString());
    // A conflict, or a moment without the API server: what is cached gets current meanwhile.
    else await sleep(RETRY_MS / 4);
    const pause = failures.length === 0 ? ROUND_MS : RETRY_MS;
    await Promise.race([woken, sleep(pause, undefined, { signal: options.signal }).catch(() => undefined)]);
  }
  await Promise.all(informers.map((informer) => informer.stop()));
}

/** `start` fails when the list fails: tried until it does not. */
async function restart<T extends KubernetesObject>(informer: Informer<T>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await sleep(RETRY_MS / 4, undefined, { signal });
      await informer.start();
      return;
    } catch (error) {
      if (signal.aborted) return;
      log(reason(error));
      await sleep(RETRY_MS).catch(() => undefined);
    }
  }
}

/** Without the answer's headers and body, which client errors carry. */
function reason(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  const message = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  return `${code === undefined ? '' : `${String(code)} `}${message}`.slice(0, 300);
}
