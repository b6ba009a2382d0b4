/** Which kind is waited for, and how. */

import { isTrue, SKIP_AWAIT, WAIT_FOR } from '../annotations.ts';
import type { KubernetesObject } from '../object.ts';
import { annotation, apiVersionOf, kindOf } from '../object.ts';
import type { Awaiter } from './awaiter.ts';
import { daemonSet } from './daemonSet.ts';
import { deployment } from './deployment.ts';
import { job } from './job.ts';
import { ingress, replicationController, resourceQuota, secret } from './others.ts';
import { pod } from './pod.ts';
import { service } from './service.ts';
import { statefulSet } from './statefulSet.ts';
import { persistentVolume, persistentVolumeClaim } from './volumes.ts';
import { waitFor } from './waitFor.ts';

const AWAITERS: Readonly<Record<string, Awaiter>> = {
  'apps/v1/DaemonSet': daemonSet,
  'apps/v1/Deployment': deployment,
  'apps/v1/StatefulSet': statefulSet,
  'batch/v1/Job': job,
  'networking.k8s.io/v1/Ingress': ingress,
  'v1/PersistentVolume': persistentVolume,
  'v1/PersistentVolumeClaim': persistentVolumeClaim,
  'v1/Pod': pod,
  'v1/ReplicationController': replicationController,
  'v1/ResourceQuota': resourceQuota,
  'v1/Secret': secret,
  'v1/Service': service,
};

/** The awaiter for an object; undefined when it is ready as soon as it is there, or when its annotations say so. */
export function awaiterFor(inputs: KubernetesObject, live: KubernetesObject): Awaiter | undefined {
  if (isTrue(inputs, SKIP_AWAIT)) return undefined;
  const custom = annotation(live, WAIT_FOR);
  if (custom !== '') return waitFor(custom);
  return AWAITERS[`${apiVersionOf(live)}/${kindOf(live)}`];
}
