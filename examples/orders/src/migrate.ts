import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runner } from 'node-pg-migrate';
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
    // Waiting for a lock blocks all who come later, so a migration gives up and is tried again.
    lock_timeout: 10_000,
    statement_timeout: 240_000,
  });
  // Without a listener a connection that breaks ends the process without a word.
  client.on('error', (error) => process.stderr.write(`the connection was lost: ${error.message}\n`));
  try {
    await client.connect();
    await requireSchema(client);
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

async function requireSchema(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ usable: boolean; role: string }>(
    `SELECT current_user AS role, has_schema_privilege(oid, 'CREATE') AS usable FROM pg_namespace WHERE nspname = $1`,
    [SCHEMA],
  );
  const found = rows[0];
  if (!found) throw new Error(`there is no schema "${SCHEMA}" in database "${client.database}": create it first`);
  if (!found.usable) throw new Error(`role "${found.role}" may not create in schema "${SCHEMA}": grant it CREATE`);
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
    advisoryLockMode: 'wait',
    // What it says on the way is repeated by what is printed at the end; only warnings and errors are of use.
    logger: { debug: () => {}, info: () => {}, warn: report, error: report },
  });
}

main().catch((error: unknown) => {
  const code = error instanceof pg.DatabaseError && error.code ? ` (SQLSTATE ${error.code})` : '';
  process.stderr.write(`the migrations failed: ${describeError(error)}${code}\n`);
  process.exitCode = 1;
});
