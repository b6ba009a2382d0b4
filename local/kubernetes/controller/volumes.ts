import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { CoreV1Api, V1PersistentVolume, V1PersistentVolumeClaim, V1StorageClass } from '@kubernetes/client-node';
import { NODE_NAME } from '../facts.ts';
import { PROVISIONER } from '../manifests.ts';

/** Says which provisioner made a volume (Kubernetes documentation, "Well-Known Labels, Annotations and Taints"). */
const PROVISIONED_BY = 'pv.kubernetes.io/provisioned-by';
const SELECTED_PROVISIONER = 'volume.kubernetes.io/storage-provisioner';

/** The volume for a claim: a folder of the host, as large as its disk, on the only node. */
export function volumeFor(
  claim: V1PersistentVolumeClaim,
  storageClass: V1StorageClass,
  directory: string,
): V1PersistentVolume {
  const { namespace, name, uid } = claim.metadata ?? {};
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: `pvc-${uid}`, annotations: { [PROVISIONED_BY]: PROVISIONER } },
    spec: {
      capacity: { storage: claim.spec?.resources?.requests?.storage ?? '1Gi' },
      accessModes: claim.spec?.accessModes,
      volumeMode: 'Filesystem',
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: storageClass.metadata?.name,
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
      hostPath: { path: join(directory, `pvc-${uid}`), type: 'Directory' },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [NODE_NAME] }] },
          ],
        },
      },
    },
  };
}

/** Makes volumes for claims that wait for this provisioner, and removes those whose claims are gone. */
export async function reconcileVolumes(
  core: CoreV1Api,
  state: {
    readonly claims: readonly V1PersistentVolumeClaim[];
    readonly volumes: readonly V1PersistentVolume[];
    readonly classes: readonly V1StorageClass[];
  },
  directory: string,
  log: (line: string) => void,
): Promise<void> {
  for (const claim of state.claims) {
    const waiting =
      claim.status?.phase === 'Pending' &&
      claim.spec?.volumeName === undefined &&
      claim.metadata?.deletionTimestamp === undefined &&
      claim.metadata?.annotations?.[SELECTED_PROVISIONER] === PROVISIONER;
    const storageClass = state.classes.find(({ metadata }) => metadata?.name === claim.spec?.storageClassName);
    if (!waiting || storageClass === undefined) continue;
    const volume = volumeFor(claim, storageClass, directory);
    const path = volume.spec?.hostPath?.path ?? '';
    if (state.volumes.some(({ metadata }) => metadata?.name === volume.metadata?.name)) continue;
    if (claim.spec?.volumeMode === 'Block') {
      log(`${claim.metadata?.namespace}/${claim.metadata?.name}: block volumes are not provided`);
      continue;
    }
    mkdirSync(path, { recursive: true });
    // Any user of a container may write to its own volume; the folders above it are root's.
    chmodSync(path, 0o777);
    await core.createPersistentVolume({ body: volume });
    log(`${claim.metadata?.namespace}/${claim.metadata?.name}: ${volume.metadata?.name}`);
  }
  for (const volume of state.volumes) {
    const { metadata, spec, status } = volume;
    if (
      status?.phase !== 'Released' ||
      spec?.persistentVolumeReclaimPolicy !== 'Delete' ||
      metadata?.annotations?.[PROVISIONED_BY] !== PROVISIONER
    ) {
      continue;
    }
    const path = spec.hostPath?.path ?? '';
    // A path that somebody wrote by hand is not ours to remove.
    if (dirname(path) === directory && basename(path) === metadata.name) rmSync(path, { recursive: true, force: true });
    await core.deletePersistentVolume({ name: metadata.name ?? '' });
    log(`${metadata.name}: removed`);
  }
}
