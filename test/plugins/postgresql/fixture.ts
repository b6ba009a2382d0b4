/** A server and the plugin connected to it, for the tests of one `describe`. */

import { existsSync } from 'node:fs';
import type { PropertyMap } from '../../../plugins/framework/values.ts';
import { plugin } from '../../../plugins/postgresql/plugin.ts';
import { POSTGRES_15, type PostgresOptions, startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { connect, type Existing, type PluginClient } from '../client.ts';

/** `Role` is `postgresql:index/role:Role`. */
export function token(type: string): string {
  return `postgresql:index/${type[0]?.toLowerCase()}${type.slice(1)}:${type}`;
}

/** The servers that the core is tested with: npm's, and Debian's 15 where it is installed. */
export const SERVERS: readonly (readonly [string, PostgresOptions])[] = [
  ['PostgreSQL 18', {}],
  ...(existsSync(`${POSTGRES_15}/initdb`) ? [['PostgreSQL 15', { binaries: POSTGRES_15 }] as const] : []),
];

export interface Fixture {
  readonly db: TestPostgres;
  readonly client: PluginClient;
  /** Another provider for the same server, as another engine or another login has it. */
  connectAs(inputs?: PropertyMap): Promise<PluginClient>;
  create(type: string, inputs: PropertyMap, client?: PluginClient): Promise<Existing>;
  /** Check, diff and update; throws when the diff asks for a replacement. */
  update(type: string, existing: Existing, inputs: PropertyMap, client?: PluginClient): Promise<Existing>;
  refresh(type: string, existing: Existing, client?: PluginClient): Promise<Existing>;
  remove(type: string, existing: Existing, client?: PluginClient): Promise<void>;
  /** The properties that a preview of the same inputs would show as changed. */
  changes(type: string, existing: Existing, inputs?: PropertyMap): Promise<readonly string[]>;
}

/** Starts both before the tests and ends both after them. */
export function useServer(options: PostgresOptions = {}): Fixture {
  const state: { db?: TestPostgres; client?: PluginClient; others: PluginClient[] } = { others: [] };
  const need = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('the server is not started yet');
    return value;
  };
  before(async function () {
    this.timeout(60_000);
    state.db = await startPostgres(options);
    state.client = await fixture.connectAs();
  });
  after(async () => {
    for (const client of state.others) await client.close();
    await state.db?.stop();
  });
  const fixture: Fixture = {
    get db() {
      return need(state.db);
    },
    get client() {
      return need(state.client);
    },
    async connectAs(inputs = {}) {
      const client = await connect(plugin);
      state.others.push(client);
      const { host, port, password } = need(state.db);
      // As the SDK sends them: everything but texts as JSON.
      await client.configure({ host, port: JSON.stringify(port), password, sslmode: 'disable', ...inputs });
      return client;
    },
    create: (type, inputs, client = need(state.client)) => client.checkAndCreate(token(type), 'test', inputs),
    async update(type, existing, news, client = need(state.client)) {
      const { inputs, failures } = await client.check(token(type), 'test', news, existing.inputs);
      if (failures.length > 0) throw new Error(failures.map(({ reason }) => reason).join('; '));
      const diff = await client.diff(token(type), 'test', existing, inputs);
      if (diff.replaces && diff.replaces.length > 0)
        throw new Error(`${type} is replaced for ${diff.replaces.join(', ')}`);
      const { state: after } = await client.update(token(type), 'test', existing, inputs);
      return { id: existing.id, state: after, inputs };
    },
    refresh: (type, existing, client = need(state.client)) => client.read(token(type), 'test', existing),
    remove: (type, existing, client = need(state.client)) => client.delete(token(type), 'test', existing),
    async changes(type, existing, news) {
      const client = need(state.client);
      const inputs =
        news === undefined ? existing.inputs : (await client.check(token(type), 'test', news, existing.inputs)).inputs;
      return (await client.diff(token(type), 'test', existing, inputs)).diffs ?? [];
    },
  };
  return fixture;
}

/** An application's database `app` with an owner, two more roles, and some of each kind of object. */
export function useSample(f: Fixture): (text: string, values?: unknown[], database?: string) => Promise<unknown[][]> {
  before(async () => {
    await f.db.query('CREATE ROLE app_owner; CREATE ROLE reader; CREATE ROLE writer');
    await f.db.query('CREATE DATABASE app OWNER app_owner');
    await f.db.query(
      `SET ROLE app_owner; CREATE SCHEMA app; CREATE TABLE app.orders (id int, note text);
         CREATE TABLE app.items (id int); CREATE SEQUENCE app.numbers; CREATE VIEW app.recent AS SELECT * FROM app.orders;
         CREATE FUNCTION app.twice(a int) RETURNS int LANGUAGE sql AS 'SELECT 2 * a';
         CREATE FUNCTION app.twice(a text) RETURNS text LANGUAGE sql AS 'SELECT a || a'`,
      { database: 'app' },
    );
  });
  return async (text, values = [], database = 'postgres') => {
    const found = await f.db.query<Record<string, unknown>>(text, { values, database });
    return found.map((row) => Object.values(row));
  };
}
