import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { PG_MIGRATE_LOCK_ID, runner } from 'node-pg-migrate';
import pg from 'pg';
import { connectionConfig } from './database.ts';
import { describeError } from './log.ts';

const SCHEMA = 'orders';
const MIGRATIONS = resolve(import.meta.dirname, '../migrations');
const USAGE = 'usage: migrate [up | down] [--directory <folder>]';

/**
 * Brings the schema up to date, or takes back the last migration (`down`).
 *
 * Runs in one transaction under an advisory lock: a migration that fails leaves everything as it was, and a second
 * run waits for the first. The schema itself belongs to the infrastructure and must exist.
 */
async function main(): Promise<void> {
  const { direction, directory } = readArguments();
  const client = new pg.Client({
    ...connectionConfig(process.env, 'orders-migrations'),
    statement_timeout: 240_000,
  });
  // Without a listener a connection that breaks ends the process without a word.
  client.on('error', (error) => process.stderr.write(`the connection was lost: ${error.message}\n`));
  try {
    await connect(client);
    await requireSchema(client);
    await waitForTurn(client);
    const done = await migrate(client, direction, directory);
    for (const { name } of done) process.stdout.write(`${direction} ${name}\n`);
    if (done.length === 0) process.stdout.write('nothing to do: the schema is up to date\n');
  } finally {
    await client.end().catch(() => {});
  }
}

function readArguments(): { direction: 'up' | 'down'; directory: string } {
  const options = { directory: { type: 'string', default: MIGRATIONS } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const direction = positionals[0] ?? 'up';
  if ((direction !== 'up' && direction !== 'down') || positionals.length > 1) throw new Error(USAGE);
  return { direction, directory: values.directory };
}

async function connect(client: pg.Client): Promise<void> {
  try {
    await client.connect();
  } catch (error) {
    const place = `database "${client.database}" at ${client.host}:${client.port} as "${client.user}"`;
    throw new Error(`cannot connect to ${place}: ${describeError(error)}`, { cause: error });
  }
}

async function requireSchema(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ usable: boolean; role: string }>(
    `SELECT current_user AS role, has_schema_privilege(oid, 'CREATE') AS usable FROM pg_namespace WHERE nspname = $1`,
    [SCHEMA],
  );
  const found = rows[0];
  if (!found) throw new Error(`there is no schema "${SCHEMA}" in database "${client.database}": create it first`);
  if (!found.usable) throw new Error(`role "${found.role}" may not create in schema "${SCHEMA}": grant it CREATE`);
}

/** The runner's own lock, taken before a time limit on locks is set: that limit is for tables only. */
async function waitForTurn(client: pg.Client): Promise<void> {
  await client.query('SELECT pg_advisory_lock($1)', [PG_MIGRATE_LOCK_ID]);
  // Who waits for a table's lock blocks all who come later, so a migration gives up and is tried again.
  await client.query(`SET lock_timeout = '10s'`);
}

async function migrate(client: pg.Client, direction: 'up' | 'down', directory: string) {
  const report = (text: string) => process.stderr.write(`${text.trim()}\n`);
  return await runner({
    dbClient: client,
    dir: directory,
    direction,
    schema: SCHEMA,
    migrationsTable: 'schema_migrations',
    singleTransaction: true,
    // It takes the lock that this session has already, and is given it.
    advisoryLockMode: 'fail',
    // What it says on the way is repeated by what is printed at the end; only warnings and errors are of use.
    logger: { debug: () => {}, info: () => {}, warn: report, error: report },
  });
}

main().catch((error: unknown) => {
  const reason = error instanceof Error && error.cause ? error.cause : error;
  const code = reason instanceof pg.DatabaseError && reason.code ? ` (SQLSTATE ${reason.code})` : '';
  process.stderr.write(`the migrations failed: ${describeError(error)}${code}\n`);
  process.exitCode = 1;
});
