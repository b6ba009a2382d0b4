/**
 * Brings inputs and live objects to one form, so that only real differences show: what the API server rewrites on the way
 * in (quantities, a Secret's stringData, base64 padding) is rewritten here in the same way.
 */

import type { PropertyMap, PropertyValue } from '../framework/values.ts';
import { containsUnknown, isMap } from '../framework/values.ts';
import { isBuiltIn } from './kinds.ts';
import type { KubernetesObject } from './object.ts';
import { get, getMap, isCustomResourceDefinition, isSecretKind } from './object.ts';
import { canonicalQuantity } from './quantity.ts';

/** Fields of ObjectMeta that the server alone writes. */
const READ_ONLY_METADATA = [
  'creationTimestamp',
  'deletionGracePeriodSeconds',
  'deletionTimestamp',
  'generation',
  'managedFields',
  'resourceVersion',
  'uid',
];

/** The normal form of an object that a program wrote (or that the state remembers as such). */
export function normalize(object: KubernetesObject): KubernetesObject {
  let result = withoutReadOnly(object);
  if (!isBuiltIn(result) || containsUnknown(result)) return result;
  if (isCustomResourceDefinition(result)) {
    result = { ...result };
    // The server drops `preserveUnknownFields: false` and ignores a status.
    delete result.status;
    if (get(result, 'spec', 'preserveUnknownFields') === false) {
      const { preserveUnknownFields: _, ...spec } = getMap(result, 'spec');
      result.spec = spec;
    }
    return result;
  }
  if (isSecretKind(result)) return normalizeSecret(result);
  return normalizeQuantities(result, '') as KubernetesObject;
}

function withoutReadOnly(object: KubernetesObject): KubernetesObject {
  const metadata = object.metadata;
  if (!isMap(metadata)) return { ...object };
  const kept = Object.entries(metadata).filter(([key]) => !READ_ONLY_METADATA.includes(key));
  return { ...object, metadata: Object.fromEntries(kept) };
}

/** stringData is merged into data, base64, as the server does it (core/v1 Secret, "stringData"). */
function normalizeSecret(object: KubernetesObject): KubernetesObject {
  const result: PropertyMap = { ...object };
  const data: PropertyMap = Object.fromEntries(
    Object.entries(getMap(result, 'data')).map(([key, value]) => [
      key,
      typeof value === 'string' ? reencode(value) : value,
    ]),
  );
  const strings = getMap(result, 'stringData');
  for (const [key, value] of Object.entries(strings)) {
    data[key] = typeof value === 'string' ? Buffer.from(value, 'utf8').toString('base64') : value;
  }
  if (Object.keys(strings).length > 0) delete result.stringData;
  if (Object.keys(data).length > 0) result.data = data;
  return result;
}

/** Base64 without line breaks. What is not base64 stays: the server reports it. */
function reencode(value: string): string {
  const compact = value.replace(/[\r\n]/g, '');
  return /^[A-Za-z0-9+/]*={0,2}$/.test(compact) && compact.length % 4 === 0
    ? Buffer.from(compact, 'base64').toString('base64')
    : value;
}

/** Maps whose values are quantities in every built-in kind that has a field of this name. */
const QUANTITY_MAPS = new Set([
  'requests',
  'limits',
  'hard',
  'capacity',
  'overhead',
  'default',
  'defaultRequest',
  'max',
  'min',
  'maxLimitRequestRatio',
]);
const QUANTITIES = new Set(['sizeLimit', 'divisor', 'averageValue']);

function normalizeQuantities(value: PropertyValue, key: string): PropertyValue {
  if (QUANTITIES.has(key) && (typeof value === 'string' || typeof value === 'number')) return canonicalQuantity(value);
  if (Array.isArray(value)) return value.map((item) => normalizeQuantities(item, ''));
  if (!isMap(value)) return value;
  const quantities = QUANTITY_MAPS.has(key);
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      // Names are free in labels, annotations and data: nothing in them is a quantity.
      if (key === '' && name === 'metadata') return [name, item];
      if (name === 'matchLabels' || name === 'nodeSelector' || name === 'data' || name === 'annotations')
        return [name, item];
      if (quantities && (typeof item === 'string' || typeof item === 'number')) return [name, canonicalQuantity(item)];
      return [name, normalizeQuantities(item, name)];
    }),
  );
}

/**
 * The part of `live` that `target` speaks of, recursively: what the server or other controllers added is left out.
 * List items are matched by position.
 */
export function pruneTo(live: KubernetesObject, target: KubernetesObject): KubernetesObject {
  const result: PropertyMap = {};
  for (const [key, value] of Object.entries(live)) {
    const wanted = target[key];
    if (wanted !== undefined) result[key] = pruneValue(value, wanted);
  }
  return result;
}

function pruneValue(value: PropertyValue, wanted: PropertyValue): PropertyValue {
  if (isMap(value) && isMap(wanted)) return pruneTo(value, wanted);
  if (!Array.isArray(value) || !Array.isArray(wanted)) return value;
  // Items beyond the wanted ones come from admission controllers (a service account's volume, a sidecar): left out.
  return wanted.slice(0, value.length).map((item, index) => pruneValue(value[index] ?? null, item));
}
