/** postgresql.Grant: privileges of one role on one kind of object. The difference is applied, never "revoke all" first. */

import { crc32 } from 'node:zlib';
import type { PropertyMap } from '../../framework/values.ts';
import type { ServerInfo, Session } from '../connection.ts';
import { actingFor } from '../membership.ts';
import { boolean, text, texts } from '../plain.ts';
import { convergeGrantSql, type GrantChange, takeGrantSql } from '../sql/grant.ts';
import { allPrivileges, expandPrivileges, sameSet } from '../sql/privileges.ts';
import { PUBLIC } from '../sql/quote.ts';
import { notImportable } from './grantRole.ts';
import { granteeOid, liveTargets, targetOf, targetOwners } from './grantTargets.ts';
import {
  type Context,
  change,
  databaseExists,
  databaseLock,
  type Handler,
  roleExists,
  schemaExists,
} from './handler.ts';

export const grant: Handler = {
  async create(context, values) {
    await converge(context, values);
    return grantId(values);
  },

  async read(context, id, values) {
    if (!values.role) throw notImportable(id);
    if (!(await databaseExists(context, text(values, 'database')))) return undefined;
    const info = await context.server.info(context.signal);
    return context.server.session(text(values, 'database'), context.signal, async (session) => {
      if (!(await isThere(session, values))) return undefined;
      return { id: grantId(values), values: { ...values, ...(await liveValues(session, info, values)) } };
    });
  },

  async update(context, _olds, values) {
    await converge(context, values);
  },

  async delete(context, values) {
    const database = text(values, 'database');
    if (!(await databaseExists(context, database))) return;
    const { privileges, ...rest } = grantChange(values);
    await change(context, database, [databaseLock(database)], async (session, info) => {
      if (!(await isThere(session, values))) return;
      const granted = expandPrivileges(rest.objectType, privileges, info.version);
      const live = await liveTargets(session, rest, (await granteeOid(session, rest.role)) ?? 0);
      await actingFor(session, info, await targetOwners(session, rest), async () => {
        for (const statement of takeGrantSql(rest, live, granted)) await session.run(statement);
      });
    });
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

async function converge(context: Context, values: PropertyMap): Promise<void> {
  const { privileges, ...rest } = grantChange(values);
  await change(context, rest.database, [databaseLock(rest.database)], async (session, info) => {
    const wanted = wantedPrivileges(rest.objectType, privileges, info);
    const grantee = await granteeOid(session, rest.role);
    if (grantee === undefined) {
      throw new Error(`role "${rest.role}" does not exist: create it first, or depend on the resource that creates it`);
    }
    const live = await liveTargets(session, rest, grantee);
    await actingFor(session, info, await targetOwners(session, rest), async () => {
      for (const statement of convergeGrantSql(rest, live, wanted)) await session.run(statement);
    });
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

async function isThere(session: Session, values: PropertyMap): Promise<boolean> {
  const role = text(values, 'role');
  if (role !== PUBLIC && !(await roleExists(session, role))) return false;
  const { objectType, schema = '' } = targetOf(values);
  return objectType === 'database' || objectType.startsWith('foreign_') || (await schemaExists(session, schema));
}

/**
 * The privileges as they were written while every object has just these, else those of the first that differs: what
 * makes the next update repair it. For columns, the columns that still have theirs.
 */
async function liveValues(session: Session, info: ServerInfo, values: PropertyMap): Promise<PropertyMap> {
  const target = targetOf(values);
  const wanted = expandPrivileges(target.objectType, texts(values, 'privileges'), info.version);
  const live = await liveTargets(session, target, (await granteeOid(session, text(values, 'role'))) ?? 0);
  if (target.objectType === 'column') {
    const kept = live.filter(({ privileges }) => wanted.every((privilege) => privileges.includes(privilege)));
    return { columns: kept.map(({ object }) => object) };
  }
  const named = target.objects.length;
  if (named > 0 && live.length < new Set(target.objects).size) return { privileges: [] };
  const different = live.find(({ privileges }) => !sameSet(privileges, wanted));
  return different === undefined ? {} : { privileges: [...different.privileges] };
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
