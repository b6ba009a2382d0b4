import assert from 'node:assert/strict';
import { Secret } from '../../../plugins/framework/values.ts';
import { SERVERS, token, useServer } from './fixture.ts';

for (const [server, options] of SERVERS) {
  describe(`postgresql: resources on ${server}`, function () {
    this.timeout(20_000);
    const it18 = server === 'PostgreSQL 18' ? it : it.skip;
    const f = useServer(options);

    async function rows(text: string, values: unknown[] = [], database = 'postgres'): Promise<unknown[][]> {
      const found = await f.db.query<Record<string, unknown>>(text, { values, database });
      return found.map((row) => Object.values(row));
    }

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

    describe('Role', () => {
      it('logs in with the password, which the server never sees', async () => {
        const role = await f.create('Role', { name: 'login', login: true, password: "o'Password/1" });
        assert.ok(role.state.password instanceof Secret);
        assert.equal(role.state.password.value, "o'Password/1");
        assert.deepEqual(role.inputs.__defaults, ['connectionLimit', 'encryptedPassword', 'inherit', 'validUntil']);
        const as = { user: 'login', password: "o'Password/1" };
        assert.deepEqual(await f.db.query('SELECT current_user::text AS me', as), [{ me: 'login' }]);
        const [[verifier]] = (await rows("SELECT rolpassword FROM pg_authid WHERE rolname = 'login'")) as [[string]];
        assert.match(verifier, /^SCRAM-SHA-256\$4096:/);
        const next = await f.update('Role', role, { name: 'login', login: true, password: 'second' });
        await assert.rejects(f.db.query('SELECT 1', as), /password authentication failed/);
        await f.db.query('SELECT 1', { user: 'login', password: 'second' });
        await f.remove('Role', next);
        assert.deepEqual(await rows("SELECT 1 FROM pg_roles WHERE rolname = 'login'"), []);
      });

      it('has a name of its own when none is given, and keeps it', async () => {
        const first = await f.client.check(token('Role'), 'svc', {}, {}, new Uint8Array([1]));
        assert.match(String(first.inputs.name), /^svc-[0-9a-f]{7}$/);
        const again = await f.client.check(token('Role'), 'svc', {}, first.inputs, new Uint8Array([2]));
        assert.equal(again.inputs.name, first.inputs.name);
        assert.ok((again.inputs.__defaults as string[]).includes('name'));
      });

      it('shows drift in a refresh and repairs just that', async () => {
        const inputs = { name: 'drift', login: true, connectionLimit: 5, searchPaths: ['app', 'A, b'], roles: ['reader'] };
        const role = await f.create('Role', inputs);
        assert.deepEqual(await f.changes('Role', role), []);
        assert.deepEqual(role.state.searchPaths, ['app', 'A, b']);
        await f.db.query(
          `ALTER ROLE drift CREATEDB CONNECTION LIMIT 7; REVOKE reader FROM drift; GRANT writer TO drift;
           ALTER ROLE drift SET statement_timeout = '2min'; ALTER ROLE drift SET search_path = app`,
        );
        const drifted = await f.refresh('Role', role);
        assert.deepEqual(drifted.state.roles, ['writer']);
        assert.equal(drifted.state.statementTimeout, 120_000);
        assert.equal(drifted.inputs.connectionLimit, 7);
        assert.deepEqual([...(await f.changes('Role', drifted, inputs))].sort(), [
          'connectionLimit',
          'createDatabase',
          'roles',
          'searchPaths',
          'statementTimeout',
        ]);
        const repaired = await f.update('Role', drifted, inputs);
        assert.deepEqual({ ...repaired.state, password: null }, { ...role.state, password: null });
        await f.remove('Role', repaired);
      });

      it('leaves memberships alone that it was never given', async () => {
        const role = await f.create('Role', { name: 'member' });
        const grant = await f.create('GrantRole', { role: 'member', grantRole: 'reader' });
        assert.equal(grant.id, 'member_reader_false');
        const refreshed = await f.refresh('Role', role);
        assert.deepEqual(refreshed.state.roles, ['reader']);
        assert.deepEqual(await f.changes('Role', refreshed, { name: 'member' }), []);
        const changed = await f.update('Role', role, { name: 'member', login: true });
        assert.deepEqual(changed.state.roles, ['reader']);
        await f.remove('GrantRole', grant);
        assert.equal((await f.refresh('GrantRole', grant)).id, '');
        await f.remove('Role', changed);
      });

      it('is renamed, and imported with what differs from the defaults', async () => {
        const role = await f.create('Role', { name: 'before', createRole: true, validUntil: '2031-02-03T04:05:06Z' });
        assert.equal(role.state.validUntil, '2031-02-03T04:05:06Z');
        const renamed = await f.update('Role', role, { name: 'after', createRole: true, validUntil: '2031-02-03T04:05:06Z' });
        const imported = await f.client.read(token('Role'), 'test', { id: 'after' });
        assert.deepEqual(imported.inputs, {
          name: 'after',
          createRole: true,
          validUntil: '2031-02-03 04:05:06+00',
          __defaults: [],
        });
        assert.deepEqual(await f.changes('Role', imported, { name: 'after', createRole: true, validUntil: '2031-02-03T04:05:06Z' }), []);
        assert.equal((await f.client.read(token('Role'), 'test', { id: 'nobody' })).id, '');
        await f.remove('Role', renamed);
      });

      it('gives what it owns, in every database, to the connected role before it goes', async () => {
        const role = await f.create('Role', { name: 'leaving' });
        await f.db.query('GRANT leaving TO postgres; GRANT CREATE ON SCHEMA app TO leaving; SET ROLE leaving; CREATE TABLE app.left_behind ()', { database: 'app' });
        await f.remove('Role', role);
        assert.deepEqual(await rows("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'left_behind'", [], 'app'), [['postgres']]);
        await f.db.query('DROP TABLE app.left_behind', { database: 'app' });
      });

      it('with skipReassignOwned says what keeps it', async () => {
        const role = await f.create('Role', { name: 'stuck', skipReassignOwned: true });
        await f.db.query('GRANT CREATE ON SCHEMA app TO stuck; SET ROLE stuck; CREATE TABLE app.kept ()', { database: 'app' });
        await assert.rejects(
          f.remove('Role', role),
          /role "stuck" cannot be dropped.*in database "app": table app\.kept, privileges on schema app.*REASSIGN OWNED/,
        );
        const skip = await f.update('Role', role, { name: 'stuck', skipReassignOwned: true, skipDropRole: true });
        await f.remove('Role', skip);
        assert.equal((await rows("SELECT 1 FROM pg_roles WHERE rolname = 'stuck'")).length, 1);
        await f.db.query('DROP OWNED BY stuck', { database: 'app' });
        await f.db.query('DROP ROLE stuck');
      });
    });

    describe('Database, Schema and Extension', () => {
      it('are made, changed, imported and dropped, also with somebody connected', async () => {
        const database = await f.create('Database', { name: "d'b", owner: 'app_owner', lcCollate: 'C', lcCtype: 'C' });
        assert.deepEqual(
          { ...database.state },
          {
            ...{ id: "d'b", name: "d'b", owner: 'app_owner', template: 'template0', encoding: 'UTF8', lcCollate: 'C', lcCtype: 'C' },
            ...{ tablespaceName: 'pg_default', connectionLimit: -1, allowConnections: true, isTemplate: false, alterObjectOwnership: false },
          },
        );
        const schema = await f.create('Schema', { name: 's.1', database: "d'b", owner: 'writer' });
        assert.equal(schema.id, "d'b.s.1");
        const extension = await f.create('Extension', { name: 'plpgsql', database: "d'b" });
        assert.equal(extension.id, "d'b.plpgsql");
        assert.equal(extension.state.schema, 'pg_catalog');
        for (const [type, existing] of [['Database', database], ['Schema', schema], ['Extension', extension]] as const) {
          assert.deepEqual(await f.changes(type, existing), []);
        }
        const imported = await f.client.read(token('Database'), 'test', { id: "d'b" });
        assert.deepEqual(await f.changes('Database', imported, { name: "d'b", owner: 'app_owner' }), []);
        const moved = await f.update('Schema', schema, { name: 's.2', database: "d'b", owner: 'reader' });
        assert.deepEqual([moved.state.id, moved.state.owner], ["d'b.s.2", 'reader']);
        const other = await f.update('Database', database, { name: 'renamed', owner: 'writer', connectionLimit: 3, alterObjectOwnership: true });
        assert.deepEqual([other.state.owner, other.state.connectionLimit], ['writer', 3]);
        const guest = f.db.query('SELECT pg_sleep(30)', { database: 'renamed' });
        const ended = assert.rejects(guest, /terminat/);
        while ((await rows("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sleep(30)' AND datname = 'renamed'")).length === 0);
        await f.remove('Database', other);
        await ended;
        assert.deepEqual(await rows("SELECT 1 FROM pg_database WHERE datname IN ('renamed', 'd''b')"), []);
        // What was in it is gone with it, and says so without an error.
        assert.equal((await f.refresh('Schema', moved)).id, '');
        await f.remove('Schema', moved);
      });

      it('a schema that is there is used, or refused with ifNotExists false', async () => {
        const schema = await f.create('Schema', { name: 'public', database: 'app', owner: 'writer' });
        assert.equal(schema.state.owner, 'writer');
        await f.db.query('ALTER SCHEMA public OWNER TO pg_database_owner', { database: 'app' });
        await assert.rejects(
          f.create('Schema', { name: 'app', database: 'app', ifNotExists: false }),
          /schema "app" is in database "app" already: set ifNotExists, or import it/,
        );
      });

      it('a schema with tables is dropped with dropCascade only', async () => {
        const schema = await f.create('Schema', { name: 'full', database: 'app' });
        await f.db.query('CREATE TABLE "full".t ()', { database: 'app' });
        await assert.rejects(f.remove('Schema', schema), /DROP SCHEMA "full" RESTRICT: cannot drop.*table "full"\.t|table "?full"?\.t/s);
        await f.remove('Schema', await f.update('Schema', schema, { name: 'full', database: 'app', dropCascade: true }));
        assert.equal((await f.refresh('Schema', schema)).id, '');
      });

      it('policies of a schema are granted and taken', async () => {
        const inputs = { name: 'policed', database: 'app' };
        const schema = await f.create('Schema', { ...inputs, policies: [{ role: 'reader', usage: true }, { usage: true }] });
        const acl = 'SELECT array_to_string(nspacl, $$ $$) FROM pg_namespace WHERE nspname = $1';
        assert.match(String(await rows(acl, ['policed'], 'app')), /reader=U\/postgres/);
        assert.deepEqual(await f.changes('Schema', schema), []);
        const next = await f.update('Schema', schema, { ...inputs, policies: [{ role: 'writer', createWithGrant: true }] });
        const after = String(await rows(acl, ['policed'], 'app'));
        assert.match(after, /writer=C\*\/postgres/);
        assert.doesNotMatch(after, /reader=|(^| )=U/);
        await f.remove('Schema', next);
      });
    });

    describe('Grant', () => {
      const base = { role: 'reader', database: 'app', schema: 'app' };
      const has = async (table: string, privilege: string, role = 'reader') =>
        (await rows('SELECT has_table_privilege($1, $2, $3)', [role, table, privilege], 'app'))[0]?.[0];

      it('ALL is no perpetual difference, and an explicit full list is the same', async () => {
        for (const objectType of ['table', 'sequence', 'schema', 'database']) {
          const inputs = { ...base, objectType, privileges: ['ALL'], ...(objectType === 'database' ? { schema: null } : {}) };
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
        await f.db.query('ALTER SYSTEM SET log_statement = ddl; SELECT pg_reload_conf()').catch(() => undefined);
        const next = await f.update('Grant', grant, { ...inputs, privileges: ['UPDATE', 'SELECT'] });
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
        const grant = await f.create('Grant', { ...base, objectType: 'table', objects: ['orders'], privileges: ['SELECT'] });
        const { inputs } = await f.client.check(token('Grant'), 'test', { ...grant.inputs, objects: ['orders', 'items'] });
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
        const column = await f.create('Grant', { ...base, objectType: 'column', objects: ['orders'], columns: ['note'], privileges: ['SELECT'] });
        const columns = "SELECT has_column_privilege('reader', 'app.orders', 'note', 'SELECT'), has_column_privilege('reader', 'app.orders', 'id', 'SELECT')";
        assert.deepEqual(await rows(columns, [], 'app'), [[true, false]]);
        // A grant on the table that takes nothing does not take the column's.
        const table = await f.create('Grant', { ...base, objectType: 'table', objects: ['orders'], privileges: ['INSERT'] });
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
        const execute = "SELECT has_function_privilege('reader', 'app.twice(int)', 'EXECUTE WITH GRANT OPTION'), has_function_privilege('reader', 'app.twice(text)', 'EXECUTE')";
        assert.deepEqual(await rows(execute, [], 'app'), [[true, false]]);
        assert.deepEqual(await f.changes('Grant', await f.refresh('Grant', routine), routine.inputs), []);
        await f.remove('Grant', routine);
        assert.deepEqual(await rows(execute, [], 'app'), [[false, false]]);
      });

      it('PUBLIC is a grantee like any other: what it has by default is seen and taken', async () => {
        const grant = await f.create('Grant', { role: 'public', database: 'app', objectType: 'database', privileges: [] });
        assert.equal(grant.id, 'public_app_database');
        assert.deepEqual(await rows("SELECT has_database_privilege('reader', 'app', 'CONNECT')"), [[false]]);
        assert.deepEqual(await f.changes('Grant', await f.refresh('Grant', grant), grant.inputs), []);
        await f.db.query('GRANT CONNECT ON DATABASE app TO PUBLIC');
        assert.deepEqual(await f.changes('Grant', await f.refresh('Grant', grant), grant.inputs), ['privileges']);
      });

      it('of a role, schema or database that is gone is gone too', async () => {
        const grant = await f.create('Grant', { ...base, objectType: 'schema', privileges: ['USAGE'] });
        for (const gone of [{ role: 'nobody' }, { schema: 'nowhere' }, { database: 'nothing' }]) {
          const existing = { ...grant, state: { ...grant.state, ...gone } };
          assert.equal((await f.refresh('Grant', existing)).id, '');
          await f.remove('Grant', existing);
        }
        await f.remove('Grant', grant);
        await assert.rejects(f.client.read(token('Grant'), 'test', { id: grant.id }), /cannot be imported/);
      });

      it18('MAINTAIN is granted', async () => {
        const grant = await f.create('Grant', { ...base, objectType: 'table', objects: ['orders'], privileges: ['MAINTAIN'] });
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
        const inputs = { role: 'reader', database: 'app', schema: 'app', owner: 'app_owner', objectType: 'table', privileges: ['SELECT'] };
        const granted = await f.create('DefaultPrivileges', inputs);
        assert.equal(granted.id, 'reader_app_app_app_owner_table');
        await f.db.query('SET ROLE app_owner; CREATE TABLE app.later ()', { database: 'app' });
        assert.deepEqual(await rows("SELECT has_table_privilege('reader', 'app.later', 'SELECT')", [], 'app'), [[true]]);
        const more = await f.update('DefaultPrivileges', granted, { ...inputs, privileges: ['ALL'] });
        assert.deepEqual(await f.changes('DefaultPrivileges', await f.refresh('DefaultPrivileges', more), more.inputs), []);
        await f.db.query('ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA app REVOKE INSERT ON TABLES FROM reader', { database: 'app' });
        assert.deepEqual(await f.changes('DefaultPrivileges', await f.refresh('DefaultPrivileges', more), more.inputs), ['privileges']);
        await f.remove('DefaultPrivileges', more);
        assert.deepEqual(await rows('SELECT 1 FROM pg_default_acl', [], 'app'), []);
        assert.equal((await f.refresh('DefaultPrivileges', more)).id, '');
      });

      it('take from PUBLIC what it gets by itself', async () => {
        const inputs = { role: 'public', database: 'app', owner: 'app_owner', objectType: 'function', privileges: [] };
        const granted = await f.create('DefaultPrivilege'.slice(0, 15), inputs);
        assert.equal(granted.id, 'public_app_noschema_app_owner_function');
        await f.db.query("SET ROLE app_owner; CREATE FUNCTION app.hidden() RETURNS int LANGUAGE sql AS 'SELECT 1'", { database: 'app' });
        assert.deepEqual(await rows("SELECT has_function_privilege('reader', 'app.hidden()', 'EXECUTE')", [], 'app'), [[false]]);
        assert.deepEqual(await f.changes('DefaultPrivileg', await f.refresh('DefaultPrivileg', granted), granted.inputs), []);
        await f.remove('DefaultPrivileg', granted);
      });
    });

    describe('at once', () => {
      it('forty grants and memberships from three engines never collide', async function () {
        this.timeout(40_000);
        const engines = [f.client, await f.connectAs(), await f.connectAs({ maxConnections: '1' })];
        const roles = Array.from({ length: 10 }, (_, index) => `parallel_${index}`);
        const engine = (index: number) => engines[index % engines.length];
        await Promise.all(roles.map((name, index) => f.create('Role', { name, roles: ['reader'] }, engine(index))));
        const grants = roles.flatMap((role) => [
          ['Grant', { role, database: 'app', objectType: 'database', privileges: ['CONNECT'] }] as const,
          ['Grant', { role, database: 'app', schema: 'app', objectType: 'schema', privileges: ['USAGE'] }] as const,
          ['Grant', { role, database: 'app', schema: 'app', objectType: 'table', privileges: ['SELECT'] }] as const,
          ['DefaultPrivileges', { role, database: 'app', schema: 'app', owner: 'app_owner', objectType: 'table', privileges: ['SELECT'] }] as const,
          ['GrantRole', { role, grantRole: 'writer' }] as const,
        ]);
        const made = await Promise.all(grants.map(([type, inputs], index) => f.create(type, inputs, engine(index))));
        for (const role of roles) {
          const answer = await rows(
            `SELECT has_schema_privilege($1, 'app', 'USAGE'), has_table_privilege($1, 'app.orders', 'SELECT'), pg_has_role($1, 'writer', 'MEMBER')`,
            [role],
            'app',
          );
          assert.deepEqual(answer, [[true, true, true]], role);
        }
        await Promise.all(made.map((existing, index) => f.remove(grants[index]?.[0] ?? '', existing, engine(index))));
        await Promise.all(roles.map((name, index) => f.remove('Role', { id: name, state: { name }, inputs: {} }, engine(index))));
        assert.deepEqual(await rows("SELECT 1 FROM pg_roles WHERE rolname LIKE 'parallel%'"), []);
      });

      it('a change by somebody else in the same row is tried again', async () => {
        const collide = async () => {
          for (let index = 0; index < 30; index++) {
            await f.db.query('GRANT USAGE ON SCHEMA app TO writer; REVOKE USAGE ON SCHEMA app FROM writer', { database: 'app' }).catch(() => undefined);
          }
        };
        const ours = async () => {
          for (let index = 0; index < 15; index++) {
            const grant = await f.create('Grant', { role: 'reader', database: 'app', schema: 'app', objectType: 'schema', privileges: ['USAGE'] });
            await f.remove('Grant', grant);
          }
        };
        await Promise.all([collide(), ours()]);
      });
    });
  });
}
