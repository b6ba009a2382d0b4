import { setTimeout as sleep } from 'node:timers/promises';
import { Logger, type Runner, run } from 'graphile-worker';
import type pg from 'pg';
import { createPool } from '../store/connection.ts';
import { TASK } from '../store/operations.ts';
import type { Log } from './options.ts';
import type { Runs } from './run.ts';
import { Session } from './session.ts';

/** How often the queue is looked at when no notification came, in milliseconds. */
const POLL = 1_000;
const LONGEST_PAUSE = 5_000;
/** How long a queue's runner that is given up may take to end, in milliseconds. */
const LINGER = 15_000;

interface Payload {
  readonly id: string;
  readonly environment: string;
  readonly database: string;
}

/** One life of the queue's runner: it ends with the session that holds its workers' locks. */
interface Life {
  readonly session: Session;
  readonly runner: Runner;
  readonly pool: pg.Pool;
  /** Ids of its workers, and of the jobs that they run. */
  readonly workers: Set<string>;
  readonly jobs: Set<string>;
  /** Resolves when the life is over, by itself or by `finish`. */
  readonly over: Promise<void>;
  readonly finish: () => void;
}

/**
 * Takes jobs from the queue. When the runner, one of its workers, or the session ends by an error, all begin anew under
 * new names: a name whose lock is free belongs to the dead, so that others may take over its jobs.
 */
export class Worker {
  readonly #stopping = new AbortController();
  #life: Life | undefined;
  #loop: Promise<void> | undefined;

  constructor(
    private readonly settings: pg.ClientConfig,
    private readonly concurrency: number,
    private readonly runs: Runs,
    private readonly log: Log,
  ) {}

  get running(): boolean {
    return this.#life !== undefined && !this.#life.session.lost.aborted;
  }

  /** Ids of the queue's workers, and the jobs that they run. */
  get held(): { readonly workers: readonly string[]; readonly jobs: ReadonlySet<string> } {
    return { workers: [...(this.#life?.workers ?? [])], jobs: this.#life?.jobs ?? new Set() };
  }

  /** Resolves when jobs are taken. @throws when the queue cannot be reached. */
  async start(): Promise<void> {
    const first = await this.#begin();
    this.#loop = this.#supervise(first);
  }

  /** Takes no more jobs; runs that have not ended after `milliseconds` are handed back. */
  async stop(milliseconds: number): Promise<void> {
    this.#stopping.abort();
    const life = this.#life;
    if (life) {
      const ended = life.runner.stop().catch(() => undefined);
      await Promise.race([ended, life.over, sleep(milliseconds, undefined, { ref: false })]);
      this.runs.stop();
      await Promise.race([ended, life.over, sleep(LINGER, undefined, { ref: false })]);
      life.finish();
    }
    await this.#loop;
  }

  async #supervise(first: Life): Promise<void> {
    let life: Life | undefined = first;
    for (let failures = 0; ; ) {
      if (life) {
        this.#life = life;
        await life.over;
        this.#life = undefined;
        await this.#end(life);
        life = undefined;
        if (this.#stopping.signal.aborted) return;
        this.log.warn({}, 'the queue was lost; connecting again');
      }
      try {
        life = await this.#begin();
        failures = 0;
      } catch (error) {
        failures += 1;
        this.log.warn({ reason: (error as Error).message }, 'the queue cannot be reached');
        const pause = Math.min(100 * 2 ** failures, LONGEST_PAUSE);
        await sleep(pause, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      }
      if (this.#stopping.signal.aborted) {
        if (life) await this.#end(life);
        return;
      }
    }
  }

  async #begin(): Promise<Life> {
    const session = await Session.open(this.settings);
    const pool = createPool(this.settings, this.concurrency + 2, () => undefined);
    const workers = new Set<string>();
    const jobs = new Set<string>();
    try {
      const runner = await run({
        pgPool: pool,
        concurrency: this.concurrency,
        noHandleSignals: true,
        pollInterval: POLL,
        parsedCronItems: [],
        logger: quietLogger(this.log),
        taskList: {
          [TASK]: async (payload: unknown, { job }) => {
            jobs.add(job.id);
            try {
              await this.runs.runOrAgain(payload as Payload, job.locked_by ?? '', session);
            } finally {
              jobs.delete(job.id);
            }
          },
        },
        preset: {
          plugins: [
            {
              name: 'DevelopmentOperationsLocks',
              version: '1.0.0',
              worker: {
                hooks: {
                  // Awaited before the worker asks for its first job.
                  startWorker: async (_context, { worker }) => {
                    await session.holdWorker(worker.workerId);
                    workers.add(worker.workerId);
                  },
                },
              },
            },
          ],
        },
      });
      let finish = () => {};
      const over = new Promise<void>((resolve) => {
        finish = resolve;
        session.lost.addEventListener('abort', () => resolve(), { once: true });
        // A worker that cannot tell the queue how its job ended is never replaced by the runner.
        runner.events.on('worker:fatalError', () => resolve());
        runner.promise.then(resolve, () => resolve());
      });
      return { session, runner, pool, workers, jobs, over, finish };
    } catch (error) {
      await session.close();
      await pool.end().catch(() => undefined);
      throw error;
    }
  }

  /** The old runner may hang on a server that does not answer: it is given up, its locks are gone. */
  async #end({ session, runner, pool }: Life): Promise<void> {
    session.abandon();
    await this.runs.idle(LINGER);
    await session.close();
    const ended = runner.stop().catch(() => undefined);
    const drained = ended.then(() => pool.end()).catch(() => undefined);
    if (this.#stopping.signal.aborted) await Promise.race([drained, sleep(LINGER, undefined, { ref: false })]);
  }
}

/** The runner tells every job; the service's own log does that better. */
export function quietLogger(log: Log): Logger {
  return new Logger(() => (level, message) => {
    if (level === 'error' || level === 'warning') log.warn({ queue: true }, message);
    else log.debug({ queue: true }, message);
  });
}
