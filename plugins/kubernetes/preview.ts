/** What the answer of a dry run must not be taken for: values that the real create will choose anew. */

import type { PropertyMap, PropertyValue } from '../framework/values.ts';
import { isMap, UNKNOWN } from '../framework/values.ts';
import type { KubernetesObject } from './object.ts';
import { get, getString } from './object.ts';

const CHOSEN_METADATA = ['uid', 'resourceVersion', 'creationTimestamp'];
const CHOSEN_SERVICE = ['clusterIP', 'clusterIPs', 'healthCheckNodePort'];

/** The preview of a created object: identity and allocated addresses are not known, and there is no status yet. */
export function withPreviewUnknowns(state: PropertyMap, inputs: KubernetesObject): PropertyMap {
  const { status: _, ...result } = state;
  result.metadata = unknowns(result.metadata, CHOSEN_METADATA);
  const service = getString(inputs, 'kind') === 'Service' && getString(inputs, 'apiVersion') === 'v1';
  if (service && getString(inputs, 'spec', 'type') !== 'ExternalName') {
    const chosen = CHOSEN_SERVICE.filter((key) => get(inputs, 'spec', key) === undefined);
    result.spec = unknowns(result.spec, chosen);
  }
  return result;
}

function unknowns(value: PropertyValue | undefined, keys: readonly string[]): PropertyValue {
  if (!isMap(value)) return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, keys.includes(key) ? UNKNOWN : item]));
}
