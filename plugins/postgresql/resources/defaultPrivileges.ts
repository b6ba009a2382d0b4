/** postgresql.DefaultPrivileges: what a role grants on the objects that it makes from now on (`pg_default_acl`). */

import type { PropertyMap } from '../../framework/values.ts';
import type { ServerInfo, Session } from '../connection.ts';
import { actingFor } from '../membership.ts';
import { boolean, optionalText, text, texts } from '../plain.ts';
import { convergeDefaultSql, type DefaultPrivilegeChange, type LiveTarget, revokeDefaultSql } from '../sql/grant.ts';
import { expandPrivileges, sameSet } from '../sql/privileges.ts';
import { notImportable } from './grantRole.ts';
import { type Changed, type Context, change, databaseLock, type Handler, lookUp, whereThere } from './handler.ts';

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
  create: converge,

  async read(context, id, values) {
    if (!values.role) throw notImportable(id);
    const info = await context.server.info(context.signal);
    return whereThere(() =>
      context.server.session(text(values, 'database'), context.signal, async (session) => {
        const { privileges, ...rest } = defaultChange(values);
        const grantee = await granteeThere(session, rest);
        if (grantee === undefined) return undefined;
        const live = await liveDefaults(session, rest, grantee);
        const wanted = expandPrivileges(rest.objectType, privileges, info.version);
        if (live.privileges.length === 0 && wanted.length > 0) return undefined;
        return { id: idOf(values), values: liveValues(values, live, wanted) };
      }),
    );
  },

  update: (context, _olds, values) => converge(context, values),

  async delete(context, values) {
    const database = text(values, 'database');
    const { privileges, ...rest } = defaultChange(values);
    const take = async (session: Session, info: ServerInfo) => {
      const grantee = await granteeThere(session, rest);
      if (grantee === undefined) return;
      const granted = expandPrivileges(rest.objectType, privileges, info.version);
      const live = await liveDefaults(session, rest, grantee);
      const taken = live.privileges.filter((privilege) => granted.includes(privilege)).sort();
      if (taken.length === 0) return;
      await actingFor(session, info, [rest.owner], () => session.run(revokeDefaultSql({ ...rest, privileges: taken })));
    };
    await whereThere(() => change(context, database, [databaseLock(database)], take));
  },
};

async function converge(context: Context, values: PropertyMap): Promise<Changed> {
  const { privileges, ...rest } = defaultChange(values);
  const database = text(values, 'database');
  return change(context, database, [databaseLock(database)], async (session, info) => {
    const { oid } = await lookUp(session, [rest.owner, rest.role]);
    const missing = [rest.owner, rest.role].find((role) => oid(role) === undefined);
    if (missing !== undefined) {
      throw new Error(`role "${missing}" does not exist: create it first, or depend on the resource that creates it`);
    }
    const grantee = oid(rest.role) ?? 0;
    const wanted = expandPrivileges(rest.objectType, privileges, info.version);
    const live = await liveDefaults(session, rest, grantee);
    const statements = convergeDefaultSql(rest, live, wanted);
    await actingFor(session, info, [rest.owner], async () => {
      for (const statement of statements) await session.run(statement);
    });
    const left = statements.length === 0 ? live : await liveDefaults(session, rest, grantee);
    return { id: idOf(values), values: liveValues(values, left, wanted) };
  });
}

/** The privileges as they were written while they are what is there. */
function liveValues(values: PropertyMap, { privileges }: LiveTarget, wanted: readonly string[]): PropertyMap {
  return sameSet(privileges, wanted) ? values : { ...values, privileges: [...privileges] };
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

/** Oid of the grantee; undefined when it, the owner or the schema is gone. */
async function granteeThere(
  session: Session,
  { owner, role, schema }: Omit<DefaultPrivilegeChange, 'privileges'>,
): Promise<number | undefined> {
  const found = await lookUp(session, [owner, role], schema);
  return found.schema && found.oid(owner) !== undefined ? found.oid(role) : undefined;
}

/** Without an entry for the whole database, PostgreSQL's own defaults hold (everyone may execute a function). */
async function liveDefaults(
  session: Session,
  { owner, schema, objectType }: Omit<DefaultPrivilegeChange, 'privileges'>,
  grantee: number,
): Promise<LiveTarget> {
  const [entry, letter] = OBJECT_TYPES[objectType] ?? ['', ''];
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
