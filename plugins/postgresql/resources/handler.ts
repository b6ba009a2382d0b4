/** What each resource type implements. Values are plain: no secret marks, nothing unknown. */

import type { PropertyMap } from '../../framework/values.ts';
import type { Server, ServerInfo, Session } from '../connection.ts';
import { errorCode } from '../errors.ts';
import { PUBLIC } from '../sql/quote.ts';

export { databaseLock, roleLock } from '../locks.ts';

export interface Context {
  readonly server: Server;
  readonly signal: AbortSignal;
}

export interface Found {
  readonly id: string;
  /** Every property that the server tells; the others keep their value. */
  readonly values: PropertyMap;
}

/** What a change has left behind: its id, and what there is, where it was looked at in the same transaction. */
export interface Changed {
  readonly id: string;
  /** As in `Found`. @default unknown: `read` tells it */
  readonly values?: PropertyMap;
}

export interface Handler {
  /** Makes the resource. */
  create(context: Context, values: PropertyMap): Promise<Changed>;
  /** What is there, or undefined when it is gone. `values` is the state, empty on import. */
  read(context: Context, id: string, values: PropertyMap): Promise<Found | undefined>;
  update(context: Context, olds: PropertyMap, values: PropertyMap): Promise<Changed | undefined>;
  delete(context: Context, values: PropertyMap): Promise<void>;
}

/** Runs `work` in a transaction of a database, with what the server told about itself. */
export async function change<T>(
  { server, signal }: Context,
  database: string,
  locks: readonly string[],
  work: (session: Session, info: ServerInfo) => Promise<T>,
): Promise<T> {
  const info = await server.info(signal);
  return server.transaction(database, signal, locks, (session) => work(session, info));
}

export async function roleExists(session: Session, role: string): Promise<boolean> {
  return (await session.query('SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1', [role])).length > 0;
}

/** invalid_catalog_name: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const NO_DATABASE = '3D000';

/** What `work` returns, which is done in a database; undefined when that database is gone. */
export async function whereThere<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (errorCode((error as Error).cause) === NO_DATABASE) return undefined;
    throw error;
  }
}

export interface Named {
  /** Oid of a role; undefined when there is no such role. */
  oid(role: string): number | undefined;
  /** Whether there is that schema, where one was asked for. */
  readonly schema: boolean;
}

/** Looks roles and a schema up in one question. Everyone (PUBLIC) has the oid 0. */
export async function lookUp(session: Session, roles: readonly string[], schema?: string): Promise<Named> {
  const [row] = await session.query<{ roles: { name: string; oid: number }[]; schema: boolean }>(
    `SELECT ARRAY(SELECT pg_catalog.json_build_object('name', rolname, 'oid', oid::int8)
                    FROM pg_catalog.pg_roles WHERE rolname = ANY($1)) AS roles,
            EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $2) AS schema`,
    [roles, schema ?? ''],
  );
  const oids = new Map<string, number>([
    [PUBLIC, 0],
    ...(row?.roles ?? []).map(({ name, oid }) => [name, oid] as const),
  ]);
  return { oid: (role) => oids.get(role), schema: schema === undefined || row?.schema === true };
}

export async function databaseOwner(session: Session, database: string): Promise<string> {
  const [row] = await session.query<{ owner: string }>(
    'SELECT pg_catalog.pg_get_userbyid(datdba)::text AS owner FROM pg_catalog.pg_database WHERE datname = $1',
    [database],
  );
  return row?.owner ?? '';
}

/** The role that really owns what `pg_database_owner` owns (PostgreSQL 14 and later), or the name itself. */
export async function resolveOwner(session: Session, owner: string): Promise<string> {
  return owner === 'pg_database_owner' ? databaseOwner(session, session.database) : owner;
}

/** `database.name`; only an import has to take it apart. */
export function splitId(id: string, kind: string): [database: string, name: string] {
  const parts = id.split('.');
  const [database, name] = parts;
  if (parts.length !== 2 || !database || !name) {
    throw new Error(`the id of a ${kind} is "database.${kind}", not ${JSON.stringify(id)}`);
  }
  return [database, name];
}
