/** What is known of kinds without asking a server: type tokens, built-in API groups, scopes. */

import type { Plugin } from '../framework/provider.ts';
import { UnsupportedTypeError } from '../framework/provider.ts';
import type { GroupVersionKind, KubernetesObject } from './object.ts';
import { apiVersionOf, groupVersion } from './object.ts';

const BUILT_IN_GROUPS: ReadonlySet<string> = new Set([
  '',
  'core',
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'apiregistration.k8s.io',
  'apps',
  'auditregistration.k8s.io',
  'autoscaling',
  'batch',
  'certificates.k8s.io',
  'coordination.k8s.io',
  'discovery.k8s.io',
  'events.k8s.io',
  'extensions',
  'flowcontrol.apiserver.k8s.io',
  'meta',
  'networking.k8s.io',
  'node.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
  'resource.k8s.io',
  'scheduling.k8s.io',
  'settings.k8s.io',
  'storage.k8s.io',
  'storagemigration.k8s.io',
]);

const NAMESPACED: ReadonlySet<string> = new Set(
  (
    'Binding ConfigMap ControllerRevision CronJob CSIStorageCapacity DaemonSet Deployment Endpoints EndpointSlice Event ' +
    'HorizontalPodAutoscaler Ingress Job Lease LimitRange NetworkPolicy PersistentVolumeClaim Pod PodDisruptionBudget ' +
    'PodTemplate ReplicaSet ReplicationController ResourceQuota Role RoleBinding Secret Service ServiceAccount StatefulSet'
  ).split(' '),
);

const CLUSTER_WIDE: ReadonlySet<string> = new Set(
  (
    'APIService CertificateSigningRequest ClusterRole ClusterRoleBinding CSIDriver CSINode CustomResourceDefinition ' +
    'FlowSchema IngressClass MutatingWebhookConfiguration Namespace Node PersistentVolume PodSecurityPolicy PriorityClass ' +
    'PriorityLevelConfiguration RuntimeClass StorageClass ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ' +
    'ValidatingWebhookConfiguration VolumeAttachment'
  ).split(' '),
);

/** True for the API groups that Kubernetes itself serves: their objects are typed, everything else is a custom resource. */
export function isBuiltInGroup(group: string): boolean {
  return BUILT_IN_GROUPS.has(group);
}

export function isBuiltIn(object: KubernetesObject): boolean {
  const [first = '', second] = apiVersionOf(object).split('/');
  return first !== '' && isBuiltInGroup(second === undefined ? '' : first);
}

/** Whether a built-in kind lives in a namespace; undefined when only the server can say. */
export function knownScope(gvk: GroupVersionKind): boolean | undefined {
  if (!isBuiltInGroup(gvk.group)) return undefined;
  if (NAMESPACED.has(gvk.kind)) return true;
  return CLUSTER_WIDE.has(gvk.kind) ? false : undefined;
}

/** Packages of the SDK that hold no plain API objects. */
const OTHER_MODULES = /^(helm\.sh\/|yaml(\/|$)|kustomize(\/|$))/;

/**
 * `kubernetes:apps/v1:Deployment` to its group, version and kind.
 * @throws UnsupportedTypeError for charts, kustomizations, YAML groups and Patch resources.
 * @throws Error for lists, which neither this nor the official plugin can create.
 */
export function parseToken(plugin: Pick<Plugin, 'name' | 'version'>, token: string): GroupVersionKind {
  const [pkg, module = '', kind = ''] = token.split(':');
  if (pkg !== plugin.name || kind === '' || OTHER_MODULES.test(module)) throw new UnsupportedTypeError(plugin, token);
  const [first = '', version = ''] = module.split('/');
  if (version === '') throw new UnsupportedTypeError(plugin, token);
  const gvk = { group: first === 'core' ? '' : first, version, kind };
  if (isBuiltInGroup(gvk.group)) {
    if (kind.endsWith('Patch')) throw new UnsupportedTypeError(plugin, token);
    if (kind.endsWith('List')) {
      throw new Error(
        `${token} is a list, which exists for manifests only and cannot be created. Declare each of its items instead.`,
      );
    }
  }
  return gvk;
}

/** `apps/v1 Deployment`, for messages. */
export const describeKind = (gvk: GroupVersionKind): string => `${groupVersion(gvk)} ${gvk.kind}`;
