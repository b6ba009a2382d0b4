/** The writes: create, update, delete of one object, as the official provider does them. */

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PropertyMap, PropertyValue } from '../framework/values.ts';
import { isMap } from '../framework/values.ts';
import { isTrue, PATCH_FORCE, propagationOf, SKIP_AWAIT } from './annotations.ts';
import type { Cluster } from './cluster.ts';
import type { ProviderConfig } from './config.ts';
import { isImmutableField, isNotFound, isStale, NoSuchKindError } from './errors.ts';
import { needsTakeover, takeoverPatch, withIgnoredFields } from './managedFields.ts';
import type { GroupVersionKind, KubernetesObject } from './object.ts';
import {
  getList,
  getString,
  groupVersion,
  gvkOf,
  idOf,
  isCustomResourceDefinition,
  kindOf,
  nameOf,
  namespaceOf,
  uidOf,
  withMetadata,
} from './object.ts';
import { STATIC_FIELD_MANAGER } from './state.ts';

export interface WriteContext {
  readonly cluster: Cluster;
  readonly config: ProviderConfig;
  readonly fieldManager: string;
  readonly preview: boolean;
  readonly signal: AbortSignal;
  readonly status: (message: string) => void;
}

/** A namespace or a custom resource definition may be on its way: this often, doubling from a second. */
const CREATE_RETRIES = 5;

/**
 * Creates the object. Plain creation, so that an object that is there already is an error; with `upsertExistingObjects`
 * server-side apply. In a preview, a dry run.
 * @throws ApiError, NoSuchKindError
 */
export async function createObject(inputs: KubernetesObject, context: WriteContext): Promise<KubernetesObject> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await createOnce(inputs, context);
    } catch (error) {
      const early = isNotFound(error) || error instanceof NoSuchKindError;
      if (!early || context.preview || attempt > CREATE_RETRIES) throw error;
      context.status(`waiting: ${(error as Error).message} (try ${attempt} of ${CREATE_RETRIES})`);
      await sleep(1000 * 2 ** (attempt - 1), undefined, { signal: context.signal });
    }
  }
}

async function createOnce(inputs: KubernetesObject, context: WriteContext): Promise<KubernetesObject> {
  const { cluster, config, preview, signal } = context;
  if (!(config.enableServerSideApply && config.upsertExistingObjects)) {
    return cluster.create(inputs, { dryRun: preview, fieldManager: STATIC_FIELD_MANAGER, signal });
  }
  const force = preview || config.enablePatchForce || isTrue(inputs, PATCH_FORCE);
  const options = {
    dryRun: preview,
    fieldManager: context.fieldManager,
    force,
    fieldValidation: 'Warn',
    signal,
  } as const;
  try {
    return await cluster.patch(inputs, inputs, options);
  } catch (error) {
    if (!preview || !isImmutableField(error)) throw error;
    // The preview of a replacement: the old object is still there under this name.
    const renamed = withMetadata(inputs, 'name', `${nameOf(inputs).slice(0, 50)}-${randomBytes(3).toString('hex')}`);
    return withMetadata(await cluster.patch(renamed, renamed, options), 'name', nameOf(inputs));
  }
}

export interface UpdateContext extends WriteContext {
  readonly formerFieldManager: string;
  readonly ignoreChanges: readonly string[];
}

export interface Updated {
  readonly before: KubernetesObject;
  readonly after: KubernetesObject;
}

/**
 * Applies new inputs over the object in the cluster.
 * @throws ApiError; a conflict when fields belong to managers that are not ours to overrule.
 */
export async function updateObject(
  oldInputs: KubernetesObject,
  inputs: KubernetesObject,
  context: UpdateContext,
): Promise<Updated> {
  const { cluster, config, preview, signal, fieldManager } = context;
  const live = await cluster.get(gvkOf(inputs), namespaceOf(inputs), nameOf(inputs), signal);
  if (isCustomResourceDefinition(inputs)) {
    const replacement = withMetadata(inputs, 'resourceVersion', getString(live, 'metadata', 'resourceVersion'));
    return { before: live, after: await cluster.replace(replacement, { dryRun: preview, fieldManager, signal }) };
  }
  const wanted = withIgnoredFields(inputs, live, context.ignoreChanges, fieldManager);
  if (!config.enableServerSideApply) {
    const patch = mergePatch(oldInputs, wanted);
    const options = { dryRun: preview, fieldManager: STATIC_FIELD_MANAGER, signal };
    return { before: live, after: await cluster.patch(inputs, patch, options, 'application/merge-patch+json') };
  }
  const former = context.formerFieldManager === fieldManager ? undefined : context.formerFieldManager;
  if (!preview) await takeOver(live, inputs, former, context);
  const force =
    config.enablePatchForce ||
    isTrue(inputs, PATCH_FORCE) ||
    getList(live, 'metadata', 'managedFields').length === 0 ||
    (preview && needsTakeover(live, fieldManager, former));
  return { before: live, after: await cluster.patch(inputs, wanted, { dryRun: preview, fieldManager, force, signal }) };
}

