/** The loop that waits until an object is ready; what "ready" means is in one file a kind. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../cluster.ts';
import { isNotFound } from '../errors.ts';
import type { KubernetesObject } from '../object.ts';
import { gvkOf, idOf, kindOf, nameOf, namespaceOf, uidOf } from '../object.ts';

export interface Verdict {
  readonly ready: boolean;
  /** One line for the display, `2 of 3 pods available`. */
  readonly status: string;
  /** Why it is not ready, each a message of its own. */
  readonly reasons?: readonly string[];
  /** True when waiting longer cannot help. */
  readonly failed?: boolean;
}

export interface AwaitContext {
  readonly cluster: Cluster;
  readonly inputs: KubernetesObject;
  /** The object before the update; undefined after a create. */
  readonly before: KubernetesObject | undefined;
  /** Seconds since the wait began. */
  readonly elapsed: number;
  /** False for the one look that a refresh takes: nothing may be waited for. */
  readonly waiting: boolean;
  readonly signal: AbortSignal;
}

export type Check = (live: KubernetesObject, context: AwaitContext) => Promise<Verdict> | Verdict;

/** What adds the pods' own messages; called when the wait has failed, not on every look. */
export type Explain = (live: KubernetesObject, context: AwaitContext) => Promise<string[]>;

export interface Awaiter {
  readonly check: Check;
  readonly explain?: Explain;
  /** Seconds, where the official provider waits less than its usual 10 minutes. */
  readonly defaultTimeout?: number;
  /** False where a refresh only reads. @default true */
  readonly onRead?: boolean;
}

/** The object is there but not ready. `live` is the last that was seen. */
export class NotReadyError extends Error {
  constructor(
    readonly live: KubernetesObject,
    message: string,
    readonly reasons: readonly string[],
  ) {
    super(message);
    this.name = 'NotReadyError';
  }
}

export interface AwaitOptions {
  readonly cluster: Cluster;
  readonly inputs: KubernetesObject;
  readonly before?: KubernetesObject;
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
  readonly status: (message: string) => void;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 1000;

/**
 * Looks at the object until it is ready and returns it.
 * @throws NotReadyError when it failed, when the time is up, or when the operation is cancelled.
 */
export async function awaitReady(
  first: KubernetesObject,
  awaiter: Awaiter,
  options: AwaitOptions,
): Promise<KubernetesObject> {
  const started = Date.now();
  let live = first;
  let pause = FIRST_PAUSE_MS;
  let shown = '';
  let verdict: Verdict = { ready: false, status: '' };
  for (;;) {
    const elapsed = (Date.now() - started) / 1000;
    const context = contextOf(options, elapsed, true);
    if (options.signal.aborted) {
      throw new NotReadyError(live, `waiting for ${describe(live)} was cancelled`, verdict.reasons ?? []);
    }
    verdict = await awaiter.check(live, context);
    if (verdict.ready) {
      // Nothing was shown of what was ready at once.
      if (shown !== '') options.status(verdict.status);
      return live;
    }
    if (verdict.status !== shown) options.status(verdict.status);
    shown = verdict.status;
    if (verdict.failed) throw await failure(live, `${describe(live)} failed`, verdict, awaiter, context);
    if (elapsed >= options.timeoutSeconds) {
      const late = `${describe(live)} was not ready within ${options.timeoutSeconds} s (${verdict.status})`;
      throw await failure(live, late, verdict, awaiter, context);
    }
    await sleep(pause, undefined, { signal: options.signal }).catch(() => undefined);
    pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS);
    live = await look(live, options);
  }
}

/** One look, for a refresh. @throws NotReadyError */
export async function checkReady(live: KubernetesObject, awaiter: Awaiter, options: AwaitOptions): Promise<void> {
  const context = contextOf(options, 0, false);
  const verdict = await awaiter.check(live, context);
  if (!verdict.ready)
    throw await failure(live, `${describe(live)} is not ready (${verdict.status})`, verdict, awaiter, context);
}

async function look(live: KubernetesObject, options: AwaitOptions): Promise<KubernetesObject> {
  if (options.signal.aborted) return live;
  try {
    const next = await options.cluster.get(gvkOf(live), namespaceOf(live), nameOf(live), options.signal);
    if (uidOf(next) === uidOf(live)) return next;
  } catch (error) {
    // A restarting API server must not fail a rollout; the deadline still holds.
    if (!isNotFound(error)) return live;
  }
  throw new NotReadyError(live, `${describe(live)} was deleted while it was waited for`, []);
}

async function failure(
  live: KubernetesObject,
  message: string,
  verdict: Verdict,
  awaiter: Awaiter,
  context: AwaitContext,
): Promise<NotReadyError> {
  const details = (await awaiter.explain?.(live, context).catch(() => [])) ?? [];
  return new NotReadyError(live, message, [...new Set([...(verdict.reasons ?? []), ...details])]);
}

const contextOf = (options: AwaitOptions, elapsed: number, waiting: boolean): AwaitContext => ({
  cluster: options.cluster,
  inputs: options.inputs,
  before: options.before,
  elapsed,
  waiting,
  signal: options.signal,
});

const describe = (object: KubernetesObject): string => `${kindOf(object)} ${idOf(object)}`;
