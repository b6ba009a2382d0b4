/** Connections to one server: a small pool for each database, opened when it is first needed. */

import pg from 'pg';
import type { ServerConfig } from './config.ts';

/** Connections per database: the work is short, so more would only wait for locks. */
const POOL_SIZE = 4;
/** Idle connections go soon, so that the database can be dropped by somebody else. */
const IDLE_MS = 2_000;
/** Idle connections that are kept go too, in the end: a password may have changed, a server may be gone. */
const KEPT_IDLE_MS = 600_000;

/** Pools that outlive their providers, by what they connect with. */
let kept: Map<string, pg.Pool> | undefined;

/**
 * From now on, connections to the providers' own database (`postgresql:database`) stay open when a provider is closed,
 * for the next one with the same configuration: a process that serves one engine after the other saves the connecting.
 *
 * @returns closes them.
 */
export function keepingConnections(): () => Promise<void> {
  kept ??= new Map();
  return async () => {
    const pools = [...(kept?.values() ?? [])];
    kept = undefined;
    await Promise.all(pools.map((pool) => pool.end()));
  };
}

/** What the driver needs to connect. */
export function clientConfig(config: ServerConfig, database: string): pg.ClientConfig {
  return {
    host: config.host,
    port: config.port,
    user: config.username,
    password: config.password,
    database,
    ssl: config.ssl,
    application_name: 'development-operations',
    keepAlive: true,
  };
}

export class Pools {
  readonly #own = new Map<string, pg.Pool>();

  constructor(private readonly config: ServerConfig) {}

  get(database: string): pg.Pool {
    const existing = this.#own.get(database);
    if (existing) return existing;
    if (kept && database === this.config.database) return this.#kept(kept);
    const pool = this.#open(database, Math.min(POOL_SIZE, this.config.maxConnections), IDLE_MS);
    this.#own.set(database, pool);
    return pool;
  }

  /** Closes the connections to a database. */
  async forget(database: string): Promise<void> {
    const pool = this.#own.get(database);
    this.#own.delete(database);
    await pool?.end();
  }

  /** Closes all connections but those that are kept. */
  async end(): Promise<void> {
    const pools = [...this.#own.values()];
    this.#own.clear();
    await Promise.all(pools.map((pool) => pool.end()));
  }

  #kept(pools: Map<string, pg.Pool>): pg.Pool {
    const key = JSON.stringify(this.config);
    const existing = pools.get(key);
    if (existing) return existing;
    const pool = this.#open(this.config.database, POOL_SIZE, KEPT_IDLE_MS);
    pools.set(key, pool);
    return pool;
  }

  #open(database: string, max: number, idleTimeoutMillis: number): pg.Pool {
    const pool = new pg.Pool({
      ...clientConfig(this.config, database),
      max,
      idleTimeoutMillis,
      connectionTimeoutMillis: this.config.connectTimeout * 1000,
      allowExitOnIdle: true,
    });
    // An idle connection that the server ends (a dropped database, a restart) is no failure of what runs now.
    pool.on('error', () => undefined);
    return pool;
  }
}
