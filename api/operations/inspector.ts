import pg from 'pg';
import { ServiceError } from '../errors.ts';
import type { ApiSettings } from '../settings.ts';
import { createPool, sslOptions } from '../store/connection.ts';

/** Longest time for one look, in milliseconds. */
const TIMEOUT = 10_000;

/** Ordinary, partitioned and foreign tables, materialized views, sequences: pg_class.relkind. */
const KINDS: Readonly<Record<string, string>> = {
  r: 'table',
  p: 'partitioned table',
  f: 'foreign table',
  m: 'materialized view',
  S: 'sequence',
};

/**
 * Looks at the servers that databases are made on, through their administrators; only ever reads. Every failure is a
 * ServiceError `unavailable`.
 */
export class Inspector {
  readonly #pools = new Map<string, pg.Pool>();

  constructor(
    private readonly settings: ApiSettings,
    private readonly environment: NodeJS.ProcessEnv,
  ) {}

  /** Which of the names a database or a role of the server has. */
  async taken(environment: string, names: readonly string[]): Promise<string[]> {
    return await this.#look(environment, async () => {
      const { rows } = await this.#pool(environment).query<{ name: string }>(
        `SELECT datname::text AS name FROM pg_database WHERE datname = ANY ($1)
         UNION SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1) ORDER BY 1`,
        [names],
      );
      return rows.map(({ name }) => name);
    });
  }

  /** The first thing found that counts as data in these schemas, as text; undefined when there is none. */
  async schemaData(environment: string, database: string, schemas: readonly string[]): Promise<string | undefined> {
    return await this.#inDatabase(environment, database, async (client) => {
      const { rows } = await client.query<{ schema: string; name: string; kind: string }>(
        `SELECT nspname::text AS schema, relname::text AS name, relkind::text AS kind
         FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE nspname = ANY ($1) AND relkind IN ('r', 'p', 'f', 'm', 'S')
         ORDER BY relkind = 'S', nspname, relname LIMIT 1`,
        [schemas],
      );
      return rows[0] && told(rows[0]);
    });
  }

  /** The first thing found that counts as data in any schema but PostgreSQL's own, or a large object. */
  async databaseData(environment: string, database: string): Promise<string | undefined> {
    return await this.#inDatabase(environment, database, async (client) => {
      const { rows } = await client.query<{ schema: string; name: string; kind: string }>(
        `SELECT nspname::text AS schema, relname::text AS name, relkind::text AS kind
         FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE NOT starts_with(nspname, 'pg_') AND nspname <> 'information_schema'
           AND relkind IN ('r', 'p', 'f', 'm', 'S')
         ORDER BY relkind = 'S', nspname, relname LIMIT 1`,
      );
      if (rows[0]) return told(rows[0]);
      const objects = await client.query('SELECT FROM pg_largeobject_metadata LIMIT 1');
      return objects.rowCount === 0 ? undefined : 'a large object';
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.end()));
  }

  #pool(environment: string): pg.Pool {
    const known = this.#pools.get(environment);
    if (known) return known;
    const pool = createPool(this.#connection(environment), 2, () => undefined);
    this.#pools.set(environment, pool);
    return pool;
  }

  #connection(environment: string): pg.ClientConfig {
    const server = this.settings.environments[environment];
    if (!server) throw new ServiceError('not-found', `There is no environment "${environment}".`);
    // pg would take the service's own name and password instead.
    const missing = [server.usernameVariable, server.passwordVariable].filter((name) => !this.environment[name]);
    if (missing.length > 0) {
      throw new ServiceError(
        'unavailable',
        `The service lacks the variable ${missing.join(' and ')}: its settings name it.`,
      );
    }
    return {
      host: server.host,
      port: server.port,
      database: server.adminDatabase,
      user: this.environment[server.usernameVariable],
      password: this.environment[server.passwordVariable],
      ssl: sslOptions(server.sslmode, server.rootCertificateFile),
      connectionTimeoutMillis: TIMEOUT,
      query_timeout: TIMEOUT,
      application_name: 'development-operations',
    };
  }

  async #inDatabase<T>(
    environment: string,
    database: string,
    look: (client: pg.Client) => Promise<T>,
  ): Promise<T | undefined> {
    return await this.#look(environment, async () => {
      const client = new pg.Client({ ...this.#connection(environment), database });
      client.on('error', () => undefined);
      try {
        await client.connect();
        return await look(client);
      } catch (error) {
        // 3D000 invalid_catalog_name: a database that is not there holds nothing.
        if (error instanceof Error && 'code' in error && error.code === '3D000') return undefined;
        throw error;
      } finally {
        await client.end().catch(() => undefined);
      }
    });
  }

  async #look<T>(environment: string, look: () => Promise<T>): Promise<T> {
    try {
      return await look();
    } catch (error) {
      if (error instanceof ServiceError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new ServiceError(
        'unavailable',
        `The database server of "${environment}" could not be asked what it holds (${reason}). Nothing was changed; try again.`,
      );
    }
  }
}

function told({ schema, name, kind }: { schema: string; name: string; kind: string }): string {
  return `${KINDS[kind] ?? 'relation'} "${schema}"."${name}"`;
}
