/**
 * One operation's use of a connection, and how it ends when the operation is cancelled. To close the connection would
 * not end what the server is at: it goes on with CREATE DATABASE, and whoever was told of a failure finds the database
 * there. So the server is asked to stop, and what counts is how the statement ended.
 */

import pg from 'pg';
import type { ServerConfig } from './config.ts';
import { errorCode } from './errors.ts';
import { clientConfig } from './pools.ts';

/** How long a cancelled operation waits for the server's answer, in milliseconds. */
const SILENCE_LIMIT = 5_000;

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const QUERY_CANCELED = '57014';

/** The server said nothing: the operation may be done, or not. */
export class OutcomeUnknown extends Error {}

export interface CancellationOptions {
  /** Cancels the operation. */
  readonly signal: AbortSignal;
  /** Where the server is, for the error. */
  readonly where: string;
  /** Asks the server on another connection to stop the statement that it is at. */
  readonly stop: () => Promise<void>;
  /** Closes the connection at once. */
  readonly destroy: () => void;
}

export class Cancellation {
  #tidying = 0;
  /** A statement that may be stopped is on its way. */
  #stoppable = false;
  #stopping: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #giveUp: (reason: OutcomeUnknown) => void = () => undefined;
  readonly #silence = new Promise<never>((_, reject) => {
    this.#giveUp = reject;
  });
  readonly #onAbort = () => this.#abort();

  constructor(private readonly options: CancellationOptions) {
    this.#silence.catch(() => undefined);
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /**
   * Sends a statement, and waits for its end: once the operation is cancelled at most five seconds, and nothing more is
   * sent but what tidies up.
   *
   * @throws the signal's reason when the statement was stopped, or not sent; OutcomeUnknown when the server is silent.
   */
  async send<T>(statement: () => Promise<T>): Promise<T> {
    const { signal } = this.options;
    if (this.#tidying === 0) signal.throwIfAborted();
    // What is asked of the server may meet only the statement that it was meant for.
    if (this.#stopping) await Promise.race([this.#stopping, this.#silence]);
    const answer = statement();
    answer.catch(() => undefined);
    this.#stoppable = this.#tidying === 0;
    try {
      return await Promise.race([answer, this.#silence]);
    } catch (error) {
      if (signal.aborted && errorCode(error) === QUERY_CANCELED) throw signal.reason;
      throw error;
    } finally {
      this.#stoppable = false;
    }
  }

  /** Runs what takes something back or ends a transaction: its statements are sent, and not stopped, in any case. */
  async tidy<T>(work: () => Promise<T>): Promise<T> {
    this.#tidying += 1;
    try {
      return await work();
    } finally {
      this.#tidying -= 1;
    }
  }

  /** The operation has ended. Resolves when nothing that was asked of the server can meet somebody else's statement. */
  async end(): Promise<void> {
    this.options.signal.removeEventListener('abort', this.#onAbort);
    if (this.#stopping) await Promise.race([this.#stopping, this.#silence]).catch(() => undefined);
    clearTimeout(this.#timer);
  }

  #abort(): void {
    const { stop, destroy, where } = this.options;
    this.#timer = setTimeout(() => {
      const seconds = SILENCE_LIMIT / 1000;
      const cure = 'look at the server, then run pulumi refresh';
      this.#giveUp(
        new OutcomeUnknown(
          `${where} did not say within ${seconds} s how the cancelled operation ended, so it may be done or not: ${cure}`,
        ),
      );
      destroy();
    }, SILENCE_LIMIT);
    if (this.#stoppable) this.#stopping = stop().catch(() => undefined);
  }
}

/** Ends the statement that a connection is at. @throws when the server cannot be asked in time. */
export async function stopStatement(config: ServerConfig, at: pg.PoolClient): Promise<void> {
  const { processID } = at as unknown as { processID: number };
  const client = new pg.Client({
    ...clientConfig(config, config.database),
    connectionTimeoutMillis: SILENCE_LIMIT,
    query_timeout: SILENCE_LIMIT,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT pg_catalog.pg_cancel_backend($1)', [processID]);
  } finally {
    client.end().catch(() => undefined);
  }
}

/** Closes a connection without a word to the server, which may not answer. */
export function destroyConnection(client: pg.PoolClient): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}
