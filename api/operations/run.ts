import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { type Engine, EngineEnded, EngineError } from '../engine/engine.ts';
import { ServiceError } from '../errors.ts';
import type { OperationStatus, Problem, Step } from '../model.ts';
import { isConnectionError } from '../store/connection.ts';
import { seal, storeCredentials } from '../store/credentials.ts';
import { readDatabase, settleDatabase } from '../store/databases.ts';
import { appendEvents, type NewEvent } from '../store/events.ts';
import {
  beginAttempt,
  cancelRequests,
  endOperation,
  enqueue,
  handBack,
  type StoredOperation,
} from '../store/operations.ts';
import { setPlanStatus } from '../store/plans.ts';
import { type Queryable, transaction } from '../store/transaction.ts';
import { noTracer, type Span, type Tracer, traceContext } from '../telemetry/trace.ts';
import { nameOf, tracedEngine } from '../telemetry/tracedEngine.ts';
import { carryOut, type Outcome } from './changes.ts';
import { EventWriter } from './eventWriter.ts';
import type { Inspector } from './inspector.ts';
import type { OperationsOptions } from './options.ts';
import { problemOf } from './safety.ts';
import type { Session } from './session.ts';

/** Why a run ends before its time: the reason of its signal. `lost` leaves no time for a polite end. */
export class Interruption extends Error {
  constructor(readonly why: 'canceled' | 'lost' | 'stopping') {
    super(`the run was ended: ${why}`);
    this.name = 'Interruption';
  }
}

/** Pause before a run that was handed back begins again, in milliseconds for each attempt, and at most. */
const PAUSE = 500;
const LONGEST_PAUSE = 10_000;
/** From this attempt on, an engine that is ended from outside is a failure. */
const LARGEST_ATTEMPT = 5;
const GRACE = 1_000;
/** How often the end of a run is written again while the connection fails. */
const TRIES = 5;

interface Job {
  readonly id: string;
  readonly environment: string;
  readonly database: string;
}

/** The runs of one replica. */
export class Runs {
  readonly #aborts = new Map<string, AbortController>();
  #stopping = false;

  constructor(
    private readonly pool: pg.Pool,
    private readonly inspector: Inspector,
    private readonly ownDatabase: string,
    private readonly options: OperationsOptions,
  ) {}

