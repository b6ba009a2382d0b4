/** postgresql.Role. */

import type { PropertyMap } from '../../framework/values.ts';
import type { Session } from '../connection.ts';
import { errorCode } from '../errors.ts';
import { actingFor } from '../membership.ts';
import { boolean, integer, optionalText, text, texts } from '../plain.ts';
import { passwordVerifier } from '../scram.ts';
import {
  alterRoleSql,
  createRoleSql,
  dropRoleSql,
  type PasswordValue,
  type RoleAttributes,
  releaseRoleSql,
} from '../sql/role.ts';
import { type Context, change, type Found, type Handler, roleLock } from './handler.ts';
import { dependents, describeDependents } from './roleDependents.ts';
import { parseSettings } from './roleSettings.ts';

export const role: Handler = {
  async create(context, values) {
    const { server, signal } = context;
    const attributes = roleAttributes(values);
    const info = await server.info(signal);
    const given = text(values, 'passwordWo') || text(values, 'password');
    const password = await passwordValue(given, attributes.name, info.passwordEncryption);
    return change(context, server.config.database, [roleLock(attributes.name)], async (session) => {
      for (const statement of createRoleSql(attributes, password)) await session.run(statement, secrets(password));
      return changedRole(session, attributes.name, values);
    });
  },

  async read(context, id, values) {
    const name = text(values, 'name') || id;
    const live = await askRole(context, name, text(values, 'validUntil'));
    if (!live) return undefined;
    return foundRole(live, values);
  },

  async update(context, olds, values) {
    const { server, signal } = context;
    const old = text(olds, 'name');
    const next = roleAttributes(values);
    const info = await server.info(signal);
    const md5Renamed = info.passwordEncryption === 'md5' && old !== next.name;
    const written = text(olds, 'passwordWoVersion') !== text(values, 'passwordWoVersion') && text(values, 'passwordWo');
    const changed = text(olds, 'password') !== text(values, 'password') || md5Renamed ? text(values, 'password') : '';
    const password = await passwordValue(written || changed, next.name, info.passwordEncryption);
    return change(context, server.config.database, [roleLock(old), roleLock(next.name)], async (session) => {
      const live = await liveRole(session, old, text(values, 'validUntil'));
      if (!live) throw new Error(`role "${old}" is not there any more: run pulumi refresh`);
      const before = roleAttributes(live);
      // Never given: memberships are other resources' (GrantRole).
      const roles = values.roles === null ? before.roles : next.roles;
      const statements = alterRoleSql(before, { ...next, roles }, password);
      for (const statement of statements) await session.run(statement, secrets(password));
      return changedRole(session, next.name, values);
    });
  },

  async delete(context, values) {
    const { server, signal } = context;
    const name = text(values, 'name');
    const info = await server.info(signal);
    if (!(await askRole(context, name))) return;
    const release = !boolean(values, 'skipReassignOwned');
    if (release) await releaseElsewhere(context, name);
    if (!release && boolean(values, 'skipDropRole')) return;
    try {
      await change(context, server.config.database, [roleLock(name)], async (session) => {
        if (release) {
          await actingFor(session, info, [name], async () => {
            for (const statement of releaseRoleSql(name)) await session.run(statement);
          });
        }
        if (!boolean(values, 'skipDropRole')) await session.run(dropRoleSql(name));
      });
    } catch (error) {
      // dependent_objects_still_exist
      if (errorCode(error) !== '2BP01') throw error;
      throw new Error(await describeDependents(context, name), { cause: error });
    }
  },
};

function foundRole(live: PropertyMap, values: PropertyMap): Found {
  return { id: text(live, 'name'), values: { ...values, ...live, encryptedPassword: true } };
}

/** What a change of this transaction has made of a role. */
async function changedRole(session: Session, name: string, values: PropertyMap): Promise<Found> {
  const live = await liveRole(session, name, text(values, 'validUntil'));
  if (!live) throw new Error(`role "${name}" was made, and is gone already: somebody else removed it`);
  return foundRole(live, values);
}

