/** Check: names, namespace, labels and normal form of the inputs, and what is wrong with them. */

import type { CheckFailure, CheckRequest, Log } from '../framework/provider.ts';
import { isMap, isUnknown } from '../framework/values.ts';
import { AUTONAMED, HELM_HOOK, hasManagedByLabel, MANAGED_BY_LABEL, managedByValue } from './annotations.ts';
import type { Cluster } from './cluster.ts';
import type { ProviderConfig } from './config.ts';
import { describeKind, isBuiltInGroup } from './kinds.ts';
import { adoptAutoname, isGenerateName, nameFailures, withAutoname } from './naming.ts';
import { normalize } from './normalize.ts';
import type { GroupVersionKind, KubernetesObject } from './object.ts';
import { get, getMap, groupVersion, gvkOf, withLabel, withMetadata } from './object.ts';
import { toObject } from './state.ts';

export interface CheckContext {
  readonly cluster: Cluster;
  readonly config: ProviderConfig;
  readonly log: Log;
  /** Filled with what is wrong. */
  readonly failures: CheckFailure[];
}

/** The inputs as they go into the state, without secret marks. */
export async function checkInputs(
  request: CheckRequest,
  gvk: GroupVersionKind,
  context: CheckContext,
): Promise<KubernetesObject> {
  const { cluster, config, failures } = context;
  const old = toObject(request.olds);
  let inputs = normalize(toObject(request.news));
  failures.push(...shapeFailures(inputs, gvk));
  if (failures.length > 0) return inputs;
  warnings(inputs, request, context);

  if (Object.keys(old).length > 0) {
    inputs = adoptAutoname(inputs, old);
    // Objects that never had the label (imported, or made by server-side apply) do not get it now.
    if (hasManagedByLabel(old)) inputs = withLabel(inputs, MANAGED_BY_LABEL, managedByValue());
  } else {
    inputs = withAutoname(inputs, request.name, request.randomSeed);
    if (!config.enableServerSideApply) inputs = withLabel(inputs, MANAGED_BY_LABEL, managedByValue());
  }
  if (isGenerateName(inputs) && config.enableServerSideApply) {
    const reason = 'generateName does not work with server-side apply: leave out the name, and one is made up.';
    failures.push({ property: 'metadata.generateName', reason });
  }
  const namespace = get(inputs, 'metadata', 'namespace');
  const missing = namespace === undefined || namespace === null || namespace === '';
  if (missing && (await cluster.isNamespaced(gvk))) {
    inputs = withMetadata(inputs, 'namespace', await cluster.defaultNamespace());
  }
  // Custom resources, and some built-in kinds outside these groups, have rules of their own that the server knows.
  if (isBuiltInGroup(gvk.group)) failures.push(...nameFailures(gvk, inputs));
  return inputs;
}

function shapeFailures(inputs: KubernetesObject, gvk: GroupVersionKind): CheckFailure[] {
  const failures: CheckFailure[] = [];
  for (const key of ['apiVersion', 'kind'] as const) {
    const value = inputs[key];
    const expected = key === 'kind' ? gvk.kind : groupVersion(gvk);
    if (isUnknown(value)) continue;
    if (typeof value !== 'string' || value === '') {
      failures.push({ property: key, reason: `${key} is missing; it should be "${expected}".` });
    } else if (key === 'kind' ? value !== expected : groupVersion(gvkOf({ ...inputs, kind: gvk.kind })) !== expected) {
      failures.push({
        property: key,
        reason: `${key} is "${value}", but the resource's type is ${describeKind(gvk)}.`,
      });
    }
  }
  const metadata = inputs.metadata;
  if (metadata !== undefined && metadata !== null && !isMap(metadata) && !isUnknown(metadata)) {
    failures.push({
      property: 'metadata',
      reason: 'metadata must be an object (name, namespace, labels, annotations).',
    });
  }
  for (const key of ['labels', 'annotations']) {
    for (const [name, value] of Object.entries(getMap(inputs, 'metadata', key))) {
      if (typeof value === 'string' || value === null || isUnknown(value)) continue;
      const reason = `${key} must be text: put quotes around the value of "${name}".`;
      failures.push({ property: `metadata.${key}["${name}"]`, reason });
    }
  }
  return failures;
}

function warnings(inputs: KubernetesObject, request: CheckRequest, { config, log }: CheckContext): void {
  for (const key of Object.keys(getMap(inputs, 'metadata', 'annotations'))) {
    if (key.startsWith(AUTONAMED))
      log.warn(`The annotation ${key} is set by the provider; the program's is ignored.`, request.urn);
    if (key.startsWith(HELM_HOOK) && !config.suppressHelmHookWarnings) {
      log.warn('This resource is a Helm hook. It is created like any other; hooks are not run.', request.urn);
    }
  }
}
