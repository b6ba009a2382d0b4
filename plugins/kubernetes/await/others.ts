/** Kinds whose readiness is one field: Ingress, ReplicationController, ResourceQuota, service account tokens. */

import type { KubernetesObject } from '../object.ts';
import { get, getList, getMap, getNumber, getString } from '../object.ts';
import type { Awaiter, Verdict } from './awaiter.ts';

export const ingress: Awaiter = {
  check: (live: KubernetesObject): Verdict => ({
    ready: getList(live, 'status', 'loadBalancer', 'ingress').length > 0,
    status: 'waiting for an address',
    reasons: [
      'The Ingress was given no address: is an ingress controller running, and does ingressClassName name its class?',
    ],
  }),
};

export const replicationController: Awaiter = {
  onRead: false,
  check: (live: KubernetesObject): Verdict => {
    const wanted = getNumber(live, 'spec', 'replicas') ?? 1;
    const available = getNumber(live, 'status', 'availableReplicas') ?? 0;
    return { ready: available === wanted, status: `${available} of ${wanted} pods available` };
  },
};

export const resourceQuota: Awaiter = {
  defaultTimeout: 60,
  onRead: false,
  check: (live: KubernetesObject): Verdict => {
    const wanted = getMap(live, 'spec', 'hard');
    const taken = getMap(live, 'status', 'hard');
    const same = Object.keys(wanted).every((key) => wanted[key] === taken[key]);
    return { ready: same, status: 'waiting for the quota controller' };
  },
};

export const secret: Awaiter = {
  defaultTimeout: 5,
  onRead: false,
  check: (live: KubernetesObject): Verdict => ({
    ready:
      getString(live, 'type') !== 'kubernetes.io/service-account-token' || Object.keys(getMap(live, 'data')).length > 0,
    status: 'waiting for the token controller',
    reasons: get(live, 'data') === undefined ? ['No token was issued: does the service account exist?'] : [],
  }),
};
