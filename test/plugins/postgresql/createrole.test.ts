import assert from 'node:assert/strict';
import type { PluginClient } from '../client.ts';
import { SERVERS, useServer } from './fixture.ts';

for (const [server, options] of SERVERS) {
  describe(`postgresql: an administrator with CREATEROLE and CREATEDB only, on ${server}`, function () {
    this.timeout(20_000);
    const f = useServer(options);
    let admin: PluginClient;

    async function memberships(): Promise<string[]> {
      const found = await f.db.query<{ membership: string }>(
        `SELECT roleid::regrole || ' to ' || member::regrole AS membership FROM pg_auth_members
          WHERE roleid::regrole::text NOT LIKE 'pg\\_%' AND NOT admin_option`,
      );
      return found.map((row) => row.membership).sort();
    }

    before(async () => {
      await f.db.query("CREATE ROLE admin LOGIN CREATEROLE CREATEDB PASSWORD 'limited'");
      admin = await f.connectAs({ username: 'admin', password: 'limited', superuser: 'false' });
    });

    it('makes and removes a whole tenant, and keeps no membership', async () => {
      const owner = await f.create('Role', { name: 'tenant', login: true, password: 'p' }, admin);
      const reader = await f.create('Role', { name: 'guest' }, admin);
      const database = await f.create('Database', { name: 'tenant', owner: 'tenant' }, admin);
      assert.equal(database.state.owner, 'tenant');
      const schema = await f.create('Schema', { name: 'app', database: 'tenant', owner: 'tenant' }, admin);
      assert.equal(schema.state.owner, 'tenant');
      await f.db.query('CREATE TABLE app.orders (); CREATE TABLE app.items ()', {
        database: 'tenant',
        user: 'tenant',
        password: 'p',
      });
      const base = { role: 'guest', database: 'tenant', schema: 'app' };
      const grants = [
        await f.create('Grant', { ...base, schema: null, objectType: 'database', privileges: ['CONNECT'] }, admin),
        await f.create('Grant', { ...base, objectType: 'schema', privileges: ['USAGE'] }, admin),
        await f.create('Grant', { ...base, objectType: 'table', privileges: ['SELECT'] }, admin),
      ];
      const defaults = await f.create(
        'DefaultPrivileges',
        { ...base, owner: 'tenant', objectType: 'table', privileges: ['SELECT'] },
        admin,
      );
      await f.db.query('CREATE TABLE app.later ()', { database: 'tenant', user: 'tenant', password: 'p' });
      for (const table of ['app.orders', 'app.later']) {
        const answer = await f.db.query<{ may: boolean }>('SELECT has_table_privilege($1, $2, $3) AS may', {
          database: 'tenant',
          values: ['guest', table, 'SELECT'],
        });
        assert.deepEqual(answer, [{ may: true }]);
      }
      const grantRole = await f.create('GrantRole', { role: 'guest', grantRole: 'tenant' }, admin);
      assert.deepEqual(await memberships(), ['tenant to guest']);
      await f.remove('GrantRole', grantRole, admin);
      for (const grant of grants) await f.remove('Grant', grant, admin);
      await f.remove('DefaultPrivileges', defaults, admin);
      await f.remove('Schema', { ...schema, state: { ...schema.state, dropCascade: true } }, admin);
      await f.remove('Role', reader, admin);
      await f.remove('Database', database, admin);
      await f.remove('Role', owner, admin);
      assert.deepEqual(await memberships(), []);
      assert.deepEqual(await f.db.query("SELECT 1 FROM pg_roles WHERE rolname IN ('tenant', 'guest')"), []);
    });

    it('takes a lasting membership in a role that it made, and finds no difference', async () => {
      const role = await f.create('Role', { name: 'mine' }, admin);
      const inputs = { role: 'admin', grantRole: 'mine' };
      const grantRole = await f.create('GrantRole', inputs, admin);
      assert.deepEqual(await memberships(), ['mine to admin']);
      const refreshed = await f.refresh('GrantRole', grantRole, admin);
      assert.deepEqual(await f.changes('GrantRole', { ...refreshed, inputs: grantRole.inputs }, inputs), []);
      await f.remove('GrantRole', refreshed, admin);
      assert.deepEqual(await memberships(), []);
      await f.remove('Role', role, admin);
    });

    it('makes two databases of one owner at once', async () => {
      const owner = await f.create('Role', { name: 'twice' }, admin);
      const made = await Promise.all(
        ['one', 'two', 'three'].map((name) => f.create('Database', { name, owner: 'twice' }, admin)),
      );
      assert.deepEqual(await memberships(), []);
      await Promise.all(made.map((database) => f.remove('Database', database, admin)));
      await f.remove('Role', owner, admin);
      assert.deepEqual(await memberships(), []);
    });

    it('releases a role that owns things elsewhere', async () => {
      const owner = await f.create('Role', { name: 'wide' }, admin);
      const database = await f.create('Database', { name: 'wide', owner: 'wide' }, admin);
      await f.db.query('SET ROLE wide; CREATE SCHEMA mine CREATE TABLE t ()', { database: 'wide' });
      await f.remove('Role', owner, admin);
      const after = await f.refresh('Database', database, admin);
      assert.equal(after.state.owner, 'admin');
      await f.remove('Database', after, admin);
      assert.deepEqual(await memberships(), []);
    });

    it('is told which right it lacks', async () => {
      await assert.rejects(
        f.create('Role', { name: 'root', superuser: true }, admin),
        /CREATE ROLE "root".*: (?:must be superuser|permission denied).*The connected role "admin" lacks the right/s,
      );
      await assert.rejects(
        f.create(
          'Grant',
          { role: 'admin', database: 'postgres', objectType: 'database', privileges: ['CREATE'] },
          admin,
        ),
        /no privileges were granted for "postgres"\. The connected role "admin" lacks the right/,
      );
    });
  });
}