  get active(): string[] {
    return [...this.#aborts.keys()];
  }

  /** Resolves when nothing runs, or after `milliseconds`. */
  async idle(milliseconds: number): Promise<void> {
    for (const end = Date.now() + milliseconds; this.#aborts.size > 0 && Date.now() < end; ) await sleep(20);
  }

  cancel(id: string): void {
    this.#aborts.get(id)?.abort(new Interruption('canceled'));
  }

  /** Requests to cancel that came while nobody listened. */
  async catchUp(): Promise<void> {
    if (this.#aborts.size === 0) return;
    for (const id of await cancelRequests(this.pool, this.active)) this.cancel(id);
  }

  /** Ends all runs; they go back to the queue. */
  stop(): void {
    this.#stopping = true;
    for (const abort of this.#aborts.values()) abort.abort(new Interruption('stopping'));
  }

  /**
   * As `run`; a job that could not be run is put into the queue anew: a job that fails there is put off for longer each
   * time. @throws when that cannot be done either.
   */
  async runOrAgain(job: Job, worker: string, session: Session): Promise<void> {
    try {
      await this.run(job, worker, session);
    } catch (error) {
      this.options.log.warn({ operation: job.id, reason: (error as Error).message }, 'a job could not be run');
      for (let tries = 1; ; tries += 1) {
        try {
          await enqueue(this.pool, job, PAUSE);
          return;
        } catch (failure) {
          if (tries === TRIES) throw failure;
          await sleep(tries * 100);
        }
      }
    }
  }

  /**
   * Runs a job of the queue until its operation has ended, or was handed back.
   *
   * @throws when the records cannot be written: then the queue gives the job out again.
   */
  async run(job: Job, worker: string, session: Session): Promise<void> {
    const lock = `database:${job.environment}/${job.database}`;
    await session.lock(lock, session.lost);
    const abort = new AbortController();
    const lose = () => abort.abort(new Interruption('lost'));
    session.lost.addEventListener('abort', lose, { once: true });
    let id: string | undefined;
    try {
      const operation = await beginAttempt(this.pool, job, worker);
      if (!operation) return;
      id = operation.id;
      this.#aborts.set(id, abort);
      if (this.#stopping) abort.abort(new Interruption('stopping'));
      await this.#attempt(operation, session, abort);
    } finally {
      if (id) this.#aborts.delete(id);
      session.lost.removeEventListener('abort', lose);
      await session.unlock(lock);
    }
  }

  async #attempt(
    operation: StoredOperation & { readonly interrupted: boolean },
    session: Session,
    abort: AbortController,
  ): Promise<void> {
    const began = Date.now();
    const { log, metrics, tracer = noTracer } = this.options;
    metrics?.started?.(operation.kind, (began - Date.parse(operation.createdAt)) / 1000);
    log.info({ operation: operation.id, kind: operation.kind, attempt: operation.attempt }, 'run began');
    const span = operationSpan(tracer, operation);
    const writer = new EventWriter(this.pool, operation.id);
    const steps: Step[] = [];
    const onStep = (step: Step) => {
      steps.push(step);
      writer.add({ type: 'step', data: { ...step } });
    };
    let end: End;
    try {
      // The run before may still be on its way out.
      if (operation.interrupted) await sleep(this.options.grace ?? GRACE, undefined, { signal: abort.signal });
      const engine = tracedEngine(this.options.engine, tracer, span.context);
      const outcome = await this.#carryOut(operation, engine, abort.signal, onStep);
      if (session.lost.aborted) throw new Interruption('lost');
      end = { status: 'succeeded', error: null, steps: outcome.steps, outcome };
    } catch (error) {
      const verdict = await this.#judge(operation, error, session, abort.signal);
      await writer.close();
      if (typeof verdict === 'string') span.end({ 'operation.status': verdict }, nameOf(error));
      if (verdict === 'lost') throw new Interruption('lost');
      if (verdict === 'handBack') {
        await this.#handBack(operation, error);
        return;
      }
      end = { ...verdict, steps };
    }
    await writer.close();
    await this.#finish(operation, end, writer, session);
    span.end({ 'operation.status': end.status }, end.error?.detail);
    log.info({ operation: operation.id, status: end.status, milliseconds: Date.now() - began }, 'run ended');
    metrics?.ended?.(operation.kind, end.status, (Date.now() - began) / 1000);
  }

  async #carryOut(
    operation: StoredOperation,
    engine: Engine,
    signal: AbortSignal,
    onStep: (step: Step) => void,
  ): Promise<Outcome> {
    const { inspector, ownDatabase } = this;
    const [database, canceled] = await Promise.all([
      readDatabase(this.pool, operation.environment, operation.database),
      // One that came between the beginning and now found nobody who listens.
      cancelRequests(this.pool, [operation.id]),
    ]);
    if (canceled.length > 0) throw new Interruption('canceled');
    signal.throwIfAborted();
    return await carryOut({ operation, database, records: this.pool, engine, inspector, ownDatabase, signal, onStep });
  }

  /** Whose fault it was: the request's (it fails), the caller's wish (canceled), or the infrastructure's (again). */
  async #judge(
    operation: StoredOperation,
    error: unknown,
    session: Session,
    signal: AbortSignal,
  ): Promise<'lost' | 'handBack' | { status: OperationStatus; error: Problem | null }> {
    // A failure of the engine may only be the echo of a server that went away.
    if (!(await session.alive())) return 'lost';
    const interruption = signal.reason instanceof Interruption ? signal.reason : error;
    if (interruption instanceof Interruption) {
      return interruption.why === 'canceled' ? { status: 'canceled', error: null } : 'handBack';
    }
    if (error instanceof EngineError) {
      const problem = new ServiceError('engine-failed', error.message);
      return { status: 'failed', error: problemOf(problem, operation.id) };
    }
    if (!(error instanceof ServiceError)) {
      if (isConnectionError(error)) return 'handBack';
      // Whoever ended the engine may do it again, or the machine lacks memory: not for ever.
      if (error instanceof EngineEnded && operation.attempt < LARGEST_ATTEMPT) return 'handBack';
      this.options.log.error({ operation: operation.id, err: error }, 'run failed by an unexpected error');
    }
    return { status: 'failed', error: problemOf(error, operation.id) };
  }

  async #handBack(operation: StoredOperation, error: unknown): Promise<void> {
    const delay = error instanceof Interruption ? 0 : Math.min(operation.attempt * PAUSE, LONGEST_PAUSE);
    await transaction(this.pool, async (client) => {
      if (!(await handBack(client, operation, delay))) return;
      await appendEvents(client, operation.id, [statusEvent('queued', operation.attempt)]);
    });
    this.options.metrics?.handedBack?.(operation.kind);
    const reason = error instanceof Error ? error.message : String(error);
    this.options.log.warn({ operation: operation.id, reason }, 'run handed back to the queue');
  }

  /** All or nothing, and once: a second try finds that the operation has ended. */
  async #finish(operation: StoredOperation, end: End, writer: EventWriter, session: Session): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await transaction(this.pool, async (client) => {
          const said: NewEvent[] = end.error
            ? [{ type: 'diagnostic', data: { severity: 'error', message: end.error.detail } }]
            : [];
          if (!(await endOperation(client, operation, end, [...writer.rest(), ...said]))) return;
          await this.#record(client, operation, end);
        });
        return;
      } catch (error) {
        if (!isConnectionError(error) || tries === TRIES || session.lost.aborted) throw error;
        await sleep(tries * 100);
      }
    }
  }

  async #record(client: Queryable, operation: StoredOperation, end: End): Promise<void> {
    const { id, environment, database, planId } = operation;
    if (end.outcome) await end.outcome.record(client);
    else await settleDatabase(client, environment, database, { id, canceled: end.status === 'canceled' });
    const credentials = end.outcome?.credentials;
    if (credentials) await storeCredentials(client, id, seal(credentials, id, this.options.encryptionKey));
    if (planId && !end.outcome) {
      if (operation.kind === 'plan') await setPlanStatus(client, planId, 'failed', end.error);
      else if (end.error?.type.endsWith(':plan-stale')) await setPlanStatus(client, planId, 'stale', end.error);
    }
  }
}

interface End {
  readonly status: OperationStatus;
  readonly error: Problem | null;
  readonly steps: readonly Step[];
  /** Of a run that succeeded. */
  readonly outcome?: Outcome;
}

function operationSpan(tracer: Tracer, operation: StoredOperation): Span {
  const { id, kind, environment, database, attempt, trace } = operation;
  const attributes = { 'operation.id': id, 'operation.environment': environment, 'operation.database': database };
  const all = { ...attributes, 'operation.attempt': attempt };
  return tracer.start(`operation ${kind}`, 'operation', traceContext(trace), all);
}

export function statusEvent(status: OperationStatus, attempt: number) {
  return { type: 'status' as const, data: { status, attempt } };
}
