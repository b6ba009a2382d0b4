import type { Drop, Operation, OperationKind, OperationStatus, Page, Problem, Step, WantedDatabase } from '../model.ts';
import { CHANNEL, type NewEvent } from './events.ts';
import { encodeCursor } from './identifiers.ts';
import type { Queryable } from './transaction.ts';

/** Name of the task in the queue. */
export const TASK = 'run_operation';

/** What a caller asked for, as it is kept with the operation. */
export interface OperationInput {
  readonly wanted?: WantedDatabase;
  readonly drop?: Drop;
  /** Of a rotation: roles; all when left out. */
  readonly roles?: readonly string[];
  /** Of `plan` and `apply`: what the plan leads to. */
  readonly goal?: 'put' | 'delete';
  /** Of `apply`: hash of the plan. */
  readonly hash?: string;
}

/** An operation as it is stored. */
export interface StoredOperation extends Omit<Operation, 'credentials'> {
  readonly input: OperationInput;
  readonly requestId: string;
  readonly action: string;
  /** `traceparent` of the request. */
  readonly trace: string | null;
  readonly planHash: string | null;
  readonly worker: string | null;
  readonly cancelRequested: boolean;
}

interface OperationRow extends Omit<StoredOperation, 'createdAt' | 'startedAt' | 'finishedAt'> {
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
  credentials: boolean;
}

const COLUMNS = `
  operation.id, operation.kind, operation.environment, operation.database, operation.status, operation.attempt,
  operation.plan_id AS "planId", operation.requested_by AS "requestedBy", operation.created_at AS "createdAt",
  operation.started_at AS "startedAt", operation.finished_at AS "finishedAt", operation.steps, operation.error,
  operation.input, operation.request_id AS "requestId", operation.action, operation.plan_hash AS "planHash",
  operation.trace, operation.worker, operation.cancel_requested AS "cancelRequested",
  EXISTS (SELECT FROM development_operations.waiting_credentials AS waiting
          WHERE waiting.operation_id = operation.id AND waiting.expires_at > now()) AS credentials`;

function fromRow(row: OperationRow): StoredOperation & Operation {
  return {
    ...row,
    createdAt: row.createdAt.toISOString(),
    startedAt: row.startedAt?.toISOString() ?? null,
    finishedAt: row.finishedAt?.toISOString() ?? null,
  };
}

/** What a caller may see of a stored operation. */
export function publicOperation(stored: StoredOperation & Operation): Operation {
  const { input: _input, requestId: _requestId, action: _action, planHash: _hash, ...rest } = stored;
  const { trace: _trace, worker: _worker, cancelRequested: _cancel, ...operation } = rest;
  return operation;
}

export interface NewOperation {
  readonly id: string;
  readonly kind: OperationKind;
  readonly environment: string;
  readonly database: string;
  readonly planId: string | null;
  readonly planHash: string | null;
  readonly input: OperationInput;
  readonly requestedBy: string;
  readonly requestId: string;
  readonly action: string;
  readonly trace: string | null;
}

/**
 * Adds an operation, its job, its first event, its entry in the audit log, and notes it with its database (a plan is no
 * request for one): one statement, all or nothing.
 */
export async function addOperation(client: Queryable, operation: NewOperation): Promise<Operation> {
  const { rows } = await client.query<OperationRow>(
    `WITH operation AS (
       INSERT INTO development_operations.operations
         (id, kind, environment, database, plan_id, plan_hash, input, requested_by, request_id, action, trace, last_sequence)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $14, 1) RETURNING *
     ), event AS (
       INSERT INTO development_operations.operation_events (operation_id, sequence, type, data)
       SELECT id, 1, 'status', '{"status": "queued", "attempt": 0}' FROM operation
     ), audit AS (
       INSERT INTO development_operations.audit
         (caller, action, environment, database, operation_id, plan_hash, result, request_id)
       SELECT requested_by, action, environment, database, id, plan_hash, 'accepted', request_id FROM operation
     ), noted AS (
       INSERT INTO development_operations.databases AS known (environment, name, status, last_operation_id)
       SELECT environment, database, 'creating', id FROM operation WHERE kind <> 'plan'
       ON CONFLICT (environment, name) DO UPDATE SET last_operation_id = excluded.last_operation_id,
         updated_at = now(), status = CASE known.status WHEN 'deleted' THEN 'creating' ELSE known.status END
     )
     SELECT ${COLUMNS}, (graphile_worker.add_job($11, payload => $12::json, queue_name => $13,
       max_attempts => 32767, job_key => $1::uuid::text)).id AS "jobId"
     FROM operation`,
    [
      operation.id,
      operation.kind,
      operation.environment,
      operation.database,
      operation.planId,
      operation.planHash,
      JSON.stringify(operation.input),
      operation.requestedBy,
      operation.requestId,
      operation.action,
      TASK,
      ...job(operation),
      operation.trace,
    ],
  );
  const { jobId: _job, ...row } = rows[0] as OperationRow & { jobId: string };
  return publicOperation(fromRow(row));
}

