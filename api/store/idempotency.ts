import type { Queryable } from './transaction.ts';

/**
 * Claims a key for a new result, in the transaction that makes it.
 *
 * @returns undefined when the key is new, else what was stored with it. Waits for a transaction that claims it now.
 */
export async function claimKey(
  client: Queryable,
  caller: string,
  key: string,
  requestHash: string,
  resultId: string,
): Promise<{ requestHash: string; resultId: string } | undefined> {
  const inserted = await client.query(
    `INSERT INTO development_operations.idempotency_keys AS known (caller, key, request_hash, result_id)
     VALUES ($1, $2, $3, $4)
     ON CONFLICT (caller, key) DO UPDATE
       SET request_hash = excluded.request_hash, result_id = excluded.result_id, at = now()
       WHERE known.at < now() - interval '24 hours'
     RETURNING key`,
    [caller, key, requestHash, resultId],
  );
  if (inserted.rowCount === 1) return undefined;
  const { rows } = await client.query<{ requestHash: string; resultId: string }>(
    `SELECT request_hash AS "requestHash", result_id AS "resultId"
     FROM development_operations.idempotency_keys WHERE caller = $1 AND key = $2`,
    [caller, key],
  );
  return rows[0];
}