const TAKEOVER_TRIES = 4;

/** Makes the fields ours that kubectl or a plain create left; tried anew when a controller wrote in between. */
async function takeOver(
  first: KubernetesObject,
  inputs: KubernetesObject,
  former: string | undefined,
  { cluster, fieldManager, signal }: UpdateContext,
): Promise<void> {
  let live = first;
  for (let attempt = 1; ; attempt += 1) {
    const patch = takeoverPatch(live, fieldManager, former);
    if (patch === undefined) return;
    try {
      await cluster.patch(inputs, patch, { signal }, 'application/json-patch+json');
      return;
    } catch (error) {
      if (attempt === TAKEOVER_TRIES || !isStale(error)) throw error;
      live = await cluster.get(gvkOf(inputs), namespaceOf(inputs), nameOf(inputs), signal);
    }
  }
}

/** RFC 7386 patch from what was sent last to what is wanted. */
function mergePatch(before: PropertyMap, after: PropertyMap): PropertyMap {
  const patch: PropertyMap = {};
  for (const key of Object.keys(before)) if (!(key in after)) patch[key] = null;
  for (const [key, value] of Object.entries(after)) {
    const old: PropertyValue | undefined = before[key];
    patch[key] = isMap(value) && isMap(old) ? mergePatch(old, value) : value;
  }
  return patch;
}

const SKIPS_DELETE_WAIT =
  /^(v1\/(Namespace|Pod|ReplicationController)|apps\/.*\/(DaemonSet|Deployment|StatefulSet)|batch\/v1\/Job)$/;

/**
 * Deletes an object and waits until it is gone.
 * @throws Error naming the finalizers when it is still there at the end of the time.
 */
export async function deleteObject(
  gvk: GroupVersionKind,
  namespace: string,
  name: string,
  inputs: KubernetesObject,
  timeoutSeconds: number,
  context: Pick<WriteContext, 'cluster' | 'signal' | 'status'>,
): Promise<void> {
  const { cluster, signal } = context;
  const started = Date.now();
  let live: KubernetesObject;
  try {
    live = await cluster.get(gvk, namespace, name, signal);
    await cluster.delete(gvk, namespace, name, { propagationPolicy: propagationOf(inputs) }, signal);
  } catch (error) {
    // Gone already, or its kind is.
    if (isNotFound(error) || error instanceof NoSuchKindError) return;
    throw error;
  }
  if (isTrue(inputs, SKIP_AWAIT) && SKIPS_DELETE_WAIT.test(`${groupVersion(gvk)}/${gvk.kind}`)) return;
  const uid = uidOf(live);
  for (let pause = 50; ; pause = Math.min(pause * 2, 1000)) {
    try {
      live = await cluster.get(gvk, namespace, name, signal);
      // Somebody made a new object of the same name.
      if (uidOf(live) !== uid) return;
    } catch (error) {
      if (isNotFound(error) || error instanceof NoSuchKindError) return;
      throw error;
    }
    if ((Date.now() - started) / 1000 >= timeoutSeconds) throw new Error(stillThere(live, timeoutSeconds));
    if (Date.now() - started > 2000) context.status(`deleting: ${holdUps(live).join(', ') || 'in progress'}`);
    await sleep(pause, undefined, { signal });
  }
}

function holdUps(live: KubernetesObject): string[] {
  const metadata = live.metadata;
  const finalizers = isMap(metadata) && Array.isArray(metadata.finalizers) ? metadata.finalizers : [];
  const conditions = getList(live, 'status', 'conditions')
    .filter((item) => getString(item, 'status') === 'True' && /Remaining|Failure/.test(getString(item, 'type')))
    .map((item) => getString(item, 'message'));
  return [...finalizers.map((item) => `finalizer ${String(item)}`), ...conditions];
}

function stillThere(live: KubernetesObject, seconds: number): string {
  const found = holdUps(live);
  const why = found.length === 0 ? '' : ` It is held by: ${found.join('; ')}.`;
  return (
    `${kindOf(live)} ${idOf(live)} was asked to go but is still there after ${seconds} s.${why} ` +
    'Let the controller that set a finalizer finish, or give more time with customTimeouts.'
  );
}
