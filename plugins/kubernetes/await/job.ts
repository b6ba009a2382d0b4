/** batch/v1 Job: complete; a failed one is told with its pod's reason and the end of its log. */

import type { KubernetesObject } from '../object.ts';
import { get, getNumber, getString } from '../object.ts';
import type { AwaitContext, Awaiter, Verdict } from './awaiter.ts';
import { condition, explainPods, isConditionTrue, podProblems, podsOf } from './pods.ts';

/** For the annotation pulumi.com/replaceUnready. */
export const isJobComplete = (live: KubernetesObject): boolean => isConditionTrue(live, 'Complete');

async function check(live: KubernetesObject, context: AwaitContext): Promise<Verdict> {
  if (isJobComplete(live)) return { ready: true, status: 'complete' };
  const failed = condition(live, 'Failed');
  if (getString(failed, 'status') === 'True') {
    return {
      ready: false,
      status: 'failed',
      reasons: [`[${getString(failed, 'reason')}] ${getString(failed, 'message')}`],
      failed: true,
    };
  }
  if (get(live, 'spec', 'suspend') === true) return { ready: true, status: 'suspended' };
  const count = (key: string): number => getNumber(live, 'status', key) ?? 0;
  const status = `active ${count('active')}, succeeded ${count('succeeded')}, failed ${count('failed')}`;
  const pods = context.waiting ? await podsOf(context.cluster, live, context.signal).catch(() => []) : [];
  const problem = pods.flatMap(podProblems)[0];
  return { ready: false, status: problem === undefined ? status : `${status}; ${problem}` };
}

const explain = async (live: KubernetesObject, context: AwaitContext): Promise<string[]> =>
  explainPods(await podsOf(context.cluster, live, context.signal), context);

export const job: Awaiter = { check, explain };
