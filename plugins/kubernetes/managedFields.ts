/**
 * Who owns which field (metadata.managedFields, Kubernetes documentation "Server-Side Apply"): taking over what kubectl and
 * plain creates left, giving up an old manager, and finding whether an ignored field is somebody else's.
 */

import type { PropertyMap, PropertyValue } from '../framework/values.ts';
import { isMap } from '../framework/values.ts';
import { parsePath } from './diff.ts';
import type { KubernetesObject } from './object.ts';
import { get, getList, getMap, getString } from './object.ts';
import { STATIC_FIELD_MANAGER } from './state.ts';

interface Ownership {
  readonly prefix: string;
  readonly operation: 'Apply' | 'Update';
}

/** Managers whose fields belong to the program: a person's kubectl, and creates that were no apply. */
const TAKEN_OVER: readonly Ownership[] = [
  { prefix: 'kubectl', operation: 'Apply' },
  { prefix: 'kubectl', operation: 'Update' },
  { prefix: 'before-first-apply', operation: 'Update' },
  { prefix: STATIC_FIELD_MANAGER, operation: 'Update' },
  { prefix: 'pulumi-resource-kubernetes', operation: 'Update' },
];

const entriesOf = (live: KubernetesObject): PropertyMap[] => getList(live, 'metadata', 'managedFields');

function isTakenOver(entry: PropertyMap, former: string | undefined): boolean {
  const manager = getString(entry, 'manager');
  const operation = getString(entry, 'operation');
  const subresource = getString(entry, 'subresource');
  // `kubectl scale` writes through a subresource; status belongs to controllers.
  if (subresource !== '' && subresource !== 'scale') return false;
  if (former !== undefined && manager === former && operation === 'Apply') return true;
  return TAKEN_OVER.some((item) => manager.startsWith(item.prefix) && operation === item.operation);
}

/** True when the first apply would meet fields that we may take over. */
export const needsTakeover = (live: KubernetesObject, fieldManager: string, former?: string): boolean =>
  entriesOf(live).some((entry) => getString(entry, 'manager') !== fieldManager && isTakenOver(entry, former));

/**
 * The JSON patch that makes those fields ours; undefined when there is nothing to do. The resource version is tested, so
 * that a change in between is not lost.
 */
export function takeoverPatch(
  live: KubernetesObject,
  fieldManager: string,
  former?: string,
): PropertyMap[] | undefined {
  if (!needsTakeover(live, fieldManager, former)) return undefined;
  const ours = (entry: PropertyMap): boolean =>
    getString(entry, 'manager') === fieldManager && getString(entry, 'operation') === 'Apply';
  const entries = entriesOf(live);
  const taken = entries.filter((entry) => ours(entry) || isTakenOver(entry, former));
  const fields = taken.map((entry) => getMap(entry, 'fieldsV1')).reduce(union, {});
  const merged: PropertyMap = {
    manager: fieldManager,
    operation: 'Apply',
    apiVersion: getString(taken[0], 'apiVersion'),
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
    ...timeOf(taken),
  };
  const rest = entries.filter((entry) => !taken.includes(entry));
  return [
    { op: 'test', path: '/metadata/resourceVersion', value: getString(live, 'metadata', 'resourceVersion') },
    { op: 'replace', path: '/metadata/managedFields', value: [...rest, merged] },
  ];
}

/** The server leaves the time out of an entry from which `kubectl scale` has taken the replicas, and takes no empty one. */
function timeOf(entries: readonly PropertyMap[]): { time?: string } {
  const time = entries.map((entry) => getString(entry, 'time')).find((text) => text !== '');
  return time === undefined ? {} : { time };
}

function union(left: PropertyMap, right: PropertyMap): PropertyMap {
  const result: PropertyMap = { ...left };
  for (const [key, value] of Object.entries(right)) {
    const other = result[key];
    result[key] = isMap(other) && isMap(value) ? union(other, value) : value;
  }
  return result;
}

/**
 * Inputs for an update that leaves `ignored` paths alone: a field of another manager is left out of the request, a field of
 * our own is sent as it is in the cluster (leaving it out would remove it). Paths into lists are left to the server.
 */
export function withIgnoredFields(
  inputs: KubernetesObject,
  live: KubernetesObject,
  ignored: readonly string[],
  fieldManager: string,
): KubernetesObject {
  let result = inputs;
  for (const path of ignored) {
    const steps = parsePath(path);
    if (steps.some((step) => typeof step !== 'string' || step === '*')) continue;
    const keys = steps.map(String);
    const value = get(live, ...keys);
    if (value === undefined) continue;
    const owned = (mine: boolean): boolean =>
      entriesOf(live).some(
        (entry) => (getString(entry, 'manager') === fieldManager) === mine && owns(getMap(entry, 'fieldsV1'), keys),
      );
    result = setPath(result, keys, owned(false) && !owned(true) ? undefined : value);
  }
  return result;
}

const owns = (fields: PropertyMap, keys: readonly string[]): boolean =>
  get(fields, ...keys.map((key) => `f:${key}`)) !== undefined;

function setPath(object: PropertyMap, keys: readonly string[], value: PropertyValue | undefined): PropertyMap {
  const [key, ...rest] = keys;
  if (key === undefined) return object;
  const result = { ...object };
  if (rest.length === 0) {
    if (value === undefined) delete result[key];
    else result[key] = value;
    return result;
  }
  const child = result[key];
  if (child === undefined && value === undefined) return result;
  result[key] = setPath(isMap(child) ? child : {}, rest, value);
  return result;
}
