/** apps/v1 Deployment: its newest ReplicaSet has all its pods, and the controller says it is available. */

import type { KubernetesObject } from '../object.ts';
import { annotation, get, getList, getNumber, getString, nameOf, namespaceOf, uidOf } from '../object.ts';
import type { AwaitContext, Awaiter, Verdict } from './awaiter.ts';
import { condition, explainPods, isConditionTrue, isOwnedBy, podProblems, podsOf, selectorOf } from './pods.ts';

const REPLICA_SET = { group: 'apps', version: 'v1', kind: 'ReplicaSet' };
const CLAIM = { group: '', version: 'v1', kind: 'PersistentVolumeClaim' };
const REVISION = 'deployment.kubernetes.io/revision';

async function check(live: KubernetesObject, context: AwaitContext): Promise<Verdict> {
  const generation = getNumber(live, 'metadata', 'generation') ?? 0;
  if ((getNumber(live, 'status', 'observedGeneration') ?? 0) < generation) {
    return { ready: false, status: 'waiting for the Deployment controller' };
  }
  // A paused Deployment makes no progress until somebody resumes it.
  if (get(live, 'spec', 'paused') === true) return { ready: true, status: 'paused' };
  const progressing = condition(live, 'Progressing');
  const reasons = [progressing, condition(live, 'Available')]
    .filter((item) => getString(item, 'status') === 'False')
    .map((item) => `[${getString(item, 'reason')}] ${getString(item, 'message')}`);
  const wanted = getNumber(live, 'spec', 'replicas') ?? 1;
  const updated = getNumber(live, 'status', 'updatedReplicas') ?? 0;
  const available = getNumber(live, 'status', 'availableReplicas') ?? 0;
  const total = getNumber(live, 'status', 'replicas') ?? 0;
  const complete = updated >= wanted && available >= updated && total <= updated;
  const settled = getString(progressing, 'reason') === 'NewReplicaSetAvailable' || progressing === undefined;
  if (complete && (isConditionTrue(live, 'Available') || wanted === 0) && settled) return claims(live, context);
  const status = `${Math.min(available, updated)} of ${wanted} pods available`;
  if (getString(progressing, 'reason') === 'ProgressDeadlineExceeded' && !isStale(progressing, live, context))
    return { ready: false, status, reasons, failed: true };
  const problem = context.waiting ? await firstProblem(live, context) : undefined;
  return { ready: false, status: problem === undefined ? status : `${status}; ${problem}`, reasons };
}

/** The controller has not judged the new pods yet: what it says is of those before. */
function isStale(progressing: unknown, live: KubernetesObject, { before }: AwaitContext): boolean {
  if (before === undefined) return false;
  const template = (object: KubernetesObject) => JSON.stringify(get(object, 'spec', 'template'));
  const same = JSON.stringify(progressing) === JSON.stringify(condition(before, 'Progressing'));
  return same && template(live) !== template(before);
}

/** Claims that the pods mount must be bound; those that wait for a first consumer are, once pods run. */
async function claims(live: KubernetesObject, context: AwaitContext): Promise<Verdict> {
  const names = getList(live, 'spec', 'template', 'spec', 'volumes')
    .map((volume) => getString(volume, 'persistentVolumeClaim', 'claimName'))
    .filter((name) => name !== '');
  const wanted = getNumber(live, 'spec', 'replicas') ?? 1;
  for (const name of wanted === 0 ? [] : names) {
    const claim = await context.cluster.get(CLAIM, namespaceOf(live), name, context.signal).catch(() => undefined);
    const phase = getString(claim, 'status', 'phase');
    if (claim !== undefined && phase !== 'Bound') {
      return {
        ready: false,
        status: `PersistentVolumeClaim ${name} is ${phase}`,
        reasons: [`PersistentVolumeClaim ${name} is not bound.`],
      };
    }
  }
  return { ready: true, status: 'all pods available' };
}

/** Pods of the newest revision; those of the old one are on their way out. */
async function newestPods(live: KubernetesObject, context: AwaitContext): Promise<KubernetesObject[]> {
  const selector = selectorOf(live);
  const query: Record<string, string> = selector === '' ? {} : { labelSelector: selector };
  const sets = (await context.cluster.list(REPLICA_SET, namespaceOf(live), query, context.signal)).filter((set) =>
    isOwnedBy(set, uidOf(live)),
  );
  const newest = sets.find((set) => annotation(set, REVISION) === annotation(live, REVISION));
  return newest === undefined ? [] : podsOf(context.cluster, newest, context.signal);
}

async function firstProblem(live: KubernetesObject, context: AwaitContext): Promise<string | undefined> {
  const pods = await newestPods(live, context).catch(() => []);
  return pods.flatMap(podProblems)[0];
}

async function explain(live: KubernetesObject, context: AwaitContext): Promise<string[]> {
  const pods = await newestPods(live, context);
  const lines = await explainPods(pods, context);
  const failure = condition(live, 'ReplicaFailure');
  if (getString(failure, 'status') === 'True') {
    lines.unshift(`[${getString(failure, 'reason')}] ${getString(failure, 'message')}`);
  }
  if (lines.length === 0 && pods.length === 0) lines.push(`No pod of Deployment ${nameOf(live)} was created.`);
  return lines;
}

export const deployment: Awaiter = { check, explain };
