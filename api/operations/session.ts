import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** How often the connection is tried, and how long an answer may take, in milliseconds. */
const HEARTBEAT = 2_000;
const ANSWER = 5_000;
/** How often a lock that somebody holds is tried, in milliseconds. */
const TRY = 100;

/**
 * One connection that holds a replica's advisory locks: one for each worker of the queue (whoever finds it free knows
 * that the replica is dead), one for each database that is being changed. When the connection is lost, the locks are
 * free: `lost` fires, and everything that relied on them has to end.
 *
 * The replica notices within 7 s (heartbeat), the server no sooner than 13 s after the last sign (its keepalives), so
 * that in a parted network the old holder gives up before the lock is free.
 */
export class Session {
  readonly #lost = new AbortController();
  readonly #held = new Set<string>();
  readonly #client: pg.Client;
  #timer: NodeJS.Timeout | undefined;
  #closing = false;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(settings: pg.ClientConfig) {
    this.#client = new pg.Client({ ...settings, query_timeout: ANSWER });
    const lose = () => this.#lose();
    this.#client.on('error', lose);
    this.#client.on('end', lose);
  }

  /** @throws when the server cannot be reached. */
  static async open(settings: pg.ClientConfig): Promise<Session> {
    const session = new Session(settings);
    try {
      await session.#client.connect();
      await session.#client.query(
        'SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 4',
      );
    } catch (error) {
      await session.close();
      throw error;
    }
    session.#beat();
    return session;
  }

  /** Fires once, when the locks are not held any more without having been given back. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Takes the lock that says that `worker` lives. @throws when it cannot. */
  async holdWorker(worker: string): Promise<void> {
    if (!(await this.#try(`worker:${worker}`))) throw new Error(`the lock of worker ${worker} is held by another`);
  }

  /** Waits until the lock of a database is held. @throws when `signal` fires, or the connection is lost. */
  async lock(name: string, signal: AbortSignal): Promise<void> {
    while (this.#held.has(name) || !(await this.#try(name))) await sleep(TRY, undefined, { signal });
  }

  async unlock(name: string): Promise<void> {
    if (!this.#held.delete(name) || this.lost.aborted) return;
    await this.#query('SELECT pg_advisory_unlock(hashtextextended($1, 0))', [name]).catch(() => this.#lose());
  }

  /** Whether the connection, and so every lock, is still there: asks the server. */
  async alive(): Promise<boolean> {
    if (this.lost.aborted) return false;
    await this.#query('SELECT 1').catch(() => this.#lose());
    return !this.lost.aborted;
  }

  /** Tells who relies on the locks that they are about to be given up. */
  abandon(): void {
    if (!this.lost.aborted) this.#lost.abort(new Error('the locks are given up'));
  }

  async close(): Promise<void> {
    this.abandon();
    this.#closing = true;
    clearTimeout(this.#timer);
    await Promise.race([this.#client.end().catch(() => undefined), sleep(1_000, undefined, { ref: false })]);
  }

  /** The lock is the connection's: what this replica itself holds has to be remembered here. */
  async #try(name: string): Promise<boolean> {
    this.#held.add(name);
    try {
      const { rows } = await this.#query<{ held: boolean }>(
        'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS held',
        [name],
      );
      if (rows[0]?.held === true) return true;
      this.#held.delete(name);
      return false;
    } catch (error) {
      this.#lose();
      throw error;
    }
  }

  /** A connection answers one query after the other. */
  async #query<Row extends pg.QueryResultRow>(text: string, values?: string[]): Promise<pg.QueryResult<Row>> {
    const before = this.#last;
    const answer = before.then(() => this.#client.query<Row>(text, values));
    this.#last = answer.catch(() => undefined);
    return await answer;
  }

  #beat(): void {
    this.#timer = setTimeout(() => {
      void this.alive().then((alive) => {
        if (alive && !this.#closing) this.#beat();
      });
    }, HEARTBEAT);
  }

  #lose(): void {
    if (this.#closing || this.lost.aborted) return;
    clearTimeout(this.#timer);
    this.#lost.abort(new Error('the connection that holds the locks was lost'));
    // A late answer must not find the locks held by a session that was given up.
    void this.#client.end().catch(() => undefined);
  }
}
