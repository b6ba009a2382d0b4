/** apps/v1 StatefulSet: all replicas ready and, unless they are updated by hand, all of the newest revision. */

import type { KubernetesObject } from '../object.ts';
import { getNumber, getString } from '../object.ts';
import type { AwaitContext, Awaiter, Verdict } from './awaiter.ts';
import { explainPods, podProblems, podsOf } from './pods.ts';

async function check(live: KubernetesObject, context: AwaitContext): Promise<Verdict> {
  const generation = getNumber(live, 'metadata', 'generation') ?? 0;
  if ((getNumber(live, 'status', 'observedGeneration') ?? 0) < generation) {
    return { ready: false, status: 'waiting for the StatefulSet controller' };
  }
  const count = (key: string): number => getNumber(live, 'status', key) ?? 0;
  const wanted = getNumber(live, 'spec', 'replicas') ?? 1;
  const partition = getNumber(live, 'spec', 'updateStrategy', 'rollingUpdate', 'partition') ?? 0;
  const byHand = getString(live, 'spec', 'updateStrategy', 'type') === 'OnDelete';
  const present = count('replicas') === wanted && count('readyReplicas') === wanted;
  const newest =
    byHand ||
    getString(live, 'status', 'currentRevision') === getString(live, 'status', 'updateRevision') ||
    (partition > 0 && count('updatedReplicas') >= Math.max(wanted - partition, 0));
  if (present && newest) return { ready: true, status: 'all pods ready' };
  const status = present ? 'waiting for the newest revision' : `${count('readyReplicas')} of ${wanted} pods ready`;
  const pods = context.waiting ? await podsOf(context.cluster, live, context.signal).catch(() => []) : [];
  const problem = pods.flatMap(podProblems)[0];
  return { ready: false, status: problem === undefined ? status : `${status}; ${problem}` };
}

export const statefulSet: Awaiter = {
  check,
  explain: async (live, context) => explainPods(await podsOf(context.cluster, live, context.signal), context),
};
