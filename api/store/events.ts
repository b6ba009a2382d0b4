import type { OperationEvent, OperationStatus } from '../model.ts';
import type { Queryable } from './transaction.ts';

/** Channel on which replicas tell each other of events (`event`) and of requests to cancel (`cancel`). */
export const CHANNEL = 'development_operations';

export type NewEvent = Pick<OperationEvent, 'type' | 'data'>;

/**
 * Adds events and wakes who listens. The operation's row is locked by it until the transaction ends, so that readers
 * never see a sequence before the one that precedes it.
 */
export async function appendEvents(client: Queryable, id: string, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return;
  await client.query(
    `WITH operation AS (
       UPDATE development_operations.operations SET last_sequence = last_sequence + cardinality($2::text[])
       WHERE id = $1 RETURNING last_sequence - cardinality($2::text[]) AS before
     ), added AS (
       INSERT INTO development_operations.operation_events (operation_id, sequence, type, data)
       SELECT $1, before + number, type, data
       FROM operation, unnest($2::text[], $3::jsonb[]) WITH ORDINALITY AS new (type, data, number)
     )
     SELECT pg_notify($4, $5) FROM operation`,
    [
      id,
      events.map(({ type }) => type),
      events.map(({ data }) => JSON.stringify(data)),
      CHANNEL,
      JSON.stringify({ type: 'event', id }),
    ],
  );
}

interface EventRow {
  status: OperationStatus;
  sequence: number | null;
  at: Date;
  type: OperationEvent['type'];
  data: Record<string, unknown>;
}

/** Events after `after`, with the status of the operation at the same moment; undefined without such an operation. */
export async function readEvents(
  client: Queryable,
  id: string,
  after: number,
  limit: number,
): Promise<{ status: OperationStatus; events: OperationEvent[] } | undefined> {
  const { rows } = await client.query<EventRow>(
    `SELECT operation.status, event.sequence, event.at, event.type, event.data
     FROM development_operations.operations AS operation
     LEFT JOIN development_operations.operation_events AS event
       ON event.operation_id = operation.id AND event.sequence > $2
     WHERE operation.id = $1 ORDER BY event.sequence LIMIT $3`,
    [id, after, limit],
  );
  const first = rows[0];
  if (!first) return undefined;
  const events = rows.flatMap(({ sequence, at, type, data }) =>
    sequence === null ? [] : [{ sequence, at: at.toISOString(), type, data }],
  );
  return { status: first.status, events };
}
