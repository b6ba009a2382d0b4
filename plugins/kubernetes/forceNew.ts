/**
 * Fields that the API server refuses to change, so that a change of them replaces the object. The list is that of the
 * official provider (a stack must plan the same under both), plus fields that the API documents as immutable and that it
 * lacks; those are marked.
 */

import type { GroupVersionKind, KubernetesObject } from './object.ts';
import { isConfigMapKind, isSecretKind } from './object.ts';

const IDENTITY = ['metadata.name', 'metadata.namespace'];
const SELECTOR = ['spec.selector'];
const JOB = ['spec.completions', 'spec.parallelism', 'spec.selector', 'spec.template'];
const STATEFUL_SET = [
  'spec.podManagementPolicy',
  'spec.revisionHistoryLimit',
  'spec.selector',
  'spec.serviceName',
  'spec.volumeClaimTemplates',
];

const VOLUME_SOURCES =
  'awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker gcePersistentDisk glusterfs hostPath ' +
  'iscsi local nfs photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume';

const POD_FIELDS =
  'affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks hostAliases hostIPC hostNetwork hostPID ' +
  'hostname imagePullSecrets nodeName nodeSelector overhead preemptionPolicy priority priorityClassName readinessGates ' +
  'restartPolicy runtimeClassName schedulerName securityContext serviceAccount serviceAccountName shareProcessNamespace ' +
  'subdomain terminationGracePeriodSeconds volumes';

const CONTAINER_FIELDS =
  'args command env image imagePullPolicy lifecycle livenessProbe ports readinessProbe resources securityContext stdin ' +
  'stdinOnce terminationMessagePath terminationMessagePolicy tty volumeDevices volumeMounts workingDir';

const BY_KIND: Readonly<Record<string, readonly string[]>> = {
  'apps/v1beta1/StatefulSet': STATEFUL_SET,
  'apps/v1beta2/StatefulSet': STATEFUL_SET,
  'apps/v1/StatefulSet': STATEFUL_SET,
  'apps/v1beta2/Deployment': SELECTOR,
  'apps/v1/Deployment': SELECTOR,
  'apps/v1beta2/DaemonSet': SELECTOR,
  'apps/v1/DaemonSet': SELECTOR,
  // Documented as immutable: ReplicaSet selector (apps/v1), Job completionMode (batch/v1).
  'apps/v1/ReplicaSet': SELECTOR,
  'batch/v1/Job': [...JOB, 'spec.completionMode'],
  'batch/v1beta1/Job': JOB,
  'batch/v2alpha1/Job': JOB,
  'policy/v1beta1/PodDisruptionBudget': ['spec'],
  'storage.k8s.io/v1/StorageClass': ['parameters', 'provisioner'],
  '/v1/PersistentVolume': VOLUME_SOURCES.split(' ').map((name) => `spec.${name}`),
  '/v1/PersistentVolumeClaim': [
    'spec.accessModes',
    'spec.selector',
    'spec.storageClassName',
    'spec.volumeName',
    // Documented as immutable: only the requests (and the volume attributes class) of a claim may change.
    'spec.volumeMode',
    'spec.dataSource',
    'spec.dataSourceRef',
  ],
  '/v1/Pod': [
    ...POD_FIELDS.split(' ').map((name) => `spec.${name}`),
    ...CONTAINER_FIELDS.split(' ').flatMap((name) => [`spec.containers[*].${name}`, `spec.initContainers[*].${name}`]),
  ],
  '/v1/ResourceQuota': ['spec.scopes'],
  '/v1/Secret': ['type'],
  '/v1/Service': ['spec.clusterIP'],
};

const BINDING_VERSIONS = ['v1alpha1', 'v1beta1', 'v1'];

/** What the provider's configuration says about objects that may be changed in place. */
export interface Mutability {
  /** @default false: a changed Secret is replaced, so that its name tells pods of the change. */
  readonly secrets: boolean;
  /** @default false: a changed ConfigMap is replaced. */
  readonly configMaps: boolean;
}

/** Paths of the fields that force a replacement; `[*]` stands for any list index. */
export function forceNewPaths(gvk: GroupVersionKind, object: KubernetesObject, mutable: Mutability): string[] {
  const paths = [...IDENTITY];
  if (gvk.group === 'rbac.authorization.k8s.io' && gvk.kind.endsWith('RoleBinding')) {
    if (BINDING_VERSIONS.includes(gvk.version)) paths.push('roleRef');
    return paths;
  }
  const immutable = object.immutable === true;
  if (isSecretKind(object) && (!mutable.secrets || immutable)) return [...paths, 'type', 'stringData', 'data'];
  if (isConfigMapKind(object) && (!mutable.configMaps || immutable)) return [...paths, 'binaryData', 'data'];
  return [...paths, ...(BY_KIND[`${gvk.group}/${gvk.version}/${gvk.kind}`] ?? [])];
}
