/** What operations do on one server: sessions and transactions with their locks, and their end when they are cancelled. */

import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Log } from '../framework/provider.ts';
import { Cancellation, destroyConnection, stopStatement } from './cancellation.ts';
import type { ServerConfig } from './config.ts';
import { connectError, errorCode, isRetryable } from './errors.ts';
import { lockKey, roleLock } from './locks.ts';
import { actingFor } from './membership.ts';
import { Pools } from './pools.ts';
import { type Session, sessionOf } from './session.ts';

export type { Session } from './session.ts';

const ATTEMPTS = 8;
/** For every lock of a statement, advisory locks too. */
const LOCK_TIMEOUT_SECONDS = 120;
/** Oldest server that the statements are written for. */
const OLDEST_VERSION = 12;

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const INSUFFICIENT_PRIVILEGE = '42501';

/** What is asked of a server once. */
export interface ServerInfo {
  /** Major version, such as 18. */
  readonly version: number;
  readonly user: string;
  readonly superuser: boolean;
  /** `scram-sha-256` or `md5`. */
  readonly passwordEncryption: string;
}

/** A connection while it is ours, and whether it can be used again. */
interface Held {
  readonly session: Session;
  /** It is in a state that nobody else may meet, such as with our locks. */
  spoil(): void;
}

/**
 * One message for the server: a round trip for each statement would be half of a short transaction's time. A time limit
 * for statements would end the wait for a lock as if the statement were slow.
 */
function beginSql(locks: readonly string[]): string {
  return [
    'BEGIN',
    'SET LOCAL statement_timeout = 0',
    `SET LOCAL lock_timeout = '${LOCK_TIMEOUT_SECONDS}s'`,
    ...locks
      .map(lockKey)
      .sort()
      .map((key) => `SELECT pg_catalog.pg_advisory_xact_lock(${key})`),
  ].join('; ');
}

export class Server {
  readonly #pools: Pools;
  #info: Promise<ServerInfo> | undefined;
  #closed = false;

  constructor(
    readonly config: ServerConfig,
    private readonly log: Log,
  ) {
    this.#pools = new Pools(config);
  }

