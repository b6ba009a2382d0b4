/** What each resource type implements. Values are plain: no secret marks, nothing unknown. */

import type { PropertyMap } from '../../framework/values.ts';
import type { Server, ServerInfo, Session } from '../connection.ts';

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

export interface Handler {
  /** Makes the resource and returns its id. */
  create(context: Context, values: PropertyMap): Promise<string>;
  /** What is there, or undefined when it is gone. `values` is the state, empty on import. */
  read(context: Context, id: string, values: PropertyMap): Promise<Found | undefined>;
  update(context: Context, olds: PropertyMap, values: PropertyMap): Promise<void>;
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

export async function schemaExists(session: Session, schema: string): Promise<boolean> {
  return (await session.query('SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1', [schema])).length > 0;
}

/** Asks in the provider's own database, so that nothing connects to a database that may be gone. */
export async function databaseExists({ server, signal }: Context, database: string): Promise<boolean> {
  const rows = await server.session(server.config.database, signal, (session) =>
    session.query('SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1', [database]),
  );
  return rows.length > 0;
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
