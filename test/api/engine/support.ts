import { createRequire } from 'node:module';
import pg from 'pg';
import type { Engine, EngineRequest } from '../../../api/engine/engine.ts';
import { createEngine } from '../../../api/engine/pool.ts';
import type { WantedDatabase } from '../../../api/model.ts';
import type { ApiSettings } from '../../../api/settings.ts';
import type { TestPostgres } from '../../support/postgres.ts';

export const ENVIRONMENT = 'test';
export const PASSPHRASE = 'passphrase-of-the-test-state';

/** An engine with its state in the database `operations` of the server, making databases on the same server. */
export async function startEngine(
  postgres: TestPostgres,
  concurrency = 1,
): Promise<{ engine: Engine; pool: pg.Pool; close(): Promise<void> }> {
  const found = await postgres.query("SELECT 1 FROM pg_database WHERE datname = 'operations'");
  if (found.length === 0) await postgres.query('CREATE DATABASE operations');
  const connection = { host: postgres.host, port: postgres.port, user: 'postgres', password: postgres.password };
  const pool = new pg.Pool({ ...connection, database: 'operations' });
  pool.on('error', () => undefined);
  const engine = await createEngine({
    settings: settingsOf(postgres, concurrency),
    pool,
    environment: {
      ...process.env,
      PGHOST: postgres.host,
      PGPORT: String(postgres.port),
      PGDATABASE: 'operations',
      PGUSER: 'postgres',
      PGPASSWORD: postgres.password,
      PGSSLMODE: 'disable',
      API_STATE_PASSPHRASE: PASSPHRASE,
      ADMIN_USERNAME: 'postgres',
      ADMIN_PASSWORD: postgres.password,
      // The runner is TypeScript here.
      NODE_OPTIONS: `--import=${createRequire(import.meta.url).resolve('tsx')}`,
    },
  });
  return {
    engine,
    pool,
    close: async () => {
      await engine.close();
      await pool.end();
    },
  };
}

function settingsOf(postgres: TestPostgres, concurrency: number): ApiSettings {
  return {
    publicUrl: 'https://localhost',
    issuers: [],
    namespaces: [],
    concurrency,
    environments: {
      [ENVIRONMENT]: {
        host: postgres.host,
        port: postgres.port,
        sslmode: 'disable',
        adminDatabase: 'postgres',
        superuser: true,
        usernameVariable: 'ADMIN_USERNAME',
        passwordVariable: 'ADMIN_PASSWORD',
      },
    },
  };
}

export function wantedDatabase(name: string, change: Partial<WantedDatabase> = {}): WantedDatabase {
  return {
    name,
    environment: ENVIRONMENT,
    schemas: ['app'],
    roles: { application: { access: 'write' }, migrations: { access: 'owner' } },
    credentials: { type: 'return' },
    ...change,
  };
}

export function requestFor(wanted: WantedDatabase, change: Partial<EngineRequest> = {}): EngineRequest {
  return {
    stack: `${ENVIRONMENT}-${wanted.name}`,
    wanted,
    rotations: {},
    signal: new AbortController().signal,
    ...change,
  };
}