  /** The server's version and what the connected role may do; connects on first use. */
  info(signal: AbortSignal): Promise<ServerInfo> {
    this.#info ??= this.#ask(signal).catch((error: unknown) => {
      this.#info = undefined;
      throw error;
    });
    return this.#info;
  }

  async #ask(signal: AbortSignal): Promise<ServerInfo> {
    const [row] = await this.session(this.config.database, signal, (session) =>
      session.query<{ number: number; user: string; superuser: boolean; encryption: string }>(
        `SELECT current_setting('server_version_num')::int AS number, current_user::text AS user,
                rolsuper AS superuser, current_setting('password_encryption') AS encryption
           FROM pg_catalog.pg_roles WHERE rolname = current_user`,
      ),
    );
    if (!row) throw new Error(`the connected role is not among the roles of ${this.config.host}:${this.config.port}`);
    const version = Math.floor(row.number / 10_000);
    if (version < OLDEST_VERSION) {
      throw new Error(
        `PostgreSQL at ${this.config.host}:${this.config.port} has version ${version}; ` +
          `the built-in plugin is for ${OLDEST_VERSION} and later: use the official plugin`,
      );
    }
    // "on" is how servers before 14 may say md5.
    const passwordEncryption = row.encryption === 'scram-sha-256' ? row.encryption : 'md5';
    return { version, user: row.user, superuser: row.superuser, passwordEncryption };
  }

  /** Runs `work` outside a transaction, holding the named advisory locks of the session. */
  session<T>(
    database: string,
    signal: AbortSignal,
    work: (session: Session) => Promise<T>,
    locks: readonly string[] = [],
  ): Promise<T> {
    return this.#attempt(signal, () =>
      this.#with(database, signal, async ({ session, spoil }) => {
        const keys = locks.map(lockKey).sort();
        try {
          if (keys.length > 0) await session.query(`SET lock_timeout = '${LOCK_TIMEOUT_SECONDS}s'`);
          for (const key of keys) await session.query('SELECT pg_catalog.pg_advisory_lock($1)', [key]);
          return await work(session);
        } finally {
          if (keys.length > 0) {
            await session.tidy(() => session.query('SELECT pg_catalog.pg_advisory_unlock_all()')).catch(spoil);
          }
        }
      }),
    );
  }

  /**
   * Runs `work` in one transaction that holds the named advisory locks. Where a catalog row was changed by somebody
   * else at the same time, all of it is done again.
   */
  transaction<T>(
    database: string,
    signal: AbortSignal,
    locks: readonly string[],
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    return this.#attempt(signal, () =>
      this.#with(database, signal, async ({ session, spoil }) => {
        try {
          await session.query(beginSql(locks));
          const result = await work(session);
          signal.throwIfAborted();
          await session.tidy(() => session.query('COMMIT'));
          return result;
        } catch (error) {
          await session.tidy(() => session.query('ROLLBACK')).catch(spoil);
          throw error;
        }
      }),
    );
  }

  /** Closes our own connections to a database, so that they do not keep it from being dropped or renamed. */
  async forget(database: string): Promise<void> {
    await this.#pools.forget(database);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#pools.end();
  }

  async #attempt<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
        if (attempt >= ATTEMPTS || !isRetryable(cause)) throw error;
        const message = cause instanceof Error ? cause.message : String(cause);
        this.log.debug(`attempt ${attempt} of ${ATTEMPTS} met a concurrent change (${message}); trying again`);
        await sleep(25 * 2 ** attempt * (0.5 + Math.random()), undefined, { signal });
      }
    }
  }

  async #with<T>(database: string, signal: AbortSignal, work: (held: Held) => Promise<T>): Promise<T> {
    if (this.#closed) throw new Error('the provider is closed');
    let client: pg.PoolClient;
    try {
      client = await this.#enter(database, signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw connectError(error, this.config, database);
    }
    let broken = false;
    const spoil = () => {
      broken = true;
    };
    client.on('error', spoil);
    const cancellation = new Cancellation({
      signal,
      where: `PostgreSQL at ${this.config.host}:${this.config.port}`,
      stop: () => stopStatement(this.config, client),
      destroy: () => {
        spoil();
        destroyConnection(client);
      },
    });
    try {
      const { log, config } = this;
      const session = sessionOf({ client, database, cancellation, log, username: config.databaseUsername });
      return await work({ session, spoil });
    } finally {
      await cancellation.end();
      client.removeListener('error', spoil);
      client.release(broken);
    }
  }

  /** Where PUBLIC may not connect, an administrator without SUPERUSER enters as the owner may. */
  async #enter(database: string, signal: AbortSignal): Promise<pg.PoolClient> {
    try {
      return await this.#connect(database, signal);
    } catch (error) {
      if (errorCode(error) !== INSUFFICIENT_PRIVILEGE || database === this.config.database) throw error;
      const info = await this.info(signal);
      if (info.superuser) throw error;
      return await this.#enterAsOwner(database, signal, info);
    }
  }

  /** The right to connect is looked at once, so that the membership lasts only until the connection is there. */
  async #enterAsOwner(database: string, signal: AbortSignal, info: ServerInfo): Promise<pg.PoolClient> {
    const home = this.config.database;
    const [row] = await this.session(home, signal, (session) =>
      session.query<{ owner: string }>(
        'SELECT pg_catalog.pg_get_userbyid(datdba)::text AS owner FROM pg_catalog.pg_database WHERE datname = $1',
        [database],
      ),
    );
    const owner = row?.owner ?? '';
    let client: pg.PoolClient | undefined;
    const enter = async () => {
      client = await this.#connect(database, signal);
      return client;
    };
    try {
      return await this.session(home, signal, (session) => actingFor(session, info, [owner], enter), [roleLock(owner)]);
    } catch (error) {
      client?.release();
      throw error;
    }
  }

  /** A cancelled operation does not wait for a server that does not answer. */
  async #connect(database: string, signal: AbortSignal): Promise<pg.PoolClient> {
    signal.throwIfAborted();
    const connecting = this.#pools.get(database).connect();
    let abort = () => {};
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
    });
    try {
      return await Promise.race([connecting, aborted]);
    } catch (error) {
      connecting.then((client) => client.release()).catch(() => undefined);
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}
