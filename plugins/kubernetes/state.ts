/**
 * The shape of a resource in the state, the same as the official provider's: the live object at the top level, beside it
 * `__inputs`, `__initialApiVersion` and `__fieldManager`; secret marks copied from the inputs, and always on a Secret's data.
 */

import { randomBytes } from 'node:crypto';
import type { PropertyMap, PropertyValue } from '../framework/values.ts';
import { containsSecret, isMap, isSecret, Secret, unwrap, unwrapMap } from '../framework/values.ts';
import { LAST_APPLIED, PATCH_FIELD_MANAGER } from './annotations.ts';
import type { KubernetesObject } from './object.ts';
import { annotation, apiVersionOf, getMap, isSecretKind } from './object.ts';

/** Field manager of plain creates and of client-side apply; the first server-side apply takes its fields over. */
export const STATIC_FIELD_MANAGER = 'pulumi-kubernetes';

/** `x_kubernetes_…` in the state (and in programs) is `x-kubernetes-…` in custom resource definitions. */
const DASHED: Readonly<Record<string, string>> = Object.fromEntries(
  [
    'embedded_resource',
    'int_or_string',
    'list_map_keys',
    'list_type',
    'map_type',
    'preserve_unknown_fields',
    'validations',
  ].map((name) => [`x_kubernetes_${name}`, `x-kubernetes-${name.replaceAll('_', '-')}`]),
);
const UNDERSCORED: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(DASHED).map(([underscored, dashed]) => [dashed, underscored]),
);

function renameKeys(value: PropertyValue, names: Readonly<Record<string, string>>): PropertyValue {
  if (Array.isArray(value)) return value.map((item) => renameKeys(item, names));
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [names[key] ?? key, renameKeys(item, names)]));
}

/** Values from the engine as a Kubernetes object: no secret marks, `x-kubernetes-…` spelled with dashes. */
export const toObject = (map: PropertyMap): KubernetesObject => renameKeys(unwrapMap(map), DASHED) as KubernetesObject;

const toProperties = (object: KubernetesObject): PropertyMap => renameKeys(object, UNDERSCORED) as PropertyMap;

/** An object as it goes back to the engine, with the secret marks that `marks` has. */
export function withSecretMarks(object: KubernetesObject, marks: PropertyMap): PropertyMap {
  return copyMarks(toProperties(object), marks);
}

/** The state of a resource after create, update or read. `marks` are the inputs as the engine sent them. */
export function checkpoint(
  inputs: KubernetesObject,
  live: KubernetesObject,
  marks: PropertyMap,
  initialApiVersion: string,
  fieldManager: string,
): PropertyMap {
  const outputs = withSecretMarks(live, marks);
  hideLastApplied(outputs, isSecretKind(live) || containsSecret(marks));
  return {
    ...outputs,
    __inputs: withSecretMarks(inputs, marks),
    __initialApiVersion: initialApiVersion,
    __fieldManager: fieldManager,
  };
}

/** Takes a checkpoint apart; an empty state gives empty objects. */
export function parseCheckpoint(state: PropertyMap): { inputs: KubernetesObject; live: KubernetesObject } {
  const plain = toObject(state);
  const live: PropertyMap = { ...plain };
  delete live.__inputs;
  return { inputs: getMap(plain, '__inputs'), live };
}

export function initialApiVersionOf(state: PropertyMap, inputs: KubernetesObject): string {
  const stored = unwrap(state.__initialApiVersion ?? null);
  return typeof stored === 'string' ? stored : apiVersionOf(inputs);
}

/** The annotation first, then what the state remembers, then a new name. */
export function fieldManagerOf(state: PropertyMap, inputs: KubernetesObject, serverSideApply: boolean): string {
  if (!serverSideApply) return STATIC_FIELD_MANAGER;
  const wanted = annotation(inputs, PATCH_FIELD_MANAGER);
  if (wanted !== '') return wanted;
  const stored = unwrap(state.__fieldManager ?? null);
  if (typeof stored === 'string' && stored !== '') return stored;
  return `${STATIC_FIELD_MANAGER}-${randomBytes(4).toString('hex')}`;
}

/**
 * Marks go down into maps, and cover a whole list when anything in it is secret (servers may reorder lists). A Secret's
 * data and stringData are secret whatever the program says.
 */
function copyMarks(value: PropertyMap, marks: PropertyMap | undefined): PropertyMap {
  if (value.kind === 'Secret') {
    const result = { ...value };
    for (const key of ['data', 'stringData']) {
      const item = result[key];
      if (item !== undefined && !isSecret(item)) result[key] = new Secret(item);
    }
    const metadata = marks?.metadata;
    if (isMap(result.metadata) && isMap(metadata)) result.metadata = copyMarks(result.metadata, metadata);
    return result;
  }
  if (marks === undefined) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const mark = marks[key];
      if (mark === undefined || isSecret(item)) return [key, item];
      if (isMap(item) && isMap(mark)) return [key, copyMarks(item, mark)];
      return [key, containsSecret(mark) ? new Secret(item) : item];
    }),
  );
}

/** `kubectl apply` writes the whole object into an annotation: secret when the object is. */
function hideLastApplied(outputs: PropertyMap, secret: boolean): void {
  const metadata = outputs.metadata;
  if (!secret || !isMap(metadata) || !isMap(metadata.annotations)) return;
  const value = metadata.annotations[LAST_APPLIED];
  if (value === undefined || isSecret(value)) return;
  outputs.metadata = { ...metadata, annotations: { ...metadata.annotations, [LAST_APPLIED]: new Secret(value) } };
}

/** Texts that must not show in a message: every secret leaf, plain and base64-decoded where that is text. */
export function secretTexts(inputs: PropertyMap): string[] {
  const found = new Set<string>();
  const collect = (value: PropertyValue, hidden: boolean): void => {
    if (isSecret(value)) collect(value.value, true);
    else if (Array.isArray(value)) for (const item of value) collect(item, hidden);
    else if (isMap(value)) for (const item of Object.values(value)) collect(item, hidden);
    else if (hidden && typeof value === 'string') {
      found.add(value);
      found.add(Buffer.from(value, 'base64').toString('utf8'));
      found.add(Buffer.from(value, 'utf8').toString('base64'));
    }
  };
  collect(copyMarks(inputs, inputs), false);
  // Shorter texts would blank half of a message and are no secrets worth the name.
  return [...found].filter((text) => text.trim().length >= 4).sort((a, b) => b.length - a.length);
}

export function scrub(message: string, secrets: readonly string[]): string {
  return secrets.reduce((text, secret) => text.replaceAll(secret, '[secret]'), message);
}
