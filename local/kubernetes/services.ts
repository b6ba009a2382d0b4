import { join } from 'node:path';
import { repositoryRoot } from '../context.ts';
import { isNodeOwner } from '../facts.ts';
import type { Context, Service } from '../service.ts';
import { apiServer } from './apiServer.ts';
import { currentCluster, readChoice } from './choose.ts';
import { clusterDns } from './clusterDns.ts';
import { containerd } from './containerd.ts';
import { controllerManager, scheduler } from './controllers.ts';
import { etcd } from './etcd.ts';
import { kubelet } from './kubelet.ts';
import { kubeProxy } from './kubeProxy.ts';
import { loadBalancer } from './loadBalancer.ts';

/** One node of real components. */
export const nodeServices: readonly Service[] = [
  etcd,
  apiServer,
  controllerManager,
  scheduler,
  containerd,
  kubelet,
  kubeProxy,
  clusterDns,
  loadBalancer,
];

/**
 * The cluster's services: one node of real components (they need the service `network`), or the user's own cluster
 * where that was chosen (`chooseCluster`) or is the only way.
 *
 * @param ctx whose choice. @default this repository's
 */
export function kubernetesServices(
  ctx: Pick<Context, 'directory'> = { directory: join(repositoryRoot(), '.local') },
): Service[] {
  if (!isNodeOwner() || readChoice(ctx)?.cluster === 'current') return [currentCluster];
  return [...nodeServices];
}
