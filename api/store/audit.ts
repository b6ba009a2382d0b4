import type { AuditEntry, Page } from '../model.ts';
import { encodeCursor } from './identifiers.ts';
import type { Queryable } from './transaction.ts';

export async function addAudit(client: Queryable, entry: Omit<AuditEntry, 'id' | 'at'>): Promise<void> {
  await client.query(
    `INSERT INTO development_operations.audit
       (caller, action, environment, database, operation_id, plan_hash, result, request_id)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      entry.caller,
      entry.action,
      entry.environment,
      entry.database,
      entry.operationId,
      entry.planHash,
      entry.result,
      entry.requestId,
    ],
  );
}

interface AuditRow extends Omit<AuditEntry, 'at'> {
  at: Date;
}

/** Newest first; entries without an environment are for every reader of the log. */
export async function listAudit(
  client: Queryable,
  environments: readonly string[],
  limit: number,
  before: string | undefined,
): Promise<Page<AuditEntry>> {
  const { rows } = await client.query<AuditRow>(
    `SELECT id::text, at, caller, action, environment, database, operation_id AS "operationId",
            plan_hash AS "planHash", result, request_id AS "requestId"
     FROM development_operations.audit
     WHERE (environment = ANY ($1) OR environment IS NULL) AND ($3::bigint IS NULL OR id < $3)
     ORDER BY audit.id DESC LIMIT $2`,
    [environments, limit + 1, before ?? null],
  );
  const items = rows.slice(0, limit).map((row) => ({ ...row, at: row.at.toISOString() }));
  const last = items.at(-1);
  return { items, next: rows.length > limit && last ? encodeCursor(last.id) : null };
}
