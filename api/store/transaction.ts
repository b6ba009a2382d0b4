import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { isConnectionError } from './connection.ts';

/** What a query needs: a pool, or the client of a transaction. */
export interface Queryable {
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<pg.QueryResult<Row>>;
  /** With a name each connection parses and plans the text once; the name belongs to that text alone. */
  query<Row extends pg.QueryResultRow>(statement: pg.QueryConfig): Promise<pg.QueryResult<Row>>;
}

/** Pauses before a read is tried again, in milliseconds: a server that restarts is back within them. */
const PAUSES = [50, 200, 500, 1000, 2000];

/** Runs `work` in one transaction; a client that may be broken is not used again. */
export async function transaction<T>(pool: pg.Pool, work: (client: Queryable) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((failure: Error) => {
      broken = failure;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

/** Repeats what changes nothing while the connection fails. */
export async function retryRead<T>(read: () => Promise<T>): Promise<T> {
  for (const pause of PAUSES) {
    try {
      return await read();
    } catch (error) {
      if (!isConnectionError(error)) throw error;
      await sleep(pause);
    }
  }
  return await read();
}
