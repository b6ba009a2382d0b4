import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { isNodeOwner, NODE_ADDRESS, POD_CIDR, POSTGRES_ADMIN, POSTGRES_PORT } from './facts.ts';
import { issue } from './pki.ts';
import { assertPortFree } from './ports.ts';
import { ensureBinaries } from './postgres/binaries.ts';
import { asPostgres, ensureUser, type PostgresUser, removeUser } from './postgres/user.ts';
import { isRunning, logFilePath, processStartTime, startProcess, stopProcess, waitFor } from './process.ts';
import { run } from './run.ts';
import { secret, secretPath } from './secrets.ts';
import { type Context, type Health, LocalError, type Service } from './service.ts';

const NAME = 'postgres';

/** Where the server listens: pods reach the node's address, the Pulumi program loopback. */
function listenAddresses(): string[] {
  return isNodeOwner() ? ['127.0.0.1', NODE_ADDRESS] : ['127.0.0.1'];
}

function dataDirectory(ctx: Context): string {
  return join(ctx.directory, 'data', NAME);
}

/** SQLSTATE invalid_password (PostgreSQL documentation, appendix A). */
const INVALID_PASSWORD = '28P01';

interface Answer extends Health {
  /** The server runs, but with another password than the one in `.local/secrets`. */
  readonly refused: boolean;
}

