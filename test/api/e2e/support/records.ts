/** The service's own records, read past the service. */

import { apiPods } from './cluster.ts';
import { kubectl, query } from './local.ts';

let found: Promise<string> | undefined;

/** Name of the database with the service's records, queue and state. */
export async function recordsDatabase(): Promise<string> {
  found ??= (async () => {
    const [pod = ''] = await apiPods();
    return (await kubectl(['exec', pod, '--', 'node', '-p', 'process.env.PGDATABASE'])).trim();
  })();
  return await found;
}

export interface OperationRow {
  readonly id: string;
  readonly kind: string;
  readonly database: string;
  readonly status: string;
  readonly attempt: number;
  readonly finished: boolean;
}

/** The operations with these ids, as they are stored. */
export async function operationsOf(ids: readonly string[]): Promise<OperationRow[]> {
  return await query<OperationRow>(
    `SELECT id, kind, database, status, attempt, status NOT IN ('queued', 'running') AS finished
     FROM development_operations.operations WHERE id = ANY ($1::uuid[])`,
    [ids],
    await recordsDatabase(),
  );
}

export interface Leftovers {
  /** Jobs of the queue. */
  readonly jobs: readonly string[];
  /** Locks of the engine on stacks. */
  readonly locks: readonly string[];
  /** Operations that have not ended. */
  readonly running: readonly string[];
}

/** What is there only while something is being done with databases whose names begin so. */
export async function leftovers(prefix: string): Promise<Leftovers> {
  const database = await recordsDatabase();
  const list = async (text: string) =>
    (await query<{ line: string }>(text, [prefix], database)).map(({ line }) => line);
  return {
    jobs: await list(
      `SELECT concat_ws(' ', task_identifier, key, locked_by, last_error) AS line FROM graphile_worker.jobs
       WHERE NOT EXISTS (
         SELECT FROM development_operations.operations WHERE id::text = key AND NOT starts_with(database, $1))`,
    ),
    locks: await list(
      "SELECT key AS line FROM public.pulumi_state WHERE key LIKE '%/.pulumi/locks/%' AND position('.' || $1 in key) > 0",
    ),
    running: await list(
      `SELECT concat_ws(' ', kind, database, status) AS line FROM development_operations.operations
       WHERE status IN ('queued', 'running') AND starts_with(database, $1)`,
    ),
  };
}
