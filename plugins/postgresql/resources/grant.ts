/** postgresql.Grant: privileges of one role on one kind of object. The difference is applied, never "revoke all" first. */

import { crc32 } from 'node:zlib';
import type { PropertyMap } from '../../framework/values.ts';
import type { ServerInfo, Session } from '../connection.ts';
import { actingFor } from '../membership.ts';
import { boolean, text, texts } from '../plain.ts';
import { convergeGrantSql, type GrantChange, takeGrantSql } from '../sql/grant.ts';
import { allPrivileges, expandPrivileges, sameSet } from '../sql/privileges.ts';
import { notImportable } from './grantRole.ts';
import { liveTargets, targetOf, targetOwners } from './grantTargets.ts';
import { type Changed, type Context, change, databaseLock, type Handler, lookUp, whereThere } from './handler.ts';

export const grant: Handler = {
  create: converge,

  async read(context, id, values) {
    if (!values.role) throw notImportable(id);
    const info = await context.server.info(context.signal);
    return whereThere(() =>
      context.server.session(text(values, 'database'), context.signal, async (session) => {
        const grantee = await granteeThere(session, values);
        if (grantee === undefined) return undefined;
        return { id: grantId(values), values: await liveValues(session, info, values, grantee) };
      }),
    );
  },

  update: (context, _olds, values) => converge(context, values),

  async delete(context, values) {
    const database = text(values, 'database');
    const { privileges, ...rest } = grantChange(values);
    const take = async (session: Session, info: ServerInfo) => {
      const grantee = await granteeThere(session, values);
      if (grantee === undefined) return;
      const granted = expandPrivileges(rest.objectType, privileges, info.version);
      const statements = takeGrantSql(rest, await liveTargets(session, rest, grantee), granted);
      await actingFor(
        session,
        info,
        () => targetOwners(session, rest),
        async () => {
          for (const statement of statements) await session.run(statement);
        },
      );
    };
    await whereThere(() => change(context, database, [databaseLock(database)], take));
  },
};

export function grantChange(values: PropertyMap): GrantChange {
  return {
    ...targetOf(values),
    role: text(values, 'role'),
    privileges: texts(values, 'privileges'),
    withGrantOption: boolean(values, 'withGrantOption'),
  };
}

async function converge(context: Context, values: PropertyMap): Promise<Changed> {
  const { privileges, ...rest } = grantChange(values);
  return change(context, rest.database, [databaseLock(rest.database)], async (session, info) => {
    const wanted = wantedPrivileges(rest.objectType, privileges, info);
    const grantee = (await lookUp(session, [rest.role])).oid(rest.role);
    if (grantee === undefined) {
      throw new Error(`role "${rest.role}" does not exist: create it first, or depend on the resource that creates it`);
    }
    const live = await liveTargets(session, rest, grantee);
    await actingFor(
      session,
      info,
      () => targetOwners(session, rest),
      async () => {
        for (const statement of convergeGrantSql(rest, live, wanted)) await session.run(statement);
      },
    );
    return { id: grantId(values), values: await liveValues(session, info, values, grantee) };
  });
}

function wantedPrivileges(objectType: string, privileges: readonly string[], info: ServerInfo): string[] {
  const wanted = expandPrivileges(objectType, privileges, info.version);
  const known = allPrivileges(objectType, info.version);
  const unknown = wanted.find((privilege) => !known.includes(privilege));
  if (unknown === undefined) return wanted;
  throw new Error(
    `PostgreSQL ${info.version} has no privilege ${unknown} on a ${objectType}: it has ${known.join(', ')}`,
  );
}

/** Oid of the grantee; undefined when it, or the schema that the grant is about, is gone. */
async function granteeThere(session: Session, values: PropertyMap): Promise<number | undefined> {
  const role = text(values, 'role');
  const { objectType, schema = '' } = targetOf(values);
  const everywhere = objectType === 'database' || objectType.startsWith('foreign_');
  const found = await lookUp(session, [role], everywhere ? undefined : schema);
  return found.schema ? found.oid(role) : undefined;
}

/**
 * The privileges as they were written while every object has just these, else those of the first that differs: what
 * makes the next update repair it. For columns, the columns that still have theirs.
 */
async function liveValues(
  session: Session,
  info: ServerInfo,
  values: PropertyMap,
  grantee: number,
): Promise<PropertyMap> {
  const target = targetOf(values);
  const wanted = expandPrivileges(target.objectType, texts(values, 'privileges'), info.version);
  const live = await liveTargets(session, target, grantee);
  if (target.objectType === 'column') {
    const kept = live.filter(({ privileges }) => wanted.every((privilege) => privileges.includes(privilege)));
    return { ...values, columns: kept.map(({ object }) => object) };
  }
  const named = target.objects.length;
  if (named > 0 && live.length < new Set(target.objects).size) return { ...values, privileges: [] };
  const different = live.find(({ privileges }) => !sameSet(privileges, wanted));
  return different === undefined ? values : { ...values, privileges: [...different.privileges] };
}

/**
 * `role_database_schema_type_objects…_columns…`. The objects come in the order of Terraform's sets: by the text of
 * their CRC-32 (terraform-plugin-sdk, schema.Set and HashString).
 */
export function grantId(values: PropertyMap): string {
  const { objectType, database, schema = '', objects, columns = [] } = targetOf(values);
  const parts = [text(values, 'role'), database];
  if (objectType !== 'database' && !objectType.startsWith('foreign_')) parts.push(schema);
  return [...parts, objectType, ...setOrder(objects), ...setOrder(columns)].join('_');
}

function setOrder(items: readonly string[]): string[] {
  const coded = [...new Set(items)].map((item): [string, string] => [String(crc32(item)), item]);
  return coded.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}
