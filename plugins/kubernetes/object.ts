/**
 * Kubernetes objects as plain values (no secret marks; UNKNOWN may be in them during a preview), with the getters that
 * the rest of the plugin needs. Nothing here knows of the engine or of the API server.
 */

import type { PropertyMap, PropertyValue } from '../framework/values.ts';
import { isMap } from '../framework/values.ts';

export type KubernetesObject = PropertyMap;

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** The value at a path of map keys; undefined when a step is not there. */
export function get(value: PropertyValue | undefined, ...path: readonly string[]): PropertyValue | undefined {
  let current: PropertyValue | undefined = value;
  for (const key of path) {
    if (!isMap(current)) return undefined;
    current = current[key];
  }
  return current;
}

export function getString(value: PropertyValue | undefined, ...path: readonly string[]): string {
  const found = get(value, ...path);
  return typeof found === 'string' ? found : '';
}

export function getNumber(value: PropertyValue | undefined, ...path: readonly string[]): number | undefined {
  const found = get(value, ...path);
  return typeof found === 'number' ? found : undefined;
}

export function getMap(value: PropertyValue | undefined, ...path: readonly string[]): PropertyMap {
  const found = get(value, ...path);
  return isMap(found) ? found : {};
}

/** The maps in a list; [] when there is none. */
export function getList(value: PropertyValue | undefined, ...path: readonly string[]): PropertyMap[] {
  const found = get(value, ...path);
  return Array.isArray(found) ? found.filter((item): item is PropertyMap => isMap(item)) : [];
}

export const nameOf = (object: KubernetesObject): string => getString(object, 'metadata', 'name');
export const namespaceOf = (object: KubernetesObject): string => getString(object, 'metadata', 'namespace');
export const kindOf = (object: KubernetesObject): string => getString(object, 'kind');
export const apiVersionOf = (object: KubernetesObject): string => getString(object, 'apiVersion');
export const uidOf = (object: KubernetesObject): string => getString(object, 'metadata', 'uid');

export function annotation(object: KubernetesObject, key: string): string {
  return getString(object, 'metadata', 'annotations', key);
}

/** `namespace/name`, or `name` for what has no namespace: the resource's id in the state. */
export function idOf(object: KubernetesObject): string {
  const namespace = namespaceOf(object);
  return namespace === '' ? nameOf(object) : `${namespace}/${nameOf(object)}`;
}

export function parseId(id: string): { namespace: string; name: string } {
  const slash = id.indexOf('/');
  return slash < 0 ? { namespace: '', name: id } : { namespace: id.slice(0, slash), name: id.slice(slash + 1) };
}

/** Splits `apps/v1` or `v1`; the `core` group is written as ''. */
export function gvkOf(object: KubernetesObject): GroupVersionKind {
  const [first = '', second] = apiVersionOf(object).split('/');
  const kind = kindOf(object);
  return second === undefined
    ? { group: '', version: first, kind }
    : { group: first === 'core' ? '' : first, version: second, kind };
}

export function groupVersion(gvk: GroupVersionKind): string {
  return gvk.group === '' ? gvk.version : `${gvk.group}/${gvk.version}`;
}

export const isSecretKind = (object: KubernetesObject): boolean =>
  kindOf(object) === 'Secret' && (apiVersionOf(object) === 'v1' || apiVersionOf(object) === 'core/v1');

export const isConfigMapKind = (object: KubernetesObject): boolean =>
  kindOf(object) === 'ConfigMap' && (apiVersionOf(object) === 'v1' || apiVersionOf(object) === 'core/v1');

export const isCustomResourceDefinition = (object: KubernetesObject): boolean =>
  kindOf(object) === 'CustomResourceDefinition' && apiVersionOf(object).startsWith('apiextensions.k8s.io/');

/** A copy with `metadata.<key>` set; undefined removes it. Metadata that is not a map stays as it is. */
export function withMetadata(
  object: KubernetesObject,
  key: string,
  value: PropertyValue | undefined,
): KubernetesObject {
  const metadata = object.metadata;
  if (metadata !== undefined && metadata !== null && !isMap(metadata)) return object;
  const next: PropertyMap = { ...(isMap(metadata) ? metadata : {}) };
  if (value === undefined) delete next[key];
  else next[key] = value;
  return { ...object, metadata: next };
}

/** A copy with an annotation set; an annotations value that is not known yet stays as it is. */
export function withAnnotation(object: KubernetesObject, key: string, value: string): KubernetesObject {
  const annotations = get(object, 'metadata', 'annotations');
  if (annotations !== undefined && annotations !== null && !isMap(annotations)) return object;
  return withMetadata(object, 'annotations', { ...(isMap(annotations) ? annotations : {}), [key]: value });
}

export function withLabel(object: KubernetesObject, key: string, value: string): KubernetesObject {
  const labels = get(object, 'metadata', 'labels');
  if (labels !== undefined && labels !== null && !isMap(labels)) return object;
  return withMetadata(object, 'labels', { ...(isMap(labels) ? labels : {}), [key]: value });
}
