/** apps/v1 DaemonSet: a ready pod of the newest revision on every node that should have one. */

import type { KubernetesObject } from '../object.ts';
import { getNumber, getString } from '../object.ts';
import type { Awaiter, Verdict } from './awaiter.ts';
import { explainPods, podsOf } from './pods.ts';

function check(live: KubernetesObject): Verdict {
  const generation = getNumber(live, 'metadata', 'generation') ?? 0;
  if ((getNumber(live, 'status', 'observedGeneration') ?? 0) < generation) {
    return { ready: false, status: 'waiting for the DaemonSet controller' };
  }
  const count = (key: string): number => getNumber(live, 'status', key) ?? 0;
  const wanted = count('desiredNumberScheduled');
  const byHand = getString(live, 'spec', 'updateStrategy', 'type') === 'OnDelete';
  const done =
    count('currentNumberScheduled') >= wanted &&
    (byHand || count('updatedNumberScheduled') >= wanted) &&
    count('numberAvailable') >= wanted &&
    count('numberReady') >= wanted;
  return { ready: done, status: `${count('numberReady')} of ${wanted} pods ready` };
}

export const daemonSet: Awaiter = {
  check,
  explain: async (live, context) => explainPods(await podsOf(context.cluster, live, context.signal), context),
};
