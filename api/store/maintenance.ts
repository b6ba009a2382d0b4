import type pg from 'pg';
import { enqueue } from './operations.ts';
import { type Queryable, transaction } from './transaction.ts';

/**
 * Key of the advisory lock that the worker `$1` of the queue holds while its replica lives; `database:` for the lock of
 * a run.
 */
export const LOCK_KEY = 'hashtextextended($1, 0)';

/**
 * Gives out again what dead replicas held. A worker whose advisory lock is free is dead: the lock goes with the
 * replica's connection, no clock decides. What is unlocked stays locked for other replicas until the end of the
 * transaction.
 *
 * @returns ids of the operations that a dead replica was running.
 */
export async function releaseDead(pool: pg.Pool): Promise<string[]> {
  return await transaction(pool, async (client) => {
    const { rows } = await client.query<{ worker: string }>(
      `SELECT worker FROM (
         SELECT locked_by AS worker FROM graphile_worker._private_jobs WHERE locked_by IS NOT NULL
         UNION SELECT locked_by FROM graphile_worker._private_job_queues WHERE locked_by IS NOT NULL
         UNION SELECT worker FROM development_operations.operations WHERE status = 'running' AND worker IS NOT NULL
       ) AS holders WHERE pg_try_advisory_xact_lock(hashtextextended('worker:' || worker, 0))`,
    );
    if (rows.length === 0) return [];
    const dead = rows.map(({ worker }) => worker);
    await client.query('SELECT graphile_worker.force_unlock_workers($1)', [dead]);
    // `running` stays: whoever takes it next knows that the attempt before ended without a word.
    const interrupted = await client.query<{ id: string; environment: string; database: string }>(
      `UPDATE development_operations.operations SET worker = NULL WHERE status = 'running' AND worker = ANY ($1)
       RETURNING id, environment, database`,
      [dead],
    );
    for (const operation of interrupted.rows) await enqueue(client, operation);
    return interrupted.rows.map(({ id }) => id);
  });
}

/**
 * Unlocks jobs that one of our own living workers is said to hold but does not run: the answer that gave it the job was
 * lost with a connection.
 */
export async function releaseLost(client: Queryable, jobs: readonly string[]): Promise<void> {
  await client.query(
    `WITH job AS (
       UPDATE graphile_worker._private_jobs SET locked_at = NULL, locked_by = NULL WHERE id = ANY ($1::bigint[])
       RETURNING job_queue_id
     )
     UPDATE graphile_worker._private_job_queues AS queue SET locked_at = NULL, locked_by = NULL
     FROM job WHERE queue.id = job.job_queue_id`,
    [jobs],
  );
}

/** Jobs that the queue says `workers` hold. */
export async function lockedJobs(client: Queryable, workers: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    'SELECT id::text FROM graphile_worker._private_jobs WHERE locked_by = ANY ($1)',
    [workers],
  );
  return rows.map(({ id }) => id);
}

/**
 * Gives a job to every operation that waits without one, or whose job the queue puts off: it doubles the pause with every
 * failure, up to hours.
 */
export async function enqueueForgotten(pool: pg.Pool): Promise<string[]> {
  return await transaction(pool, async (client) => {
    const { rows } = await client.query<{ id: string; environment: string; database: string }>(
      `SELECT id, environment, database FROM development_operations.operations AS operation
       WHERE (status = 'queued' OR (status = 'running' AND worker IS NULL))
         AND NOT EXISTS (SELECT FROM graphile_worker._private_jobs WHERE key = operation.id::text
                         AND (locked_by IS NOT NULL OR run_at < now() + interval '15 seconds'))
       FOR UPDATE SKIP LOCKED`,
    );
    for (const operation of rows) await enqueue(client, operation);
    return rows.map(({ id }) => id);
  });
}

/** Removes what nobody needs any more: events and idempotency keys after 24 hours, credentials that expired. */
export async function cleanUp(client: Queryable): Promise<void> {
  await client.query(
    `DELETE FROM development_operations.operation_events AS event
     USING development_operations.operations AS operation
     WHERE operation.id = event.operation_id AND operation.status NOT IN ('queued', 'running')
       AND operation.finished_at < now() - interval '24 hours'`,
  );
  await client.query(`DELETE FROM development_operations.idempotency_keys WHERE at < now() - interval '24 hours'`);
  await client.query('DELETE FROM development_operations.waiting_credentials WHERE expires_at < now()');
}
