import type { Drop, Plan, PlanStatus, Problem, Step, StepOperation, WantedDatabase } from '../model.ts';
import type { Queryable } from './transaction.ts';

/** A plan as it is stored. */
export interface StoredPlan extends Plan {
  readonly drop: Drop | null;
  /** The operation that applies it; a plan is applied at most once. */
  readonly appliedBy: string | null;
}

interface PlanRow extends Omit<StoredPlan, 'createdAt'> {
  createdAt: Date;
}

const COLUMNS = `
  id, environment, database, action, status, wanted, given_up AS "drop", hash, steps, counts,
  operation_id AS "operationId", applied_by AS "appliedBy", created_at AS "createdAt", created_by AS "createdBy",
  error`;

function fromRow(row: PlanRow): StoredPlan {
  return { ...row, createdAt: row.createdAt.toISOString() };
}

export function publicPlan(stored: StoredPlan): Plan {
  const { drop: _drop, appliedBy: _appliedBy, ...plan } = stored;
  return plan;
}

export async function addPlan(
  client: Queryable,
  plan: Pick<StoredPlan, 'id' | 'environment' | 'database' | 'action' | 'operationId' | 'createdBy'> & {
    readonly wanted: WantedDatabase | null;
    readonly drop: Drop | null;
  },
): Promise<StoredPlan> {
  const { rows } = await client.query<PlanRow>(
    `INSERT INTO development_operations.plans
       (id, environment, database, action, wanted, given_up, operation_id, created_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ${COLUMNS}`,
    [
      plan.id,
      plan.environment,
      plan.database,
      plan.action,
      plan.wanted && JSON.stringify(plan.wanted),
      plan.drop && JSON.stringify(plan.drop),
      plan.operationId,
      plan.createdBy,
    ],
  );
  return fromRow(rows[0] as PlanRow);
}

export async function readPlan(client: Queryable, id: string, lock = false): Promise<StoredPlan | undefined> {
  const { rows } = await client.query<PlanRow>(
    lock
      ? `SELECT ${COLUMNS} FROM development_operations.plans WHERE id = $1 FOR UPDATE`
      : `SELECT ${COLUMNS} FROM development_operations.plans WHERE id = $1`,
    [id],
  );
  return rows[0] && fromRow(rows[0]);
}

export async function finishPlan(
  client: Queryable,
  id: string,
  result: { readonly hash: string; readonly steps: readonly Step[] },
): Promise<void> {
  await client.query(
    `UPDATE development_operations.plans SET status = 'ready', hash = $2, steps = $3, counts = $4, error = NULL
     WHERE id = $1`,
    [id, result.hash, JSON.stringify(result.steps), JSON.stringify(countSteps(result.steps))],
  );
}

export async function setPlanStatus(
  client: Queryable,
  id: string,
  status: PlanStatus,
  error: Problem | null = null,
): Promise<void> {
  await client.query('UPDATE development_operations.plans SET status = $2, error = $3 WHERE id = $1', [
    id,
    status,
    error && JSON.stringify(error),
  ]);
}

export async function markPlanApplied(client: Queryable, id: string, operationId: string): Promise<void> {
  await client.query(`UPDATE development_operations.plans SET status = 'applied', applied_by = $2 WHERE id = $1`, [
    id,
    operationId,
  ]);
}

/** How many steps there are of each kind. */
export function countSteps(steps: readonly Step[]): Partial<Record<StepOperation, number>> {
  const counts: Partial<Record<StepOperation, number>> = {};
  for (const { operation } of steps) counts[operation] = (counts[operation] ?? 0) + 1;
  return counts;
}
