/** What a pod says of itself when it does not run: conditions, container states, warnings, the end of its log. */

import type { PropertyMap } from '../../framework/values.ts';
import type { Cluster } from '../cluster.ts';
import type { KubernetesObject } from '../object.ts';
import { getList, getNumber, getString, idOf, nameOf, namespaceOf, uidOf } from '../object.ts';
import type { AwaitContext } from './awaiter.ts';

export const POD = { group: '', version: 'v1', kind: 'Pod' };
const EVENT = { group: '', version: 'v1', kind: 'Event' };
const LOG_LINES = 10;
/** More pods than this fail for the same reason. */
const MOST_PODS = 3;

export function condition(object: KubernetesObject, type: string): PropertyMap | undefined {
  return getList(object, 'status', 'conditions').find((item) => getString(item, 'type') === type);
}

export const isConditionTrue = (object: KubernetesObject, type: string): boolean =>
  getString(condition(object, type), 'status') === 'True';

export function isOwnedBy(object: KubernetesObject, uid: string): boolean {
  return getList(object, 'metadata', 'ownerReferences').some((owner) => getString(owner, 'uid') === uid);
}

/** Pods that the object owns directly. */
export async function podsOf(
  cluster: Cluster,
  owner: KubernetesObject,
  signal: AbortSignal,
): Promise<KubernetesObject[]> {
  const selector = selectorOf(owner);
  const pods = await cluster.list(POD, namespaceOf(owner), selector === '' ? {} : { labelSelector: selector }, signal);
  return pods.filter((pod) => isOwnedBy(pod, uidOf(owner)));
}

/** `a=b,c=d` from spec.selector; '' when it uses expressions. */
export function selectorOf(owner: KubernetesObject): string {
  const spec = owner.spec;
  const labels = (spec as PropertyMap | undefined)?.selector as PropertyMap | undefined;
  const matched = labels?.matchLabels as PropertyMap | undefined;
  if (matched === undefined || labels?.matchExpressions !== undefined) return '';
  return Object.entries(matched)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(',');
}

/** The pod's problems in its own words; [] for one that runs, or that is merely starting. */
export function podProblems(pod: KubernetesObject): string[] {
  if (getString(pod, 'status', 'phase') === 'Succeeded' || isConditionTrue(pod, 'Ready')) return [];
  const problems: string[] = [];
  const scheduled = condition(pod, 'PodScheduled');
  if (getString(scheduled, 'status') === 'False') {
    problems.push(`not scheduled: [${getString(scheduled, 'reason')}] ${getString(scheduled, 'message')}`);
  }
  for (const status of containerStatuses(pod)) problems.push(...containerProblems(status));
  const reason = getString(pod, 'status', 'reason');
  if (reason !== '') problems.push(`[${reason}] ${getString(pod, 'status', 'message')}`);
  if (problems.length === 0) {
    const unready = condition(pod, 'Ready');
    if (getString(unready, 'status') === 'False' && getString(unready, 'message') !== '') {
      problems.push(getString(unready, 'message'));
    }
  }
  return problems.map((problem) => `[Pod ${idOf(pod)}]: ${problem}`);
}

const containerStatuses = (pod: KubernetesObject): PropertyMap[] => [
  ...getList(pod, 'status', 'initContainerStatuses'),
  ...getList(pod, 'status', 'containerStatuses'),
];

function containerProblems(status: PropertyMap): string[] {
  if (status.ready === true) return [];
  const name = getString(status, 'name');
  const problems: string[] = [];
  const waiting = getString(status, 'state', 'waiting', 'reason');
  if (waiting !== '' && waiting !== 'ContainerCreating' && waiting !== 'PodInitializing') {
    problems.push(`container "${name}": [${waiting}] ${getString(status, 'state', 'waiting', 'message')}`.trimEnd());
  }
  for (const ended of ['state', 'lastState'] as const) {
    const code = getNumber(status, ended, 'terminated', 'exitCode');
    const reason = getString(status, ended, 'terminated', 'reason');
    if (code === undefined || code === 0) continue;
    const message = getString(status, ended, 'terminated', 'message');
    problems.push(
      `container "${name}" ended with exit code ${code} (${reason})${message === '' ? '' : `: ${message}`}`,
    );
  }
  return problems;
}

/** Problems, warnings and log ends of the pods that do not run. */
export async function explainPods(pods: readonly KubernetesObject[], context: AwaitContext): Promise<string[]> {
  const ailing = pods.filter(
    (pod) => !isConditionTrue(pod, 'Ready') && getString(pod, 'status', 'phase') !== 'Succeeded',
  );
  const lines: string[] = [];
  for (const pod of ailing.slice(0, MOST_PODS)) {
    const problems = podProblems(pod);
    lines.push(...problems, ...(await warnings(pod, context)));
    for (const status of containerStatuses(pod)) {
      const log = await lastLog(pod, status, context);
      if (log !== '') lines.push(`[Pod ${idOf(pod)}]: last log of container "${getString(status, 'name')}":\n${log}`);
    }
  }
  if (ailing.length > MOST_PODS) lines.push(`${ailing.length - MOST_PODS} more pods are not ready.`);
  return lines;
}

/** Warnings that conditions do not carry: mounts, probes, missing secrets. */
async function warnings(pod: KubernetesObject, context: AwaitContext): Promise<string[]> {
  const fieldSelector = `involvedObject.uid=${uidOf(pod)},type=Warning`;
  const events = await context.cluster
    .list(EVENT, namespaceOf(pod), { fieldSelector, limit: '50' }, context.signal)
    .catch(() => []);
  // What the container states tell better is left out; and a container that has run had its volumes and its node.
  const ran = containerStatuses(pod).some((status) => (getNumber(status, 'restartCount') ?? 0) > 0 || hasEnded(status));
  const messages = events
    .filter((event) => !['BackOff', 'Failed'].includes(getString(event, 'reason')))
    .filter((event) => !ran || !/^Failed(Mount|AttachVolume|Scheduling)$/.test(getString(event, 'reason')))
    .map((event) => `[${getString(event, 'reason')}] ${getString(event, 'message')}`)
    .filter((message) => !podProblems(pod).some((problem) => problem.endsWith(message)));
  return [...new Set(messages)].slice(-3).map((message) => `[Pod ${idOf(pod)}]: ${message}`);
}

const hasEnded = (status: PropertyMap): boolean => getNumber(status, 'state', 'terminated', 'exitCode') !== undefined;

/** The end of the log of a container that has crashed; '' when it has not, or has no log. */
async function lastLog(pod: KubernetesObject, status: PropertyMap, context: AwaitContext): Promise<string> {
  const ended = getNumber(status, 'state', 'terminated', 'exitCode');
  const before = getNumber(status, 'lastState', 'terminated', 'exitCode');
  if (!((ended ?? 0) !== 0 || (before ?? 0) !== 0)) return '';
  const query = { container: getString(status, 'name'), tailLines: String(LOG_LINES) };
  const previous: Record<string, string> = ended === undefined ? { previous: 'true' } : {};
  const text = await context.cluster
    .podLog(namespaceOf(pod), nameOf(pod), { ...query, ...previous }, context.signal)
    .catch(() => '');
  return text.trimEnd();
}
