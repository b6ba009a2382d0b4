/**
 * v1 Service: an address for a LoadBalancer; and, where it selects pods, no endpoint that is still becoming ready. A Service
 * whose selector matches nothing is accepted after a while, as in the official provider: its pods may come later.
 */

import type { KubernetesObject } from '../object.ts';
import { get, getList, getMap, getString, nameOf, namespaceOf } from '../object.ts';
import type { AwaitContext, Awaiter, Verdict } from './awaiter.ts';

const SLICE = { group: 'discovery.k8s.io', version: 'v1', kind: 'EndpointSlice' };
/** Seconds in which endpoints may still appear. */
const SETTLING = 10;

const NO_PODS =
  'The Service does not target any ready pods: those that it selects are not ready, or spec.selector matches no pod.';
const NO_ADDRESS =
  'The Service was given no address: nothing in this cluster assigns addresses to Services of type LoadBalancer ' +
  '(on minikube: run "minikube tunnel").';

async function check(live: KubernetesObject, context: AwaitContext): Promise<Verdict> {
  const type = getString(live, 'spec', 'type') || 'ClusterIP';
  const addressed = type !== 'LoadBalancer' || getList(live, 'status', 'loadBalancer', 'ingress').length > 0;
  const selects = Object.keys(getMap(live, 'spec', 'selector')).length > 0;
  if (type === 'ExternalName' || get(live, 'spec', 'clusterIP') === 'None' || !selects) {
    return addressed
      ? { ready: true, status: '' }
      : { ready: false, status: 'waiting for an address', reasons: [NO_ADDRESS] };
  }
  const { ready, pending } = await endpoints(live, context);
  const reasons = [...(ready === 0 ? [NO_PODS] : []), ...(addressed ? [] : [NO_ADDRESS])];
  const settled = pending === 0 && (ready > 0 || context.elapsed >= SETTLING || !context.waiting);
  if (addressed && settled) return { ready: true, status: '' };
  const status = settled ? 'waiting for an address' : `${ready} endpoints ready, ${pending} not yet`;
  return { ready: false, status, reasons };
}

async function endpoints(live: KubernetesObject, context: AwaitContext): Promise<{ ready: number; pending: number }> {
  const labelSelector = `kubernetes.io/service-name=${nameOf(live)}`;
  const slices = await context.cluster
    .list(SLICE, namespaceOf(live), { labelSelector }, context.signal)
    .catch(() => []);
  let ready = 0;
  let pending = 0;
  for (const endpoint of slices.flatMap((slice) => getList(slice, 'endpoints'))) {
    if (get(endpoint, 'conditions', 'ready') !== false) ready += 1;
    // A pod that is going away never becomes ready again.
    else if (get(endpoint, 'conditions', 'terminating') !== true) pending += 1;
  }
  return { ready, pending };
}

export const service: Awaiter = { check };
