import assert from 'node:assert/strict';
import type { PropertyMap } from '../../../plugins/framework/values.ts';
import type { Existing } from '../client.ts';
import { SERVERS, token, useSample, useServer } from './fixture.ts';

for (const [server, options] of SERVERS) {
  describe(`postgresql: privileges on ${server}`, function () {
    this.timeout(20_000);
    const it18 = server === 'PostgreSQL 18' ? it : it.skip;
    const f = useServer({ ...options, settings: ["log_statement = 'all'"] });
    const rows = useSample(f);

    describe('Grant', () => {
      const base = { role: 'reader', database: 'app', schema: 'app' };
      const has = async (table: string, privilege: string, role = 'reader') =>
        (await rows('SELECT has_table_privilege($1, $2, $3)', [role, table, privilege], 'app'))[0]?.[0];

      it('ALL is no perpetual difference, and an explicit full list is the same', async () => {
        for (const objectType of ['table', 'sequence', 'schema', 'database']) {
          const inputs = {
            ...base,
            objectType,
            privileges: ['ALL'],
            ...(objectType === 'database' ? { schema: null } : {}),
          };
          const grant = await f.create('Grant', inputs);
          const refreshed = await f.refresh('Grant', grant);
          assert.deepEqual(refreshed.state.privileges, ['ALL'], objectType);
          assert.deepEqual(await f.changes('Grant', refreshed, inputs), [], objectType);
          await f.remove('Grant', refreshed);
        }
        assert.equal(await has('app.orders', 'SELECT'), false);
      });

      it('applies the difference: what is kept is never revoked', async () => {
        const inputs = { ...base, objectType: 'table', privileges: ['SELECT', 'INSERT'] };
        const grant = await f.create('Grant', inputs);
        assert.equal(grant.id, 'reader_app_app_table');
        assert.equal(await has('app.recent', 'SELECT'), true);
        const logged = f.db.log().length;
        const next = await f.update('Grant', grant, { ...inputs, privileges: ['UPDATE', 'SELECT'] });
        const statements = f.db.log().slice(logged);
        assert.match(statements, /REVOKE INSERT ON ALL TABLES IN SCHEMA "app" FROM "reader"/);
        assert.match(statements, /GRANT UPDATE ON ALL TABLES IN SCHEMA "app" TO "reader"/);
        assert.doesNotMatch(statements, /(?:REVOKE|GRANT) [^"]*(?:SELECT|ALL) [^"]*ON/);
        assert.deepEqual(next.state.privileges, ['SELECT', 'UPDATE']);
        assert.deepEqual([await has('app.items', 'INSERT'), await has('app.items', 'UPDATE')], [false, true]);
        await f.db.query('REVOKE SELECT ON app.items FROM reader', { database: 'app' });
        const drifted = await f.refresh('Grant', next);
        assert.deepEqual(drifted.state.privileges, ['UPDATE']);
        const detail = await f.client.diff(token('Grant'), 'test', drifted, next.inputs);
        assert.deepEqual(detail.detailedDiff, { 'privileges[1]': { kind: 'add', inputDiff: false } });
        await f.update('Grant', drifted, next.inputs);
        assert.equal(await has('app.items', 'SELECT'), true);
        await f.remove('Grant', next);
        assert.equal(await has('app.items', 'SELECT'), false);
      });

      it('to more tables is a replacement that deletes first; its id orders the tables as Terraform does', async () => {
        const grant = await f.create('Grant', {
          ...base,
          objectType: 'table',
          objects: ['orders'],
          privileges: ['SELECT'],
        });
        const { inputs } = await f.client.check(token('Grant'), 'test', {
          ...grant.inputs,
          objects: ['orders', 'items'],
        });
        const diff = await f.client.diff(token('Grant'), 'test', grant, inputs);
        assert.deepEqual([diff.replaces, diff.deleteBeforeReplace], [['objects'], true]);
        await f.remove('Grant', grant);
        const both = await f.create('Grant', inputs);
        // CRC-32: items 1114443197, orders 2740240733.
        assert.equal(both.id, 'reader_app_app_table_items_orders');
        assert.deepEqual([await has('app.orders', 'SELECT'), await has('app.items', 'SELECT')], [true, true]);
        await f.remove('Grant', both);
      });

      it('columns, overloaded functions and grant options', async () => {
        const column = await f.create('Grant', {
          ...base,
          objectType: 'column',
          objects: ['orders'],
          columns: ['note'],
          privileges: ['SELECT'],
        });
        const columns =
          "SELECT has_column_privilege('reader', 'app.orders', 'note', 'SELECT') AS note, has_column_privilege('reader', 'app.orders', 'id', 'SELECT') AS id";
        assert.deepEqual(await rows(columns, [], 'app'), [[true, false]]);
        // A grant on the table that takes nothing does not take the column's.
        const table = await f.create('Grant', {
          ...base,
          objectType: 'table',
          objects: ['orders'],
          privileges: ['INSERT'],
        });
        assert.deepEqual(await rows(columns, [], 'app'), [[true, false]]);
        assert.deepEqual(await f.changes('Grant', await f.refresh('Grant', column), column.inputs), []);
        await f.remove('Grant', table);
        await f.remove('Grant', column);
        await f.db.query('REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA app FROM PUBLIC', { database: 'app' });
        const routine = await f.create('Grant', {
          ...base,
          objectType: 'function',
          objects: ['twice(integer)'],
          privileges: ['EXECUTE'],
          withGrantOption: true,
        });
        const execute =
          "SELECT has_function_privilege('reader', 'app.twice(int)', 'EXECUTE WITH GRANT OPTION') AS number, has_function_privilege('reader', 'app.twice(text)', 'EXECUTE') AS text";
        assert.deepEqual(await rows(execute, [], 'app'), [[true, false]]);
        assert.deepEqual(await f.changes('Grant', await f.refresh('Grant', routine), routine.inputs), []);
        await f.remove('Grant', routine);
        assert.deepEqual(await rows(execute, [], 'app'), [[false, false]]);
      });

      it('PUBLIC is a grantee like any other: what it has by default is seen and taken', async () => {
        const grant = await f.create('Grant', {
          role: 'public',
          database: 'app',
          objectType: 'database',
          privileges: [],
        });
        assert.equal(grant.id, 'public_app_database');
        assert.deepEqual(await rows("SELECT has_database_privilege('reader', 'app', 'CONNECT')"), [[false]]);
        assert.deepEqual(await f.changes('Grant', await f.refresh('Grant', grant), grant.inputs), []);
        await f.db.query('GRANT CONNECT ON DATABASE app TO PUBLIC');
        assert.deepEqual(await f.changes('Grant', await f.refresh('Grant', grant), grant.inputs), ['privileges']);
      });

      it('of a role, schema or database that is gone is gone too', async () => {
        const grant = await f.create('Grant', { ...base, objectType: 'schema', privileges: ['USAGE'] });
        const parts: PropertyMap[] = [{ role: 'nobody' }, { schema: 'nowhere' }, { database: 'nothing' }];
        for (const gone of parts) {
          const existing: Existing = { ...grant, state: { ...grant.state, ...gone } };
          assert.equal((await f.refresh('Grant', existing)).id, '');
          await f.remove('Grant', existing);
        }
        await f.remove('Grant', grant);
        await assert.rejects(f.client.read(token('Grant'), 'test', { id: grant.id }), /cannot be imported/);
      });

      it18('MAINTAIN is granted', async () => {
        const grant = await f.create('Grant', {
          ...base,
          objectType: 'table',
          objects: ['orders'],
          privileges: ['MAINTAIN'],
        });
        assert.equal(await has('app.orders', 'MAINTAIN'), true);
        await f.remove('Grant', grant);
      });

      it('MAINTAIN before PostgreSQL 17 says what there is', async function () {
        if (server === 'PostgreSQL 18') this.skip();
        await assert.rejects(
          f.create('Grant', { ...base, objectType: 'table', privileges: ['MAINTAIN'] }),
          /PostgreSQL 15 has no privilege MAINTAIN on a table: it has DELETE/,
        );
      });
    });

    describe('DefaultPrivileges', () => {
      it('reach tables that the owner makes later, and are read back', async () => {
        const inputs = {
          role: 'reader',
          database: 'app',
          schema: 'app',
          owner: 'app_owner',
          objectType: 'table',
          privileges: ['SELECT'],
        };
        const granted = await f.create('DefaultPrivileges', inputs);
        assert.equal(granted.id, 'reader_app_app_app_owner_table');
        await f.db.query('SET ROLE app_owner; CREATE TABLE app.later ()', { database: 'app' });
        assert.deepEqual(await rows("SELECT has_table_privilege('reader', 'app.later', 'SELECT')", [], 'app'), [
          [true],
        ]);
        const more = await f.update('DefaultPrivileges', granted, { ...inputs, privileges: ['ALL'] });
        assert.deepEqual(
          await f.changes('DefaultPrivileges', await f.refresh('DefaultPrivileges', more), more.inputs),
          [],
        );
        await f.db.query(
          'ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA app REVOKE INSERT ON TABLES FROM reader',
          { database: 'app' },
        );
        assert.deepEqual(
          await f.changes('DefaultPrivileges', await f.refresh('DefaultPrivileges', more), more.inputs),
          ['privileges'],
        );
        await f.remove('DefaultPrivileges', more);
        assert.deepEqual(await rows('SELECT 1 FROM pg_default_acl', [], 'app'), []);
        assert.equal((await f.refresh('DefaultPrivileges', more)).id, '');
      });

      it('take from PUBLIC what it gets by itself', async () => {
        const inputs = { role: 'public', database: 'app', owner: 'app_owner', objectType: 'function', privileges: [] };
        const granted = await f.create('DefaultPrivileg', inputs);
        assert.equal(granted.id, 'public_app_noschema_app_owner_function');
        await f.db.query("SET ROLE app_owner; CREATE FUNCTION app.hidden() RETURNS int LANGUAGE sql AS 'SELECT 1'", {
          database: 'app',
        });
        assert.deepEqual(await rows("SELECT has_function_privilege('reader', 'app.hidden()', 'EXECUTE')", [], 'app'), [
          [false],
        ]);
        assert.deepEqual(
          await f.changes('DefaultPrivileg', await f.refresh('DefaultPrivileg', granted), granted.inputs),
          [],
        );
        await f.remove('DefaultPrivileg', granted);
      });
    });
  });
}
