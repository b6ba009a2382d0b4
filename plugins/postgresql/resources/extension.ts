/** postgresql.Extension. */

import type { PropertyMap } from '../../framework/values.ts';
import { boolean, optionalText, text } from '../plain.ts';
import { alterExtensionSql, createExtensionSql, dropExtensionSql, type ExtensionAttributes } from '../sql/schema.ts';
import { type Context, change, databaseLock, type Handler, splitId, whereThere } from './handler.ts';

export const extension: Handler = {
  async create(context, values) {
    const database = databaseOf(context, values);
    await change(context, database, [databaseLock(database)], (session) =>
      session.run(createExtensionSql(extensionAttributes(values))),
    );
    return { id: `${database}.${text(values, 'name')}` };
  },

  async read(context, id, values) {
    const [database, name] = values.name
      ? [databaseOf(context, values), text(values, 'name')]
      : splitId(id, 'extension');
    const live = await whereThere(() => liveExtension(context, database, name));
    return live && { id: `${database}.${name}`, values: { ...values, ...live, database, name } };
  },

  async update(context, olds, values) {
    const database = databaseOf(context, olds);
    const name = text(olds, 'name');
    const live = await liveExtension(context, database, name);
    if (!live) throw new Error(`extension "${name}" is not in database "${database}" any more: run pulumi refresh`);
    await change(context, database, [databaseLock(database)], async (session) => {
      for (const statement of alterExtensionSql(extensionAttributes({ ...live, name }), extensionAttributes(values))) {
        await session.run(statement);
      }
    });
    return undefined;
  },

  async delete(context, values) {
    const database = databaseOf(context, values);
    const name = text(values, 'name');
    if (!(await whereThere(() => liveExtension(context, database, name)))) return;
    await change(context, database, [databaseLock(database)], (session) =>
      session.run(dropExtensionSql(name, boolean(values, 'dropCascade'))),
    );
  },
};

function databaseOf({ server }: Context, values: PropertyMap): string {
  return text(values, 'database') || server.config.database;
}

export function extensionAttributes(values: PropertyMap): ExtensionAttributes {
  return {
    name: text(values, 'name'),
    schema: optionalText(values, 'schema'),
    version: optionalText(values, 'version'),
    createCascade: boolean(values, 'createCascade'),
  };
}

async function liveExtension(
  { server, signal }: Context,
  database: string,
  name: string,
): Promise<PropertyMap | undefined> {
  const [row] = await server.session(database, signal, (session) =>
    session.query<{ schema: string; version: string }>(
      `SELECT n.nspname::text AS schema, e.extversion AS version
         FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = $1`,
      [name],
    ),
  );
  return row && { ...row };
}
