/** What was changed beside the deployments: read from the events of a refresh that writes nothing down. Pure. */

import type { PropertyChange, Step } from '../../engineEvents/model.ts';
import { at, type EngineEvent, type StepMetadata, shown } from '../../engineEvents/steps.ts';

/** Collects the resources whose live properties are not what the last deployment left. */
export class HandChanges {
  readonly #steps = new Map<string, Step>();

  take({ resOutputsEvent }: EngineEvent): void {
    const step = resOutputsEvent && changedByHand(resOutputsEvent.metadata);
    if (step) this.#steps.set(step.urn, step);
  }

  /** In the order of their URNs; `from` is what the state has, `to` what is live. */
  steps(): Step[] {
    return [...this.#steps.values()].sort((a, b) => (a.urn < b.urn ? -1 : 1));
  }
}

/** The resource, when it is gone or differs; undefined for components, providers and what is as it was left. */
export function changedByHand(metadata: StepMetadata): Step | undefined {
  const { op, urn, type } = metadata;
  if (type.startsWith('pulumi:') || type.startsWith('development-operations:')) return undefined;
  const resource = { urn, type, name: urn.split('::').at(-1) ?? urn, sql: [] };
  // Of the program's run, which follows in the same events, everything is "same".
  if (op === 'delete') return { ...resource, operation: 'delete', changes: [] };
  if (op !== 'update') return undefined;
  const changes = differences(metadata);
  return changes.length === 0 ? undefined : { ...resource, operation: 'update', changes };
}

function differences({ old, new: live, detailedDiff }: StepMetadata): PropertyChange[] {
  const value = (state: StepMetadata['old'], path: string) => at(state?.inputs, path) ?? at(state?.outputs, path);
  return Object.keys(detailedDiff ?? {})
    .sort()
    .map((path) => ({ path, from: shown(value(old, path)), to: shown(value(live, path)) }));
}
