/** v1 PersistentVolumeClaim and PersistentVolume: bound; a claim that waits for its first consumer stays pending. */

import type { KubernetesObject } from '../object.ts';
import { getString } from '../object.ts';
import type { AwaitContext, Awaiter, Verdict } from './awaiter.ts';

const STORAGE_CLASS = { group: 'storage.k8s.io', version: 'v1', kind: 'StorageClass' };
/** Seconds; the official provider's. */
const TIMEOUT = 300;

async function checkClaim(live: KubernetesObject, context: AwaitContext): Promise<Verdict> {
  const phase = getString(live, 'status', 'phase');
  if (phase === 'Bound') return { ready: true, status: 'bound' };
  const name = getString(live, 'spec', 'storageClassName');
  const storage =
    name === '' ? undefined : await context.cluster.get(STORAGE_CLASS, '', name, context.signal).catch(() => undefined);
  if (phase === 'Pending' && getString(storage, 'volumeBindingMode') === 'WaitForFirstConsumer') {
    return { ready: true, status: 'waits for its first consumer' };
  }
  const reason =
    name === ''
      ? 'The claim names no StorageClass, the cluster has no default one, and no PersistentVolume matches it yet.'
      : storage === undefined
        ? `StorageClass "${name}" does not exist.`
        : `StorageClass "${name}" (${getString(storage, 'provisioner')}) has not provisioned a volume yet.`;
  return { ready: false, status: `claim is ${phase || 'new'}`, reasons: [reason] };
}

function checkVolume(live: KubernetesObject): Verdict {
  const phase = getString(live, 'status', 'phase');
  return { ready: phase === 'Available' || phase === 'Bound', status: `volume is ${phase || 'new'}` };
}

export const persistentVolumeClaim: Awaiter = { check: checkClaim, defaultTimeout: TIMEOUT, onRead: false };
export const persistentVolume: Awaiter = { check: checkVolume, defaultTimeout: TIMEOUT, onRead: false };
