/** One connection while an operation has it. */

import type pg from 'pg';
import type { Log } from '../framework/provider.ts';
import type { Cancellation } from './cancellation.ts';
import { ineffectiveError, statementError } from './errors.ts';
import { literal } from './sql/quote.ts';

export interface Session {
  readonly database: string;
  /** Rows of a query of the catalogs; values go as parameters. */
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** A statement that changes something; shown in the debug log, with each of `secrets` replaced. */
  run(statement: string, secrets?: readonly string[]): Promise<void>;
  /** Runs what takes something back: its statements are sent also when the operation was cancelled. */
  tidy<T>(work: () => Promise<T>): Promise<T>;
}

interface SessionParts {
  readonly client: pg.PoolClient;
  readonly database: string;
  readonly cancellation: Cancellation;
  readonly log: Log;
  /** The role that the connection has, for errors. */
  readonly username: string;
}

type NoticeMessage = { readonly code?: string | undefined; readonly message?: string | undefined };

/** GRANT and REVOKE that do nothing, or not all, for want of rights only warn (privilege_not_revoked, _not_granted). */
const INEFFECTIVE: ReadonlySet<string> = new Set(['01006', '01007']);

export function sessionOf({ client, database, cancellation, log, username }: SessionParts): Session {
  return {
    database,
    query: async <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) => {
      const given = values.length === 0 ? undefined : [...values];
      return (await cancellation.send(() => client.query<Row>(text, given))).rows;
    },
    run: async (statement, secrets = []) => {
      const shown = secrets.reduce((text, secret) => text.replaceAll(literal(secret), "'[secret]'"), statement);
      log.debug(`${database}: ${shown}`);
      const ineffective: NoticeMessage[] = [];
      const onNotice = (notice: NoticeMessage) => {
        if (INEFFECTIVE.has(notice.code ?? '')) ineffective.push(notice);
      };
      client.on('notice', onNotice);
      try {
        await cancellation.send(() => client.query(statement));
      } catch (error) {
        throw statementError(error, shown, username);
      } finally {
        client.removeListener('notice', onNotice);
      }
      const [notice] = ineffective;
      if (notice) throw ineffectiveError(notice.message ?? '', shown, username);
    },
    tidy: (work) => cancellation.tidy(work),
  };
}