/** REASSIGN OWNED and DROP OWNED work in one database at a time: here in all others that the role has something in. */
async function releaseElsewhere(context: Context, name: string): Promise<void> {
  const own = context.server.config.database;
  for (const { database, connectable } of await dependents(context, name)) {
    if (database === '' || database === own || !connectable) continue;
    await change(context, database, [], async (session, info) => {
      await actingFor(session, info, [name], async () => {
        for (const statement of releaseRoleSql(name)) await session.run(statement);
      });
    });
  }
}

function secrets(password: PasswordValue): string[] {
  return password ? [password] : [];
}

async function passwordValue(password: string, name: string, encryption: string): Promise<PasswordValue> {
  if (password === '') return undefined;
  if (password.toUpperCase() === 'NULL') return null;
  return passwordVerifier(password, name, encryption);
}

export function roleAttributes(values: PropertyMap): RoleAttributes {
  return {
    name: text(values, 'name'),
    superuser: boolean(values, 'superuser'),
    createDatabase: boolean(values, 'createDatabase'),
    createRole: boolean(values, 'createRole'),
    inherit: boolean(values, 'inherit', true),
    login: boolean(values, 'login'),
    replication: boolean(values, 'replication'),
    bypassRowLevelSecurity: boolean(values, 'bypassRowLevelSecurity'),
    connectionLimit: integer(values, 'connectionLimit', -1),
    validUntil: optionalText(values, 'validUntil'),
    roles: texts(values, 'roles'),
    searchPaths: texts(values, 'searchPaths'),
    statementTimeout: integer(values, 'statementTimeout'),
    idleInTransactionSessionTimeout: integer(values, 'idleInTransactionSessionTimeout'),
    assumeRole: text(values, 'assumeRole'),
  };
}

function askRole({ server, signal }: Context, name: string, validUntil = ''): Promise<PropertyMap | undefined> {
  return server.session(server.config.database, signal, (session) => liveRole(session, name, validUntil));
}

interface RoleRow {
  readonly name: string;
  readonly superuser: boolean;
  readonly inherit: boolean;
  readonly create_role: boolean;
  readonly create_database: boolean;
  readonly login: boolean;
  readonly replication: boolean;
  readonly bypass: boolean;
  readonly connections: number;
  readonly valid_until: string;
  readonly same_time: boolean;
  readonly config: string[] | null;
  readonly roles: string[];
  readonly [column: string]: unknown;
}

/** A role as the server has it, without its password. `validUntil` keeps its spelling where it is the same time. */
async function liveRole(session: Session, name: string, validUntil: string): Promise<PropertyMap | undefined> {
  const [row] = await session.query<RoleRow>(
    `SELECT rolname::text AS name, rolsuper AS superuser, rolinherit AS inherit, rolcreaterole AS create_role,
              rolcreatedb AS create_database, rolcanlogin AS login, rolreplication AS replication,
              rolbypassrls AS bypass, rolconnlimit AS connections, rolconfig AS config,
              COALESCE(rolvaliduntil::text, 'infinity') AS valid_until,
              COALESCE(rolvaliduntil, 'infinity') = COALESCE(NULLIF($2, '')::timestamptz, 'infinity') AS same_time,
              ARRAY(SELECT DISTINCT pg_catalog.pg_get_userbyid(m.roleid)::text FROM pg_catalog.pg_auth_members m
                     WHERE m.member = r.oid ORDER BY 1) AS roles
         FROM pg_catalog.pg_roles r WHERE rolname = $1`,
    [name, validUntil],
  );
  if (!row) return undefined;
  return {
    name: row.name,
    superuser: row.superuser,
    inherit: row.inherit,
    createRole: row.create_role,
    createDatabase: row.create_database,
    login: row.login,
    replication: row.replication,
    bypassRowLevelSecurity: row.bypass,
    connectionLimit: row.connections,
    validUntil: row.same_time && validUntil !== '' ? validUntil : row.valid_until,
    roles: row.roles,
    ...parseSettings(row.config ?? []),
  };
}
