import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { CHANNEL } from '../store/events.ts';
import type { Log } from './options.ts';

/** How often the connection is tried while nothing is heard, in milliseconds. */
const CHECK = 10_000;
/** Longest pause between two attempts to connect, in milliseconds. */
const LONGEST_PAUSE = 2_000;

/** Waits for news of one operation; made before the records are read, so that nothing falls in between. */
export interface Subscription {
  /** Resolves with the next news, or those since the last call; after `milliseconds`, or when `signal` fires. */
  next(milliseconds: number, signal?: AbortSignal): Promise<void>;
  close(): void;
}

/**
 * The one connection of a replica that listens. After it was lost everybody who waits is woken: what was missed is in
 * the records.
 */
export class Hub {
  readonly #news = new EventEmitter().setMaxListeners(0);
  readonly #stopped = new AbortController();
  #client: pg.Client | undefined;
  #loop: Promise<void> = Promise.resolve();

  /**
   * @param onCancel called with the id of an operation that shall be canceled.
   * @param onReconnect called when requests to cancel may have been missed.
   */
  constructor(
    private readonly settings: pg.ClientConfig,
    private readonly log: Log,
    private readonly onCancel: (id: string) => void,
    private readonly onReconnect: () => void,
  ) {}

  /** Resolves when it listens for the first time. @throws when the server cannot be reached. */
  async start(): Promise<void> {
    const first = await this.#connect();
    this.#loop = this.#keep(first);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#client?.end().catch(() => undefined);
    await this.#loop;
    this.#news.emit('all');
  }

  subscribe(id: string): Subscription {
    let pending = false;
    let wake: (() => void) | undefined;
    const hear = () => {
      pending = true;
      wake?.();
    };
    this.#news.on(id, hear).on('all', hear);
    return {
      next: async (milliseconds, signal) => {
        if (!pending && !signal?.aborted) {
          await new Promise<void>((resolve) => {
            const timer = setTimeout(done, milliseconds);
            function done(): void {
              clearTimeout(timer);
              signal?.removeEventListener('abort', done);
              resolve();
            }
            wake = done;
            signal?.addEventListener('abort', done, { once: true });
          });
          wake = undefined;
        }
        pending = false;
      },
      close: () => void this.#news.off(id, hear).off('all', hear),
    };
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({ ...this.settings, query_timeout: 5_000 });
    client.on('error', () => undefined);
    client.on('notification', ({ payload }) => this.#hear(payload ?? ''));
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
    this.#client = client;
    return client;
  }

  async #keep(first: pg.Client): Promise<void> {
    let client: pg.Client | undefined = first;
    for (let failures = 0; !this.#stopped.signal.aborted; ) {
      if (client) {
        await this.#untilLost(client);
        client = undefined;
        if (!this.#stopped.signal.aborted) this.log.warn({}, 'the connection that listens was lost');
        continue;
      }
      try {
        client = await this.#connect();
        failures = 0;
        this.#news.emit('all');
        this.onReconnect();
      } catch (error) {
        failures += 1;
        this.log.debug({ reason: (error as Error).message }, 'cannot listen yet');
        const pause = Math.min(50 * 2 ** failures, LONGEST_PAUSE);
        await sleep(pause, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
      }
    }
    await this.#client?.end().catch(() => undefined);
  }

  /** A connection that went dead without a word is found by asking. */
  async #untilLost(client: pg.Client): Promise<void> {
    const ended = new AbortController();
    const timer = setInterval(() => {
      client.query('SELECT 1').catch(() => ended.abort());
    }, CHECK);
    client.once('end', () => ended.abort());
    client.once('error', () => ended.abort());
    if (!this.#stopped.signal.aborted) {
      await Promise.race([once(ended.signal, 'abort'), once(this.#stopped.signal, 'abort')]);
    }
    clearInterval(timer);
    await client.end().catch(() => undefined);
  }

  #hear(payload: string): void {
    try {
      const { type, id } = JSON.parse(payload) as { type: string; id: string };
      if (type === 'event') this.#news.emit(id);
      else if (type === 'cancel') this.onCancel(id);
    } catch {
      this.log.warn({}, 'a notification is not understood');
    }
  }
}
