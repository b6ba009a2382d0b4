/**
 * Diff of one resource: the live object as the state remembers it, cut down to what the program speaks of, against the new
 * inputs. So drift that a refresh has found shows as a change, and what only the server sets does not.
 */

import type { DiffRequest, DiffResult, PropertyDiff } from '../framework/provider.ts';
import { AUTONAMED, isTrue, REPLACE_UNREADY } from './annotations.ts';
import { isJobComplete } from './await/job.ts';
import type { Cluster } from './cluster.ts';
import type { ProviderConfig } from './config.ts';
import { detailedDiff, isWithin } from './diff.ts';
import { forceNewPaths } from './forceNew.ts';
import { isBuiltIn } from './kinds.ts';
import { isNamed } from './naming.ts';
import { normalize, pruneTo } from './normalize.ts';
import type { KubernetesObject } from './object.ts';
import { get, gvkOf, kindOf, nameOf, namespaceOf, withMetadata } from './object.ts';
import { parseCheckpoint, toObject } from './state.ts';

export interface DiffContext {
  readonly cluster: Cluster;
  readonly config: ProviderConfig;
  readonly warn: (message: string) => void;
}

export async function diffResource(request: DiffRequest, context: DiffContext): Promise<DiffResult> {
  const { cluster, config } = context;
  const state = parseCheckpoint(request.olds);
  const oldInputs = normalize(state.inputs);
  let next = normalize(toObject(request.news));
  let old = normalize(pruneTo(state.live, oldInputs));
  const gvk = gvkOf(next);
  const namespaced = await cluster.isNamespaced(gvk);
  old = withNamespace(old, namespaced);
  next = withNamespace(next, namespaced);
  for (const key of ['apiVersion', 'kind']) if (old[key] === undefined) old = { ...old, [key]: next[key] ?? null };
  // Also when the name came from generateName and the program now spells it out.
  if (isNamed(next)) old = withMetadata(old, 'name', nameOf(state.live));

  const mutable = { secrets: config.enableSecretMutable, configMaps: config.enableConfigMapMutable };
  const forceNew = [...forceNewPaths(gvk, next, mutable), ...kindChange(state.live, next)];
  const changes: Record<string, PropertyDiff> = {};
  const found = detailedDiff(old, next, { forceNew, typed: isBuiltIn(next) });
  for (const [path, change] of Object.entries(found)) {
    if (!request.ignoreChanges.some((pattern) => isWithin(path, pattern))) changes[path] = change;
  }
  const replaces = Object.entries(changes)
    .filter(([path, change]) => change.kind.endsWith('-replace') || (path === 'metadata' && change.kind === 'delete'))
    .map(([path]) => path);
  if (await isUnreadyJob(next, state.live, request, context)) {
    replaces.push(`metadata.annotations["${REPLACE_UNREADY}"]`);
  }
  return {
    changes: Object.keys(changes).length > 0 || replaces.length > 0,
    replaces,
    stables: [],
    diffs: [...new Set(Object.keys(changes).map((path) => /^[^.[]+/.exec(path)?.[0] ?? path))],
    detailedDiff: changes,
    // Two objects cannot have one name: where the program names it, the old one must go first.
    deleteBeforeReplace:
      replaces.length > 0 &&
      isNamed(next) &&
      !isTrue(next, AUTONAMED) &&
      get(next, 'metadata', 'name') === nameOf(state.live) &&
      namespaceOf(next) === (namespaced ? namespaceOf(state.live) || 'default' : ''),
  };
}

function withNamespace(object: KubernetesObject, namespaced: boolean): KubernetesObject {
  const namespace = get(object, 'metadata', 'namespace');
  if (!namespaced) return namespace === undefined ? object : withMetadata(object, 'namespace', undefined);
  const missing = namespace === undefined || namespace === null || namespace === '';
  return missing ? withMetadata(object, 'namespace', 'default') : object;
}

/** Groups that objects moved out of without becoming other objects. */
const MOVED_FROM = ['extensions'];

function kindChange(live: KubernetesObject, next: KubernetesObject): string[] {
  if (kindOf(live) === '' || typeof next.kind !== 'string') return [];
  const before = gvkOf(live);
  const after = gvkOf(next);
  if (before.kind !== after.kind) return ['kind'];
  return before.group !== after.group && !MOVED_FROM.includes(before.group) ? ['apiVersion'] : [];
}

/** pulumi.com/replaceUnready: a Job that did not complete is made anew. */
async function isUnreadyJob(
  next: KubernetesObject,
  live: KubernetesObject,
  request: DiffRequest,
  context: DiffContext,
): Promise<boolean> {
  if (!isTrue(next, REPLACE_UNREADY)) return false;
  if (kindOf(next) !== 'Job') {
    context.warn(`The annotation ${REPLACE_UNREADY} works for Jobs only.`);
    return false;
  }
  if (!(await context.cluster.probe()).reachable) return false;
  try {
    return !isJobComplete(await context.cluster.get(gvkOf(live), namespaceOf(live), nameOf(live), request.signal));
  } catch {
    return false;
  }
}
