/** What keeps a role from being dropped (`pg_shdepend`), in every database of the server. */

import type { Context } from './handler.ts';

/** How many objects of one database an error names. */
const SHOWN = 5;

export interface Dependents {
  /** '' for what belongs to no database: databases and tablespaces. */
  readonly database: string;
  readonly count: number;
  readonly connectable: boolean;
  readonly [column: string]: unknown;
}

export async function dependents({ server, signal }: Context, role: string): Promise<Dependents[]> {
  return server.session(server.config.database, signal, (session) =>
    session.query<Dependents>(
      `SELECT COALESCE(db.datname::text, '') AS database, count(*)::int AS count,
              COALESCE(bool_and(db.datallowconn), true) AS connectable
         FROM pg_catalog.pg_shdepend d
         JOIN pg_catalog.pg_roles r ON r.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_authid'::regclass
         LEFT JOIN pg_catalog.pg_database db ON db.oid = d.dbid
        WHERE r.rolname = $1 GROUP BY 1 ORDER BY 1`,
      [role],
    ),
  );
}

/** The message of a refused DROP ROLE: the objects, where they are, and the cure. */
export async function describeDependents(context: Context, role: string): Promise<string> {
  const places: string[] = [];
  for (const { database, count, connectable } of await dependents(context, role)) {
    const names = connectable ? await describe(context, role, database).catch(() => []) : [];
    const rest = count - names.length;
    const more = names.length === 0 ? [`${count} objects`] : rest > 0 ? [`${rest} more`] : [];
    places.push(
      `${database === '' ? 'on the server' : `in database "${database}"`}: ${[...names, ...more].join(', ')}`,
    );
  }
  return (
    `role "${role}" cannot be dropped, because objects depend on it (${places.join('; ')}). ` +
    `Give them to another role (REASSIGN OWNED BY, DROP OWNED BY, in each database), ` +
    'or leave skipReassignOwned out, so that the connected role takes them over'
  );
}

async function describe({ server, signal }: Context, role: string, database: string): Promise<string[]> {
  const rows = await server.session(database || server.config.database, signal, (session) =>
    session.query<{ object: string }>(
      `SELECT CASE d.deptype WHEN 'o' THEN '' ELSE 'privileges on ' END
                || pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) AS object
         FROM pg_catalog.pg_shdepend d
         JOIN pg_catalog.pg_roles r ON r.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_authid'::regclass
        WHERE r.rolname = $1
          AND d.dbid = COALESCE((SELECT oid FROM pg_catalog.pg_database WHERE datname = NULLIF($2, '')), 0)
        ORDER BY d.deptype DESC, 1 LIMIT ${SHOWN}`,
      [role, database],
    ),
  );
  return rows.map((row) => row.object);
}
