/** postgresql.GrantRole: one membership. */

import type { PropertyMap } from '../../framework/values.ts';
import type { Session } from '../connection.ts';
import { boolean, text } from '../plain.ts';
import { grantRoleSql, type Membership, revokeAdminOptionSql, revokeRoleSql } from '../sql/role.ts';
import { change, type Handler, roleLock } from './handler.ts';

export const grantRole: Handler = {
  async create(context, values) {
    const membership = membershipOf(values);
    const { role, grantRole: granted, withAdminOption } = membership;
    await change(context, context.server.config.database, [roleLock(role)], async (session) => {
      const live = await liveMembership(session, membership);
      if (live === undefined || (withAdminOption && !live.admin)) await session.run(grantRoleSql(membership));
      else if (live.admin && !withAdminOption) await session.run(revokeAdminOptionSql(membership));
    });
    return { id: idOf(role, granted, withAdminOption ?? false) };
  },

  async read({ server, signal }, id, values) {
    if (!values.role) throw notImportable(id);
    const membership = membershipOf(values);
    const live = await server.session(server.config.database, signal, (session) => liveMembership(session, membership));
    if (!live) return undefined;
    return {
      id: idOf(membership.role, membership.grantRole, live.admin),
      values: { ...values, withAdminOption: live.admin },
    };
  },

  // Every property asks for a replacement.
  update: async () => undefined,

  async delete(context, values) {
    const membership = membershipOf(values);
    await change(context, context.server.config.database, [roleLock(membership.role)], async (session) => {
      if (await liveMembership(session, membership)) await session.run(revokeRoleSql(membership));
    });
  },
};

/** Types whose id cannot be taken apart again: names may hold the character between its parts. */
export function notImportable(id: string): Error {
  return new Error(
    `${id} cannot be imported (the official plugin does not import this type either): ` +
      'declare it and run pulumi up, which leaves in place what is granted already',
  );
}

function idOf(role: string, granted: string, admin: boolean): string {
  return [role, granted, String(admin)].join('_');
}

export function membershipOf(values: PropertyMap): Membership {
  return {
    role: text(values, 'role'),
    grantRole: text(values, 'grantRole'),
    withAdminOption: boolean(values, 'withAdminOption'),
  };
}

/**
 * Who makes a role becomes its administrator without the use of its privileges (since PostgreSQL 16): that is no
 * membership that anybody declared. Older servers have no such columns; there every membership gives the use.
 */
const USED = ['inherit_option', 'set_option']
  .map((column) => `COALESCE((pg_catalog.to_jsonb(m) ->> '${column}')::boolean, true)`)
  .join(' OR ');

async function liveMembership(
  session: Session,
  { role, grantRole: granted }: Membership,
): Promise<{ admin: boolean } | undefined> {
  const [row] = await session.query<{ admin: boolean | null }>(
    `SELECT bool_or(m.admin_option) AS admin FROM pg_catalog.pg_auth_members m
       JOIN pg_catalog.pg_roles member ON member.oid = m.member
       JOIN pg_catalog.pg_roles granted ON granted.oid = m.roleid
      WHERE member.rolname = $1 AND granted.rolname = $2 AND (${USED})`,
    [role, granted],
  );
  return row === undefined || row.admin === null ? undefined : { admin: row.admin };
}
