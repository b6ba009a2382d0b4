import type { DatabaseRecord, DatabaseStatus, Page, Step, WantedDatabase } from '../model.ts';
import { encodeCursor } from './identifiers.ts';
import type { Queryable } from './transaction.ts';

/** A database as it is stored. */
export interface StoredDatabase extends DatabaseRecord {
  /** What was last begun to be applied, and by which operation. */
  readonly attempted: WantedDatabase | null;
  readonly attemptedBy: string | null;
  readonly dirty: boolean;
  readonly checkedNames: readonly string[];
  readonly rotations: Readonly<Record<string, string>>;
}

interface DatabaseRow extends Omit<StoredDatabase, 'createdAt' | 'updatedAt'> {
  createdAt: Date;
  updatedAt: Date;
}

const COLUMNS = `
  environment, name, status, applied, attempted, attempted_by AS "attemptedBy", dirty,
  checked_names AS "checkedNames", rotations, drift, created_at AS "createdAt", updated_at AS "updatedAt",
  last_operation_id AS "lastOperationId"`;

function fromRow(row: DatabaseRow): StoredDatabase {
  return { ...row, createdAt: row.createdAt.toISOString(), updatedAt: row.updatedAt.toISOString() };
}

export function publicDatabase(stored: StoredDatabase): DatabaseRecord {
  const { attempted: _attempted, attemptedBy: _by, dirty: _dirty, ...rest } = stored;
  const { checkedNames: _names, rotations: _rotations, ...record } = rest;
  return record;
}

export async function readDatabase(
  client: Queryable,
  environment: string,
  name: string,
): Promise<StoredDatabase | undefined> {
  const { rows } = await client.query<DatabaseRow>({
    name: 'read_database',
    text: `SELECT ${COLUMNS} FROM development_operations.databases WHERE environment = $1 AND name = $2`,
    values: [environment, name],
  });
  return rows[0] && fromRow(rows[0]);
}

/** In the order of environment and name; deleted ones only when they are asked for. */
export async function listDatabases(
  client: Queryable,
  filter: { readonly environments: readonly string[]; readonly status?: DatabaseStatus; readonly prefix?: string },
  limit: number,
  after: readonly [string, string] | undefined,
): Promise<Page<DatabaseRecord>> {
  const { rows } = await client.query<DatabaseRow>({
    name: 'list_databases',
    text: `SELECT ${COLUMNS} FROM development_operations.databases
     WHERE environment = ANY ($1)
       AND CASE WHEN $2::text IS NULL THEN status <> 'deleted' ELSE status = $2 END
       AND ($3::text IS NULL OR starts_with(name, $3))
       AND ($4::text IS NULL OR (environment, name) > ($4, $5))
     ORDER BY environment, name LIMIT $6`,
    values: [
      filter.environments,
      filter.status ?? null,
      filter.prefix ?? null,
      after?.[0] ?? null,
      after?.[1] ?? null,
      limit + 1,
    ],
  });
  const items = rows.slice(0, limit).map((row) => publicDatabase(fromRow(row)));
  const last = items.at(-1);
  const next = rows.length > limit && last ? encodeCursor(JSON.stringify([last.environment, last.name])) : null;
  return { items, next };
}

/** Notes the newest request; makes the record of a database that is to be. */
export async function noteRequest(
  client: Queryable,
  environment: string,
  name: string,
  operationId: string,
): Promise<void> {
  await client.query(
    `INSERT INTO development_operations.databases AS known (environment, name, status, last_operation_id)
     VALUES ($1, $2, 'creating', $3)
     ON CONFLICT (environment, name) DO UPDATE SET last_operation_id = excluded.last_operation_id, updated_at = now(),
       status = CASE known.status WHEN 'deleted' THEN 'creating' ELSE known.status END`,
    [environment, name, operationId],
  );
}

export async function noteChecked(
  client: Queryable,
  environment: string,
  name: string,
  names: readonly string[],
): Promise<void> {
  await client.query(
    `UPDATE development_operations.databases SET checked_names = checked_names || $3::text[]
     WHERE environment = $1 AND name = $2`,
    [environment, name, names],
  );
}

/** Says before the first change what is about to be changed: whoever comes after a crash knows what to look for. */
export async function beginChange(
  client: Queryable,
  environment: string,
  name: string,
  change: {
    readonly operationId: string;
    readonly status: DatabaseStatus;
    readonly attempted: WantedDatabase;
    readonly rotations: Readonly<Record<string, string>>;
  },
): Promise<void> {
  await client.query(
    `UPDATE development_operations.databases SET dirty = true, status = $3, attempted = $4, attempted_by = $5,
       rotations = $6, updated_at = now() WHERE environment = $1 AND name = $2`,
    [
      environment,
      name,
      change.status,
      JSON.stringify(change.attempted),
      change.operationId,
      JSON.stringify(change.rotations),
    ],
  );
}

export async function markApplied(
  client: Queryable,
  environment: string,
  name: string,
  applied: WantedDatabase,
  checkedNames: readonly string[],
): Promise<void> {
  await client.query(
    `UPDATE development_operations.databases SET dirty = false, status = 'ready', applied = $3, attempted = $3,
       checked_names = $4, drift = NULL, updated_at = now() WHERE environment = $1 AND name = $2`,
    [environment, name, JSON.stringify(applied), checkedNames],
  );
}

export async function markDeleted(client: Queryable, environment: string, name: string): Promise<void> {
  await client.query(
    `UPDATE development_operations.databases SET dirty = false, status = 'deleted', applied = NULL, attempted = NULL,
       attempted_by = NULL, checked_names = '{}', rotations = '{}', drift = NULL, updated_at = now()
     WHERE environment = $1 AND name = $2`,
    [environment, name],
  );
}

export async function recordDrift(
  client: Queryable,
  environment: string,
  name: string,
  steps: readonly Step[],
): Promise<void> {
  await client.query(
    `UPDATE development_operations.databases SET drift = $3, updated_at = now() WHERE environment = $1 AND name = $2`,
    [environment, name, JSON.stringify({ at: new Date().toISOString(), steps })],
  );
}

/** A database of which nothing was ever made is gone with the request for it, unless a newer request waits. */
export async function forgetUnmade(
  client: Queryable,
  environment: string,
  name: string,
  operationId: string,
): Promise<void> {
  await client.query(
    `UPDATE development_operations.databases SET status = 'deleted', updated_at = now()
     WHERE environment = $1 AND name = $2 AND attempted IS NULL AND applied IS NULL AND last_operation_id = $3`,
    [environment, name, operationId],
  );
}

/**
 * The status after a change that did not succeed: `failed` when something was begun, else what it was. What was never
 * made is gone with the canceled request for it, unless a newer request waits.
 */
export async function settleDatabase(
  client: Queryable,
  environment: string,
  name: string,
  operation: { readonly id: string; readonly canceled: boolean },
): Promise<void> {
  await client.query(
    `UPDATE development_operations.databases SET updated_at = now(), status = CASE
         WHEN status = 'deleted' THEN status
         WHEN dirty THEN 'failed'
         WHEN applied IS NOT NULL THEN 'ready'
         WHEN last_operation_id <> $3 THEN status
         WHEN $4 THEN 'deleted'
         ELSE 'failed' END
     WHERE environment = $1 AND name = $2`,
    [environment, name, operation.id, operation.canceled],
  );
}
