/** v1 Pod: scheduled, initialised and ready, or finished with success. */

import type { KubernetesObject } from '../object.ts';
import { getString } from '../object.ts';
import type { Awaiter, Verdict } from './awaiter.ts';
import { explainPods, isConditionTrue, podProblems } from './pods.ts';

function check(live: KubernetesObject): Verdict {
  const phase = getString(live, 'status', 'phase');
  if (phase === 'Succeeded' || isConditionTrue(live, 'Ready')) return { ready: true, status: 'ready' };
  const reasons = podProblems(live);
  if (phase === 'Failed') return { ready: false, status: 'failed', reasons, failed: true };
  const stage = !isConditionTrue(live, 'PodScheduled')
    ? 'to be scheduled'
    : isConditionTrue(live, 'Initialized')
      ? 'to be ready'
      : 'to be initialized';
  return { ready: false, status: reasons[0] ?? `waiting for the pod ${stage}`, reasons };
}

export const pod: Awaiter = { check, explain: (live, context) => explainPods([live], context) };
