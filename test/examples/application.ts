/** The orders example as tests use it: installed, built, its database as the infrastructure makes it, its processes. */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OrdersClient } from '../../examples/orders/packages/client/src/index.ts';
import { run } from '../../local/run.ts';
import type { TestServer } from './server.ts';

export const EXAMPLE = join(import.meta.dirname, '../../examples/orders');
const START_MS = 20_000;

let prepared: Promise<void> | undefined;

/** Installs the example's dependencies when they are missing or older than its lock file, and builds it. Once. */
export async function prepareExample(): Promise<void> {
  prepared ??= (async () => {
    const installed = join(EXAMPLE, 'node_modules/.package-lock.json');
    const lock = join(EXAMPLE, 'package-lock.json');
    if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
      const started = Date.now();
      process.stderr.write('    examples/orders: npm ci …\n');
      await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: EXAMPLE, timeoutMs: 180_000 });
      process.stderr.write(`    examples/orders: npm ci took ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
    }
    await run('npm', ['run', 'build'], { cwd: EXAMPLE, timeoutMs: 60_000 });
  })();
  await prepared;
}

/** libpq's variables, by role. */
export interface Database {
  readonly name: string;
  readonly application: Readonly<Record<string, string>>;
  readonly migrations: Readonly<Record<string, string>>;
}

/** A database with the roles, schema and default privileges that components/postgres makes, but nothing migrated. */
export async function createDatabase(server: TestServer, name: string): Promise<Database> {
  const password = randomBytes(16).toString('hex');
  const settings = (role: string) => ({
    PGHOST: 'localhost',
    PGPORT: String(server.port),
    PGDATABASE: name,
    PGUSER: `${name}_${role}`,
    PGPASSWORD: password,
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: server.caFile,
  });
  const [owner, application, migrations] = [`${name}_owner`, `${name}_application`, `${name}_migrations`];
  await server.query(
    'postgres',
    `CREATE ROLE ${owner} NOLOGIN`,
    `CREATE ROLE ${application} LOGIN PASSWORD '${password}'`,
    `CREATE ROLE ${migrations} LOGIN PASSWORD '${password}' IN ROLE ${owner}`,
    `ALTER ROLE ${migrations} SET role = ${owner}`,
    `CREATE DATABASE ${name} OWNER ${owner}`,
    `REVOKE ALL ON DATABASE ${name} FROM PUBLIC`,
    `GRANT CONNECT ON DATABASE ${name} TO ${application}, ${migrations}`,
  );
  await server.query(
    name,
    'REVOKE ALL ON SCHEMA public FROM PUBLIC',
    `CREATE SCHEMA orders AUTHORIZATION ${owner}`,
    `GRANT USAGE ON SCHEMA orders TO ${application}`,
    `ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} IN SCHEMA orders
       GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${application}`,
    `ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} IN SCHEMA orders GRANT USAGE, SELECT ON SEQUENCES TO ${application}`,
  );
  return { name, application: settings('application'), migrations: settings('migrations') };
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string>>;

/** A program of the example that is run to its end. */
export async function runProgram(
  program: string,
  args: readonly string[],
  environment: Environment,
): Promise<Finished> {
  const child = start(program, args, environment);
  const timer = setTimeout(() => child.process.kill('SIGKILL'), 30_000);
  const code = await child.exited;
  clearTimeout(timer);
  return { code, stdout: child.stdout(), stderr: child.stderr() };
}

export async function migrate(database: Database, ...args: string[]): Promise<Finished> {
  return await runProgram('migrate.js', args, database.migrations);
}

/** A running service. */
export interface Running {
  readonly url: string;
  readonly client: OrdersClient;
  /** What it logged so far. */
  logs(): string;
  /** Sends the signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** Sends the signal and goes on. */
  signal(signal: NodeJS.Signals): void;
  readonly exited: Promise<number | null>;
}

/** Starts the built service on a free port of the loopback interface. */
export async function startService(environment: Environment): Promise<Running> {
  const defaults = { PORT: '0', HOST: '127.0.0.1', ORDERS_DRAIN_SECONDS: '0' };
  const child = start('main.js', [], { ...defaults, ...environment });
  const url = await new Promise<string>((resolve, reject) => {
    const fail = () => reject(new Error(`the service did not start:\n${child.stdout()}${child.stderr()}`));
    const timer = setTimeout(() => {
      child.process.kill('SIGKILL');
      fail();
    }, START_MS);
    child.process.once('exit', fail);
    child.process.stdout?.on('data', () => {
      const found = /Server listening at (http:[^"]+)"/.exec(child.stdout());
      if (!found?.[1]) return;
      clearTimeout(timer);
      resolve(found[1]);
    });
  });
  return {
    url,
    client: new OrdersClient({ baseUrl: url }),
    logs: () => child.stdout() + child.stderr(),
    exited: child.exited,
    signal: (signal) => child.process.kill(signal),
    stop: async (signal = 'SIGTERM') => {
      child.process.kill(signal);
      return await child.exited;
    },
  };
}

interface Child {
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;
  stdout(): string;
  stderr(): string;
}

/** Nothing of this process's environment but PATH: what a container has as well. */
function start(program: string, args: readonly string[], environment: Environment): Child {
  const child = spawn(process.execPath, ['--enable-source-maps', join(EXAMPLE, 'dist', program), ...args], {
    cwd: '/',
    env: { PATH: process.env.PATH, NODE_ENV: 'production', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return { process: child, exited, stdout: () => stdout, stderr: () => stderr };
}
