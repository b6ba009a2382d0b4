/**
 * The annotations and labels that steer the provider; the names are those of the official provider
 * (pulumi.com/registry/packages/kubernetes, "Annotations").
 */

import type { KubernetesObject } from './object.ts';
import { annotation, getString } from './object.ts';

export const AUTONAMED = 'pulumi.com/autonamed';
export const SKIP_AWAIT = 'pulumi.com/skipAwait';
export const WAIT_FOR = 'pulumi.com/waitFor';
export const TIMEOUT_SECONDS = 'pulumi.com/timeoutSeconds';
export const REPLACE_UNREADY = 'pulumi.com/replaceUnready';
export const PATCH_FORCE = 'pulumi.com/patchForce';
export const PATCH_FIELD_MANAGER = 'pulumi.com/patchFieldManager';
export const DELETION_PROPAGATION = 'pulumi.com/deletionPropagationPolicy';
export const HELM_HOOK = 'helm.sh/hook';
export const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';

/** How long an operation may take when neither `customTimeouts` nor the annotation says so: 10 minutes. */
export const DEFAULT_TIMEOUT_SECONDS = 600;

export const isTrue = (object: KubernetesObject, key: string): boolean => annotation(object, key) === 'true';

/** Seconds: `customTimeouts` first, then the annotation, else `undefined`. An annotation that is no number is ignored. */
export function timeoutOf(custom: number, inputs: KubernetesObject): number | undefined {
  if (custom > 0) return custom;
  const text = annotation(inputs, TIMEOUT_SECONDS);
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

export type Propagation = 'Foreground' | 'Background' | 'Orphan';

/** Foreground unless the annotation says `background` or `orphan`. */
export function propagationOf(inputs: KubernetesObject): Propagation {
  switch (annotation(inputs, DELETION_PROPAGATION).toLowerCase()) {
    case 'orphan':
      return 'Orphan';
    case 'background':
      return 'Background';
    default:
      return 'Foreground';
  }
}

export const managedByValue = (): string => process.env.PULUMI_KUBERNETES_MANAGED_BY_LABEL ?? 'pulumi';

export const hasManagedByLabel = (object: KubernetesObject): boolean =>
  getString(object, 'metadata', 'labels', MANAGED_BY_LABEL) === managedByValue();
