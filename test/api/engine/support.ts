import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
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
  {
    concurrency = 1,
    mostRuns,
    passphrase = PASSPHRASE,
  }: { concurrency?: number; mostRuns?: number; passphrase?: string } = {},
): Promise<{ engine: Engine; pool: pg.Pool; logged: readonly string[]; close(): Promise<void> }> {
  const logged: string[] = [];
  const found = await postgres.query("SELECT 1 FROM pg_database WHERE datname = 'operations'");
  if (found.length === 0) await postgres.query('CREATE DATABASE operations');
  const connection = { host: postgres.host, port: postgres.port, user: 'postgres', password: postgres.password };
  const pool = new pg.Pool({ ...connection, database: 'operations' });
  pool.on('error', () => undefined);
  const engine = await createEngine({
    settings: settingsOf(postgres, concurrency),
    pool,
    mostRuns,
    log: { info: () => undefined, error: (_fields, text) => logged.push(text) },
    environment: {
      ...process.env,
      PGHOST: postgres.host,
      PGPORT: String(postgres.port),
      PGDATABASE: 'operations',
      PGUSER: 'postgres',
      PGPASSWORD: postgres.password,
      PGSSLMODE: 'disable',
      API_STATE_PASSPHRASE: passphrase,
      ADMIN_USERNAME: 'postgres',
      ADMIN_PASSWORD: postgres.password,
      // The runner is TypeScript here.
      NODE_OPTIONS: `--import=${createRequire(import.meta.url).resolve('tsx')}`,
    },
  });
  return {
    engine,
    pool,
    logged,
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

interface Process {
  readonly pid: number;
  readonly command: string;
}

/** Processes that `parent` has started. */
function childrenOf(parent: number): Process[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry): Process[] => {
      try {
        const status = readFileSync(`/proc/${entry}/status`, 'utf8');
        if (!status.includes(`\nPPid:\t${parent}\n`) || status.includes('\nState:\tZ')) return [];
        return [{ pid: Number(entry), command: readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ') }];
      } catch {
        // Ended meanwhile.
        return [];
      }
    });
}

/** The runners of this process: there is one for each run that is allowed at once. */
export function runners(): number[] {
  return childrenOf(process.pid)
    .filter(({ command }) => command.includes('api/runner.ts'))
    .map(({ pid }) => pid);
}

/** The engines of the runners that change something, or wait for what they are to change. */
export function engines(): number[] {
  return runners()
    .flatMap(childrenOf)
    .filter(({ command }) => /pulumi up /.test(command))
    .map(({ pid }) => pid);
}

/** Waits until it holds. @throws after a minute */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; !(await holds()); await sleep(20)) {
    if (Date.now() > end) throw new Error(`${what}: did not come true`);
  }
}
