/** postgresql.Database. */

import type { PropertyMap } from '../../framework/values.ts';
import type { Session } from '../connection.ts';
import { actingFor } from '../membership.ts';
import { boolean, integer, optionalText, text } from '../plain.ts';
import {
  alterDatabaseSql,
  createDatabaseSql,
  type DatabaseAttributes,
  dropDatabaseSql,
  isTemplateSql,
  reassignOwnedSql,
} from '../sql/database.ts';
import { type Context, change, databaseLock, databaseOwner, type Handler, roleLock } from './handler.ts';

/** First server version with DROP DATABASE … WITH (FORCE). */
const FORCE_SINCE = 13;

export const database: Handler = {
  async create({ server, signal }, values) {
    const attributes = databaseAttributes(values);
    const info = await server.info(signal);
    const owner = attributes.owner ?? '';
    // Outside a transaction, as CREATE DATABASE asks for; the owner's lock keeps two of us from taking back each
    // other's membership.
    const locks = [databaseLock(attributes.name), roleLock(owner)];
    await server.session(
      server.config.database,
      signal,
      (session) => actingFor(session, info, [owner], () => session.run(createDatabaseSql(attributes))),
      locks,
    );
    return { id: attributes.name };
  },

  async read(context, id, values) {
    const live = await settledDatabase(context, text(values, 'name') || id);
    if (!live) return undefined;
    return {
      id: text(live, 'name'),
      values: { ...values, ...live, template: optionalText(values, 'template') ?? 'template0' },
    };
  },

  async update(context, olds, values) {
    const { server, signal } = context;
    const info = await server.info(signal);
    const name = text(olds, 'name');
    const live = await liveDatabase(context, name);
    if (!live) throw new Error(`database "${name}" is not there any more: run pulumi refresh`);
    const before = databaseAttributes(live);
    const next = databaseAttributes(values);
    const owner = next.owner ?? '';
    if (boolean(values, 'alterObjectOwnership') && owner !== '' && owner !== before.owner) {
      await reassignObjects(context, name, owner);
    }
    // A database can be renamed or moved only when nobody is connected to it.
    await server.forget(name);
    await server.session(
      server.config.database,
      signal,
      async (session) => {
        await actingFor(session, info, [before.owner ?? '', owner], async () => {
          for (const statement of alterDatabaseSql(before, next)) await session.run(statement);
        });
      },
      [...new Set([databaseLock(name), roleLock(owner), roleLock(before.owner ?? '')])],
    );
    return undefined;
  },

  async delete(context, values) {
    const { server, signal } = context;
    const name = text(values, 'name');
    const info = await server.info(signal);
    const live = await settledDatabase(context, name);
    if (!live) return;
    await server.forget(name);
    const owner = text(live, 'owner');
    const force = info.version >= FORCE_SINCE;
    await server.session(
      server.config.database,
      signal,
      async (session) => {
        await actingFor(session, info, [owner], async () => {
          if (boolean(live, 'isTemplate')) await session.run(isTemplateSql(name, false));
          if (!force) {
            await session.query(
              `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
                WHERE datname = $1 AND pid <> pg_backend_pid()`,
              [name],
            );
          }
          await session.run(dropDatabaseSql(name, force));
        });
      },
      [databaseLock(name), roleLock(owner)],
    );
  },
};

/** `alterObjectOwnership`: what the old owner has in the database goes to the new one. */
async function reassignObjects(context: Context, name: string, owner: string): Promise<void> {
  await change(context, name, [databaseLock(name)], async (session, info) => {
    const current = await databaseOwner(session, name);
    if (current === owner) return;
    await actingFor(session, info, [current, owner], () => session.run(reassignOwnedSql(current, owner)));
  });
}

export function databaseAttributes(values: PropertyMap): DatabaseAttributes {
  return {
    name: text(values, 'name'),
    owner: optionalText(values, 'owner'),
    template: optionalText(values, 'template'),
    encoding: optionalText(values, 'encoding'),
    lcCollate: optionalText(values, 'lcCollate'),
    lcCtype: optionalText(values, 'lcCtype'),
    tablespaceName: optionalText(values, 'tablespaceName'),
    connectionLimit: integer(values, 'connectionLimit', -1),
    allowConnections: boolean(values, 'allowConnections', true),
    isTemplate: typeof values.isTemplate === 'boolean' ? values.isTemplate : undefined,
  };
}

/**
 * A database that is not there may be on its way: the server goes on with what somebody asked for who was killed. It
 * holds the lock of the database until it is done.
 */
async function settledDatabase(context: Context, name: string): Promise<PropertyMap | undefined> {
  const { server, signal } = context;
  const live = await liveDatabase(context, name);
  if (live) return live;
  return server.session(server.config.database, signal, (session) => askDatabase(session, name), [databaseLock(name)]);
}

function liveDatabase({ server, signal }: Context, name: string): Promise<PropertyMap | undefined> {
  return server.session(server.config.database, signal, (session) => askDatabase(session, name));
}

async function askDatabase(session: Session, name: string): Promise<PropertyMap | undefined> {
  const [row] = await session.query<PropertyMap & { name: string }>(
    `SELECT d.datname::text AS name, pg_catalog.pg_get_userbyid(d.datdba)::text AS owner,
            pg_catalog.pg_encoding_to_char(d.encoding)::text AS encoding, d.datcollate::text AS "lcCollate",
            d.datctype::text AS "lcCtype", t.spcname::text AS "tablespaceName",
            d.datconnlimit AS "connectionLimit", d.datallowconn AS "allowConnections",
            d.datistemplate AS "isTemplate"
       FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
      WHERE d.datname = $1`,
    [name],
  );
  return row && { ...row };
}
