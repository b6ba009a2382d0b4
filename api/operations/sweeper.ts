import type pg from 'pg';
import { cleanUp, enqueueForgotten, lockedJobs, releaseDead, releaseLost } from '../store/maintenance.ts';
import type { Log, MetricsHooks } from './options.ts';
import type { Worker } from './worker.ts';

/** @default in milliseconds */
const INTERVAL = 2_000;
/** Every so many rounds: what should never be needed, and what is not urgent. */
const FORGOTTEN_EVERY = 5;
const CLEAN_EVERY = 900;

/** What a replica looks after in the background: others that died, and what nobody needs any more. */
export class Sweeper {
  #timer: NodeJS.Timeout | undefined;
  #round = 0;
  #suspects: ReadonlySet<string> = new Set();
  #sweeping: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    private readonly pool: pg.Pool,
    private readonly worker: Worker,
    private readonly log: Log,
    private readonly metrics: MetricsHooks | undefined,
    private readonly interval = INTERVAL,
  ) {}

  start(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#sweeping = this.#sweep()
        .catch((error: Error) => this.log.warn({ reason: error.message }, 'cannot look after other replicas now'))
        .then(() => this.start());
    }, this.interval);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#sweeping;
  }

  async #sweep(): Promise<void> {
    const taken = await releaseDead(this.pool);
    if (taken.length > 0) {
      this.log.warn({ operations: taken }, 'took over from a replica that died');
      this.metrics?.takenOver?.(taken.length);
    }
    await this.#releaseLost();
    if (this.#round % FORGOTTEN_EVERY === 0) {
      const forgotten = await enqueueForgotten(this.pool);
      if (forgotten.length > 0)
        this.log.warn({ operations: forgotten }, 'operations waited without a job of their own');
    }
    if (this.#round % CLEAN_EVERY === 0) await cleanUp(this.pool);
    this.#round += 1;
  }

  /** Seen twice in a row: a job may be on its way to the worker, or just done. */
  async #releaseLost(): Promise<void> {
    const { workers } = this.worker.held;
    const locked = await lockedJobs(this.pool, workers);
    const { jobs } = this.worker.held;
    const idle = locked.filter((id) => !jobs.has(id));
    const lost = idle.filter((id) => this.#suspects.has(id));
    this.#suspects = new Set(idle);
    if (lost.length === 0) return;
    await releaseLost(this.pool, lost);
    this.log.warn({ jobs: lost }, 'jobs were given to a worker that never heard of it');
  }
}