/** Payload and queue: the name of the database's own, so that one runs at a time. */
function job({ id, environment, database }: { id: string; environment: string; database: string }): [string, string] {
  return [JSON.stringify({ id, environment, database }), `${environment}/${database}`];
}

/**
 * Puts an operation into the queue of its database. A job is a turn: it is used for the operation that is the oldest
 * when it comes, so that there are never fewer turns than operations. Its key makes it the only one that waits; when another holds
 * the key and is running, that one loses it and goes on.
 *
 * @param delay milliseconds before it may begin.
 */
export async function enqueue(
  client: Queryable,
  operation: { id: string; environment: string; database: string },
  delay = 0,
): Promise<void> {
  await client.query(
    `SELECT graphile_worker.add_job($1, payload => $2::json, queue_name => $3, max_attempts => 32767,
       job_key => $4, run_at => now() + $5 * interval '1 millisecond')`,
    [TASK, ...job(operation), operation.id, delay],
  );
}

export async function readOperation(
  client: Queryable,
  id: string,
  lock = false,
): Promise<(StoredOperation & Operation) | undefined> {
  const text = `SELECT ${COLUMNS} FROM development_operations.operations AS operation WHERE id = $1`;
  const { rows } = await client.query<OperationRow>(
    lock
      ? { name: 'lock_operation', text: `${text} FOR UPDATE OF operation`, values: [id] }
      : { name: 'read_operation', text, values: [id] },
  );
  return rows[0] && fromRow(rows[0]);
}

/** Newest first. */
export async function listOperations(
  client: Queryable,
  filter: { readonly environments: readonly string[]; readonly status?: OperationStatus; readonly database?: string },
  limit: number,
  before: string | undefined,
): Promise<Page<Operation>> {
  const { rows } = await client.query<OperationRow>({
    name: 'list_operations',
    text: `SELECT ${COLUMNS} FROM development_operations.operations AS operation
     WHERE environment = ANY ($1) AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR database = $3)
       AND ($4::uuid IS NULL OR id < $4)
     ORDER BY operation.id DESC LIMIT $5`,
    values: [filter.environments, filter.status ?? null, filter.database ?? null, before ?? null, limit + 1],
  });
  const items = rows.slice(0, limit).map((row) => publicOperation(fromRow(row)));
  const last = items.at(-1);
  return { items, next: rows.length > limit && last ? encodeCursor(last.id) : null };
}

/** How many operations wait to be begun, on all replicas together. */
export async function countQueued(client: Queryable): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM development_operations.operations WHERE status = 'queued'",
  );
  return rows[0]?.count ?? 0;
}

/**
 * Begins another attempt at the oldest request for a database, whoever's job it is that `worker` runs: one that was
 * interrupted, and comes back to the queue after younger ones, goes first. To be called under the database's lock. The
 * attempt's number is what later writes are fenced with.
 *
 * @returns undefined when nothing waits; `interrupted` when an attempt before ended without a word.
 */
