/** postgresql.DefaultPrivileges: what a role grants on the objects that it makes from now on (`pg_default_acl`). */

import type { PropertyMap } from '../../framework/values.ts';
import type { Session } from '../connection.ts';
import { actingFor } from '../membership.ts';
import { boolean, optionalText, text, texts } from '../plain.ts';
import { convergeDefaultSql, type DefaultPrivilegeChange, type LiveTarget, revokeDefaultSql } from '../sql/grant.ts';
import { expandPrivileges, sameSet } from '../sql/privileges.ts';
import { PUBLIC } from '../sql/quote.ts';
import { notImportable } from './grantRole.ts';
import { granteeOid } from './grantTargets.ts';
import {
  type Context,
  change,
  databaseExists,
  databaseLock,
  type Handler,
  roleExists,
  schemaExists,
} from './handler.ts';

/** `pg_default_acl.defaclobjtype`, and the same kind's letter for `acldefault`. */
const OBJECT_TYPES: Readonly<Record<string, readonly [string, string]>> = {
  table: ['r', 'r'],
  sequence: ['S', 's'],
  function: ['f', 'f'],
  routine: ['f', 'f'],
  type: ['T', 'T'],
  schema: ['n', 'n'],
};

export const defaultPrivileges: Handler = {
  async create(context, values) {
    await converge(context, values);
    return idOf(values);
  },

  async read(context, id, values) {
    if (!values.role) throw notImportable(id);
    const database = text(values, 'database');
    if (!(await databaseExists(context, database))) return undefined;
    const info = await context.server.info(context.signal);
    return context.server.session(database, context.signal, async (session) => {
      const { privileges, ...rest } = defaultChange(values);
      if (!(await isThere(session, rest))) return undefined;
      const live = await liveDefaults(session, rest);
      const wanted = expandPrivileges(rest.objectType, privileges, info.version);
      if (live.privileges.length === 0 && wanted.length > 0) return undefined;
      const same = sameSet(live.privileges, wanted);
      return { id: idOf(values), values: same ? values : { ...values, privileges: [...live.privileges] } };
    });
  },

  async update(context, _olds, values) {
    await converge(context, values);
  },

  async delete(context, values) {
    const database = text(values, 'database');
    if (!(await databaseExists(context, database))) return;
    const { privileges, ...rest } = defaultChange(values);
    await change(context, database, [databaseLock(database)], async (session, info) => {
      if (!(await isThere(session, rest))) return;
      const granted = expandPrivileges(rest.objectType, privileges, info.version);
      const live = await liveDefaults(session, rest);
      const taken = live.privileges.filter((privilege) => granted.includes(privilege)).sort();
      if (taken.length === 0) return;
      await actingFor(session, info, [rest.owner], () => session.run(revokeDefaultSql({ ...rest, privileges: taken })));
    });
  },
};

async function converge(context: Context, values: PropertyMap): Promise<void> {
  const { privileges, ...rest } = defaultChange(values);
  const database = text(values, 'database');
  await change(context, database, [databaseLock(database)], async (session, info) => {
    for (const role of [rest.owner, rest.role]) {
      if (role === PUBLIC || (await roleExists(session, role))) continue;
      throw new Error(`role "${role}" does not exist: create it first, or depend on the resource that creates it`);
    }
    const wanted = expandPrivileges(rest.objectType, privileges, info.version);
    const live = await liveDefaults(session, rest);
    const statements = convergeDefaultSql(rest, live, wanted);
    await actingFor(session, info, [rest.owner], async () => {
      for (const statement of statements) await session.run(statement);
    });
  });
}

export function defaultChange(values: PropertyMap): DefaultPrivilegeChange {
  return {
    owner: text(values, 'owner'),
    role: text(values, 'role'),
    schema: optionalText(values, 'schema'),
    objectType: text(values, 'objectType'),
    privileges: texts(values, 'privileges'),
    withGrantOption: boolean(values, 'withGrantOption'),
  };
}

function idOf(values: PropertyMap): string {
  return [
    text(values, 'role'),
    text(values, 'database'),
    text(values, 'schema') || 'noschema',
    text(values, 'owner'),
    text(values, 'objectType'),
  ].join('_');
}

async function isThere(
  session: Session,
  { owner, role, schema }: Omit<DefaultPrivilegeChange, 'privileges'>,
): Promise<boolean> {
  if (!(await roleExists(session, owner))) return false;
  if (role !== PUBLIC && !(await roleExists(session, role))) return false;
  return schema === undefined || (await schemaExists(session, schema));
}

/** Without an entry for the whole database, PostgreSQL's own defaults hold (everyone may execute a function). */
async function liveDefaults(
  session: Session,
  { owner, role, schema, objectType }: Omit<DefaultPrivilegeChange, 'privileges'>,
): Promise<LiveTarget> {
  const [entry, letter] = OBJECT_TYPES[objectType] ?? ['', ''];
  const grantee = (await granteeOid(session, role)) ?? 0;
  const [row] = await session.query<LiveTarget & Record<string, unknown>>(
    `SELECT '' AS object, COALESCE(array_agg(a.privilege_type::text ORDER BY 1), '{}') AS privileges,
            COALESCE(array_agg(a.privilege_type::text ORDER BY 1) FILTER (WHERE a.is_grantable), '{}') AS grantable
       FROM pg_catalog.pg_roles o
       LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $3
       LEFT JOIN pg_catalog.pg_default_acl d
         ON d.defaclrole = o.oid AND d.defaclobjtype = $4::"char" AND d.defaclnamespace = COALESCE(n.oid, 0)
       CROSS JOIN LATERAL pg_catalog.aclexplode(
         COALESCE(d.defaclacl, CASE WHEN n.oid IS NULL THEN pg_catalog.acldefault($5::"char", o.oid) END)) a
      WHERE o.rolname = $2 AND a.grantee = $1::oid`,
    [grantee, owner, schema ?? '', entry, letter],
  );
  return row ?? { object: '', privileges: [], grantable: [] };
}