async function ask(ctx: Context): Promise<Answer> {
  const caFile = join(ctx.directory, 'tls', 'ca.crt');
  if (!existsSync(caFile)) return { healthy: false, refused: false, detail: 'was never started' };
  const client = new pg.Client({
    host: '127.0.0.1',
    port: POSTGRES_PORT,
    user: POSTGRES_ADMIN,
    password: secret(ctx, 'postgres-password'),
    database: 'postgres',
    ssl: { ca: readFileSync(caFile, 'utf8') },
    connectionTimeoutMillis: 3000,
    query_timeout: 3000,
  });
  // A connection that is reset later must not end this process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const result = await client.query<{ server: string; tls: string | null }>(
      "select current_setting('server_version') as server, (select version from pg_stat_ssl where pid = pg_backend_pid()) as tls",
    );
    const row = result.rows[0];
    return { healthy: true, refused: false, detail: `PostgreSQL ${row?.server}, ${row?.tls ?? 'no TLS'}` };
  } catch (error) {
    const refused = (error as { code?: unknown }).code === INVALID_PASSWORD;
    return { healthy: false, refused, detail: error instanceof Error ? error.message : 'does not answer' };
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function health(ctx: Context): Promise<Health> {
  try {
    const { healthy, detail } = await ask(ctx);
    return { healthy, detail };
  } catch (error) {
    // The password was lost.
    return { healthy: false, detail: error instanceof Error ? error.message : 'unknown' };
  }
}

/** Key and certificate where the server's user can read them; the server insists on mode 0600 (ssl_key_file). */
async function writeTls(ctx: Context, user: PostgresUser): Promise<void> {
  const files = await issue(ctx, {
    name: NAME,
    commonName: NAME,
    sans: ['localhost', ...listenAddresses()],
    usages: ['server'],
  });
  const directory = join(dataDirectory(ctx), 'tls');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  own(directory, user);
  for (const [name, source] of [
    ['server.crt', files.certFile],
    ['server.key', files.keyFile],
  ] as const) {
    const path = join(directory, name);
    rmSync(path, { force: true });
    writeFileSync(path, readFileSync(source), { mode: 0o600 });
    own(path, user);
  }
}

function own(path: string, user: PostgresUser): void {
  if (isNodeOwner()) chownSync(path, user.uid, user.gid);
}

/** Settings live in one file of ours, which initdb's postgresql.conf includes. */
function settings(visible: string): string {
  return [
    `listen_addresses = '${listenAddresses().join(',')}'`,
    `port = ${POSTGRES_PORT}`,
    "unix_socket_directories = ''",
    'max_connections = 200',
    "password_encryption = 'scram-sha-256'",
    'ssl = on',
    "ssl_min_protocol_version = 'TLSv1.2'",
    `ssl_cert_file = '${visible}/tls/server.crt'`,
    `ssl_key_file = '${visible}/tls/server.key'`,
    "timezone = 'UTC'",
    "log_timezone = 'UTC'",
    // A failing CREATE ROLE … PASSWORD would otherwise write the password into the log.
    "log_min_error_statement = 'panic'",
    '',
  ].join('\n');
}

/** hostssl only: a connection without TLS matches no line and is refused (pg_hba.conf, PostgreSQL documentation 20.1). */
function hostBasedAuthentication(): string {
  const networks = ['127.0.0.1/32', ...(isNodeOwner() ? [`${NODE_ADDRESS}/32`, POD_CIDR] : [])];
  return `${networks.map((network) => `hostssl all all ${network} scram-sha-256`).join('\n')}\n`;
}

async function initialise(ctx: Context, user: PostgresUser, binaries: string): Promise<void> {
  const directory = dataDirectory(ctx);
  const cluster = join(directory, 'cluster');
  const marker = join(directory, 'initialised');
  if (existsSync(marker) && existsSync(join(cluster, 'PG_VERSION'))) return;
  // Without the marker initdb was killed half way: there is nothing in it yet.
  rmSync(cluster, { recursive: true, force: true });
  const passwordFile = join(directory, 'password');
  writeFileSync(passwordFile, secret(ctx, 'postgres-password'), { mode: 0o600 });
  own(passwordFile, user);
  try {
    await ctx.progress.step('postgres: making the cluster (initdb)', async () => {
      const command = asPostgres(user, { data: directory, binaries }, (paths) => [
        join(paths.binaries, 'bin', 'initdb'),
        '--pgdata',
        join(paths.data, 'cluster'),
        '--username',
        POSTGRES_ADMIN,
        '--pwfile',
        join(paths.data, 'password'),
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        // PostgreSQL's own locale: the same order on every machine.
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
      ]);
      await run(command.command, command.args, { env: command.env, cwd: '/', timeoutMs: 120_000 });
    });
  } finally {
    rmSync(passwordFile, { force: true });
  }
  writeFileSync(marker, '');
}

function configure(ctx: Context, user: PostgresUser, visible: string): void {
  const cluster = join(dataDirectory(ctx), 'cluster');
  const main = join(cluster, 'postgresql.conf');
  const include = "include = 'development-operations.conf'\n";
  const text = readFileSync(main, 'utf8');
  if (!text.endsWith(include)) writeFileSync(main, `${text}${include}`);
  for (const [name, content] of [
    ['development-operations.conf', settings(visible)],
    ['pg_hba.conf', hostBasedAuthentication()],
  ] as const) {
    writeFileSync(join(cluster, name), content, { mode: 0o600 });
    own(join(cluster, name), user);
  }
}

/** After kill -9 the pid in postmaster.pid may by now be another program's; the server then refuses to start. */
function removeStalePidFile(ctx: Context): void {
  const path = join(dataDirectory(ctx), 'cluster', 'postmaster.pid');
  if (!existsSync(path)) return;
  const pid = Number(readFileSync(path, 'utf8').split('\n')[0]);
  let command = '';
  try {
    command = processStartTime(pid) === undefined ? '' : readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    // Ended meanwhile.
  }
  if (command !== 'postgres') rmSync(path, { force: true });
}

async function start(ctx: Context): Promise<void> {
  // Before anything else: lost while the server runs it is lost as well.
  secret(ctx, 'postgres-password');
  if (isRunning(ctx, NAME) && (await health(ctx)).healthy) return;
  await stopProcess(ctx, NAME, 30_000, 'SIGINT');
  assertPortFree(POSTGRES_PORT, NAME);
  const directory = dataDirectory(ctx);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const binaries = await ensureBinaries(ctx);
  const user = await ensureUser();
  if (isNodeOwner() && statSync(directory).uid !== user.uid) {
    // New, or the user was removed and made again with another number.
    await run('chown', ['-R', `${user.uid}:${user.gid}`, directory]);
  }
  await writeTls(ctx, user);
  await initialise(ctx, user, binaries);
  const command = asPostgres(user, { data: directory, binaries }, (paths) => {
    configure(ctx, user, paths.data);
    return [join(paths.binaries, 'bin', 'postgres'), '-D', join(paths.data, 'cluster')];
  });
  removeStalePidFile(ctx);
  await startProcess(ctx, { name: NAME, ...command, cwd: '/' });
  let refused = false;
  await waitFor(
    async () => {
      const answer = await ask(ctx);
      refused = answer.refused;
      // Waiting longer would change nothing.
      return refused ? true : answer;
    },
    { timeoutMs: 60_000, what: NAME, logFile: logFilePath(ctx, NAME), alive: () => isRunning(ctx, NAME) },
  );
  if (refused) {
    throw new LocalError(
      `PostgreSQL does not accept the password in ${secretPath(ctx, 'postgres-password')}: the databases were made with ` +
        'another; put that back, or remove the environment with its data and start afresh: npm run clean && npm run up',
    );
  }
}

/** PostgreSQL with TLS and SCRAM, on loopback and on the node's address. */
export const postgres: Service = {
  name: NAME,
  url: `postgresql://127.0.0.1:${POSTGRES_PORT}`,
  dependsOn: isNodeOwner() ? ['network'] : [],
  health,
  start,
  // SIGINT is a fast shutdown: sessions are ended, data is written (PostgreSQL documentation 18.5).
  stop: (ctx) => stopProcess(ctx, NAME, 30_000, 'SIGINT'),
  clean: async () => removeUser(),
};