export async function beginAttempt(
  client: Queryable,
  { environment, database }: { environment: string; database: string },
  worker: string,
): Promise<(StoredOperation & { readonly interrupted: boolean }) | undefined> {
  const { rows } = await client.query<OperationRow & { interrupted: boolean }>(
    `WITH before AS (
       SELECT id AS before_id, status AS before_status FROM development_operations.operations
       WHERE environment = $1 AND database = $2 AND status IN ('queued', 'running')
       ORDER BY queued_at, id LIMIT 1 FOR UPDATE
     ), operation AS (
       UPDATE development_operations.operations
       SET status = 'running', worker = $3, attempt = attempt + 1, started_at = coalesce(started_at, now()),
         last_sequence = last_sequence + 1
       FROM before WHERE id = before_id RETURNING operations.*, before_status
     ), event AS (
       INSERT INTO development_operations.operation_events (operation_id, sequence, type, data)
       SELECT id, last_sequence, 'status', jsonb_build_object('status', status, 'attempt', attempt) FROM operation
     )
     SELECT ${COLUMNS}, before_status = 'running' AS interrupted,
       pg_notify($4, json_build_object('type', 'event', 'id', id)::text)
     FROM operation`,
    [environment, database, worker, CHANNEL],
  );
  const row = rows[0];
  return row && { ...fromRow(row), interrupted: row.interrupted };
}

/**
 * Ends an attempt, with its last events and its entry in the audit log.
 *
 * @returns false when another one has begun, or the operation ended: then nothing was written.
 */
export async function endOperation(
  client: Queryable,
  { id, attempt }: { id: string; attempt: number },
  outcome: { readonly status: OperationStatus; readonly steps: readonly Step[]; readonly error: Problem | null },
  further: readonly NewEvent[] = [],
): Promise<boolean> {
  const events: NewEvent[] = [...further, { type: 'status', data: { status: outcome.status, attempt } }];
  const { rowCount } = await client.query(
    `WITH operation AS (
       UPDATE development_operations.operations SET status = $3, steps = $4, error = $5, finished_at = now(),
         worker = NULL, last_sequence = last_sequence + cardinality($6::text[])
       WHERE id = $1 AND attempt = $2 AND status IN ('queued', 'running') RETURNING *
     ), event AS (
       INSERT INTO development_operations.operation_events (operation_id, sequence, type, data)
       SELECT id, last_sequence - cardinality($6::text[]) + number, type, data
       FROM operation, unnest($6::text[], $7::jsonb[]) WITH ORDINALITY AS new (type, data, number)
     ), audit AS (
       INSERT INTO development_operations.audit
         (caller, action, environment, database, operation_id, plan_hash, result, request_id)
       SELECT requested_by, action, environment, database, id, plan_hash, status, request_id FROM operation
     )
     SELECT pg_notify($8, $9) FROM operation`,
    [
      id,
      attempt,
      outcome.status,
      JSON.stringify(outcome.steps),
      outcome.error && JSON.stringify(outcome.error),
      events.map(({ type }) => type),
      events.map(({ data }) => JSON.stringify(data)),
      CHANNEL,
      JSON.stringify({ type: 'event', id }),
    ],
  );
  return rowCount === 1;
}

/** Gives an attempt back to the queue; false when another one has begun, or the operation ended. */
export async function handBack(
  client: Queryable,
  operation: { id: string; attempt: number; environment: string; database: string },
  delay: number,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE development_operations.operations SET status = 'queued', worker = NULL
     WHERE id = $1 AND attempt = $2 AND status = 'running'`,
    [operation.id, operation.attempt],
  );
  if (rowCount === 1) await enqueue(client, operation, delay);
  return rowCount === 1;
}

export async function reopen(client: Queryable, id: string): Promise<void> {
  await client.query(
    `UPDATE development_operations.operations SET status = 'queued', queued_at = now(), error = NULL, finished_at = NULL, steps = '[]',
       cancel_requested = false, worker = NULL WHERE id = $1`,
    [id],
  );
}

/** Asks the replica that runs the operation to end it. */
export async function requestCancel(client: Queryable, id: string): Promise<void> {
  await client.query('UPDATE development_operations.operations SET cancel_requested = true WHERE id = $1', [id]);
  await client.query('SELECT pg_notify($1, $2)', [CHANNEL, JSON.stringify({ type: 'cancel', id })]);
}

/** Those of the operations that shall be canceled. */
export async function cancelRequests(client: Queryable, ids: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    'SELECT id FROM development_operations.operations WHERE id = ANY ($1) AND cancel_requested',
    [ids],
  );
  return rows.map(({ id }) => id);
}
