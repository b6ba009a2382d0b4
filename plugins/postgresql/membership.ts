/**
 * What a role that is no superuser has to do before it may act for another role. Since PostgreSQL 16 CREATEROLE alone
 * gives neither the use of a created role's privileges nor SET ROLE (documentation 22.2 and 5.8, release notes 16):
 * both are granted for as long as they are needed, and taken back.
 */

import type { ServerInfo, Session } from './connection.ts';
import { lockKey, roleLock } from './locks.ts';
import { identifier } from './sql/quote.ts';

const OPTIONS_SINCE = 16;

/** The statement that makes the connected role act for `role`. */
export function actForSql(role: string, version: number): string {
  const options = version >= OPTIONS_SINCE ? ' WITH INHERIT TRUE, SET TRUE' : '';
  return `GRANT ${identifier(role)} TO CURRENT_USER${options}`;
}

/** Takes back only what `actForSql` gave: other grantors' grants stay. */
export function stopActingForSql(role: string, version: number): string {
  const by = version >= OPTIONS_SINCE ? ' GRANTED BY CURRENT_USER' : '';
  return `REVOKE ${identifier(role)} FROM CURRENT_USER${by}`;
}

interface Standing {
  readonly acts: boolean;
  readonly superuser: boolean;
  /** The role is itself a member of the connected one: PostgreSQL allows no circle. */
  readonly circle: boolean;
}

async function standing(session: Session, role: string, version: number): Promise<Standing | undefined> {
  const set = version >= OPTIONS_SINCE ? 'SET' : 'MEMBER';
  const [row] = await session.query<Standing & Record<string, unknown>>(
    `SELECT pg_catalog.pg_has_role(current_user, r.oid, 'USAGE')
              AND pg_catalog.pg_has_role(current_user, r.oid, '${set}') AS acts,
            r.rolsuper AS superuser,
            r.rolname <> current_user AND pg_catalog.pg_has_role(r.oid, current_user, 'MEMBER') AS circle
       FROM pg_catalog.pg_roles r WHERE r.rolname = $1`,
    [role],
  );
  return row;
}

/**
 * Runs `work` while the connected role acts for each of `roles` that exists. A superuser needs nothing for it, and is not
 * asked which they are. Outside a transaction the caller holds the locks of the roles.
 */
export async function actingFor<T>(
  session: Session,
  info: ServerInfo,
  roles: readonly string[] | (() => Promise<readonly string[]>),
  work: () => Promise<T>,
): Promise<T> {
  if (info.superuser) return work();
  const granted: string[] = [];
  const paused: string[] = [];
  const named = typeof roles === 'function' ? await roles() : roles;
  for (const role of [...new Set(named)].filter((name) => name !== '' && name !== info.user).sort()) {
    // A membership that somebody else has taken for a moment would be gone before it is used.
    await session.query('SELECT pg_catalog.pg_advisory_xact_lock($1)', [lockKey(roleLock(role))]);
    const found = await standing(session, role, info.version);
    // Acting for a superuser cannot be granted; the statement itself will say what is missing.
    if (!found || found.acts || found.superuser || role.startsWith('pg_')) continue;
    if (found.circle) {
      await session.run(`REVOKE ${identifier(info.user)} FROM ${identifier(role)}`);
      paused.push(role);
    }
    await session.run(actForSql(role, info.version));
    granted.push(role);
  }
  let failed = true;
  try {
    const result = await work();
    failed = false;
    return result;
  } finally {
    const undo = async () => {
      for (const role of granted) {
        if (await exists(session, role)) await session.run(stopActingForSql(role, info.version));
      }
      for (const role of paused) {
        if (await exists(session, role)) await session.run(`GRANT ${identifier(info.user)} TO ${identifier(role)}`);
      }
    };
    // In a transaction a failure has undone the grants already, and the server refuses every further statement.
    await session.tidy(() => (failed ? undo().catch(() => undefined) : undo()));
  }
}

async function exists(session: Session, role: string): Promise<boolean> {
  return (await session.query('SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1', [role])).length > 0;
}
