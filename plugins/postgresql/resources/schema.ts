/** postgresql.Schema. */

import type { PropertyMap } from '../../framework/values.ts';
import type { ServerInfo, Session } from '../connection.ts';
import { actingFor } from '../membership.ts';
import { boolean, maps, optionalText, text } from '../plain.ts';
import {
  alterSchemaSql,
  createSchemaSql,
  dropSchemaSql,
  grantPolicySql,
  revokePolicySql,
  type SchemaAttributes,
  type SchemaPolicy,
} from '../sql/schema.ts';
import {
  type Context,
  change,
  databaseLock,
  databaseOwner,
  type Found,
  type Handler,
  resolveOwner,
  roleExists,
  splitId,
  whereThere,
} from './handler.ts';

export const schema: Handler = {
  async create(context, values) {
    const database = databaseOf(context, values);
    const attributes = schemaAttributes(values);
    return change(context, database, [databaseLock(database)], async (session, info) => {
      const current = await liveOwner(session, attributes.name);
      const owners = async () => [
        await databaseOwner(session, database),
        attributes.owner ?? '',
        await resolveOwner(session, current ?? ''),
      ];
      if (current !== undefined && !boolean(values, 'ifNotExists', true)) {
        throw new Error(
          `schema "${attributes.name}" is in database "${database}" already: set ifNotExists, or import it`,
        );
      }
      const statements = [
        ...(current === undefined
          ? [createSchemaSql(attributes)]
          : alterSchemaSql({ name: attributes.name, owner: current }, attributes)),
        ...policies(values).flatMap((policy) => grantPolicySql(attributes.name, policy)),
      ];
      await actingFor(session, info, owners, async () => {
        for (const statement of statements) await session.run(statement);
      });
      return changedSchema(session, values, database, attributes.name);
    });
  },

  async read(context, id, values) {
    const [database, name] = values.name ? [databaseOf(context, values), text(values, 'name')] : splitId(id, 'schema');
    const owner = await whereThere(() =>
      context.server.session(database, context.signal, (session) => liveOwner(session, name)),
    );
    return owner === undefined ? undefined : foundSchema(values, database, name, owner);
  },

  async update(context, olds, values) {
    const database = databaseOf(context, olds);
    const old = text(olds, 'name');
    const next = schemaAttributes(values);
    return change(context, database, [databaseLock(database)], async (session, info) => {
      const current = await liveOwner(session, old);
      if (current === undefined)
        throw new Error(`schema "${old}" is not in database "${database}" any more: run pulumi refresh`);
      const owners = async () => [
        await databaseOwner(session, database),
        await resolveOwner(session, current),
        next.owner ?? '',
      ];
      await actingFor(session, info, owners, async () => {
        for (const statement of alterSchemaSql({ name: old, owner: current }, next)) await session.run(statement);
        for (const policy of removed(policies(olds), policies(values))) {
          if (!policy.role || (await roleExists(session, policy.role))) {
            await session.run(revokePolicySql(next.name, policy));
          }
        }
        for (const policy of policies(values)) {
          for (const statement of grantPolicySql(next.name, policy)) await session.run(statement);
        }
      });
      return changedSchema(session, values, database, next.name);
    });
  },

  async delete(context, values) {
    const database = databaseOf(context, values);
    const name = text(values, 'name');
    const drop = async (session: Session, info: ServerInfo) => {
      const owner = await liveOwner(session, name);
      if (owner === undefined) return;
      const owners = async () => [await resolveOwner(session, owner)];
      await actingFor(session, info, owners, () => session.run(dropSchemaSql(name, boolean(values, 'dropCascade'))));
    };
    await whereThere(() => change(context, database, [databaseLock(database)], drop));
  },
};

function foundSchema(values: PropertyMap, database: string, name: string, owner: string): Found {
  return { id: `${database}.${name}`, values: { policies: [], ...values, database, name, owner } };
}

/** What a change of this transaction has made of a schema. */
async function changedSchema(session: Session, values: PropertyMap, database: string, name: string): Promise<Found> {
  return foundSchema(values, database, name, (await liveOwner(session, name)) ?? '');
}

function databaseOf({ server }: Context, values: PropertyMap): string {
  return text(values, 'database') || server.config.database;
}

export function schemaAttributes(values: PropertyMap): SchemaAttributes {
  return { name: text(values, 'name'), owner: optionalText(values, 'owner') };
}

export function policies(values: PropertyMap): SchemaPolicy[] {
  return maps(values, 'policies').map((policy) => ({
    role: text(policy, 'role'),
    create: boolean(policy, 'create'),
    createWithGrant: boolean(policy, 'createWithGrant'),
    usage: boolean(policy, 'usage'),
    usageWithGrant: boolean(policy, 'usageWithGrant'),
  }));
}

/** Policies of roles that have none any more, or another one. */
export function removed(olds: readonly SchemaPolicy[], news: readonly SchemaPolicy[]): SchemaPolicy[] {
  const kept = new Set(news.map((policy) => JSON.stringify(policy)));
  return olds.filter((policy) => !kept.has(JSON.stringify(policy)));
}

async function liveOwner(session: Session, name: string): Promise<string | undefined> {
  const [row] = await session.query<{ owner: string }>(
    'SELECT pg_catalog.pg_get_userbyid(nspowner)::text AS owner FROM pg_catalog.pg_namespace WHERE nspname = $1',
    [name],
  );
  return row?.owner;
}
