import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { Secret } from '../../../plugins/framework/values.ts';
import { POSTGRES_15 } from '../../support/postgres.ts';
import { SERVERS, token, useSample, useServer } from './fixture.ts';

for (const [server, options] of SERVERS) {
  describe(`postgresql: roles on ${server}`, function () {
    this.timeout(20_000);
    const f = useServer({ ...options, settings: ["log_statement = 'all'"] });
    const rows = useSample(f);

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
        assert.match(f.db.log(), /CREATE ROLE "login" WITH PASSWORD 'SCRAM-SHA-256/);
        assert.doesNotMatch(f.db.log(), /o''?Password|second/);
        await f.remove('Role', next);
        assert.deepEqual(await rows("SELECT 1 FROM pg_roles WHERE rolname = 'login'"), []);
      });

      it('a password beyond ASCII lets libpq in, which prepares it (SASLprep)', async function () {
        const psql = `${POSTGRES_15}/psql`;
        if (!existsSync(psql)) this.skip();
        const role = await f.create('Role', { name: 'unicode', login: true, password: 'p\u00e4ss\u00a0\u2168\u00ad' });
        const url = `postgresql://unicode@127.0.0.1:${f.db.port}/postgres`;
        const tried = (PGPASSWORD: string) =>
          promisify(execFile)(psql, ['-w', '-c', 'SELECT 1', url], { env: { PGPASSWORD } });
        await tried('p\u00e4ss\u00a0\u2168\u00ad');
        await tried('p\u00e4ss IX');
        await assert.rejects(tried('pass IX'), /password authentication failed/);
        await f.remove('Role', role);
      });

      it('has a name of its own when none is given, and keeps it', async () => {
        const first = await f.client.check(token('Role'), 'svc', {}, {}, new Uint8Array([1]));
        assert.match(String(first.inputs.name), /^svc-[0-9a-f]{7}$/);
        const again = await f.client.check(token('Role'), 'svc', {}, first.inputs, new Uint8Array([2]));
        assert.equal(again.inputs.name, first.inputs.name);
        assert.ok((again.inputs.__defaults as string[]).includes('name'));
      });

      it('shows drift in a refresh and repairs just that', async () => {
        const inputs = {
          name: 'drift',
          login: true,
          connectionLimit: 5,
          searchPaths: ['app', 'A, b'],
          roles: ['reader'],
        };
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
        const renamed = await f.update('Role', role, {
          name: 'after',
          createRole: true,
          validUntil: '2031-02-03T04:05:06Z',
        });
        const imported = await f.client.read(token('Role'), 'test', { id: 'after' });
        assert.deepEqual(imported.inputs, {
          name: 'after',
          createRole: true,
          validUntil: '2031-02-03 04:05:06+00',
          __defaults: [],
        });
        assert.deepEqual(
          await f.changes('Role', imported, { name: 'after', createRole: true, validUntil: '2031-02-03T04:05:06Z' }),
          [],
        );
        assert.equal((await f.client.read(token('Role'), 'test', { id: 'nobody' })).id, '');
        await f.remove('Role', renamed);
      });

      it('gives what it owns, in every database, to the connected role before it goes', async () => {
        const role = await f.create('Role', { name: 'leaving' });
        await f.db.query(
          'GRANT leaving TO postgres; GRANT CREATE ON SCHEMA app TO leaving; SET ROLE leaving; CREATE TABLE app.left_behind ()',
          { database: 'app' },
        );
        await f.remove('Role', role);
        assert.deepEqual(
          await rows("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'left_behind'", [], 'app'),
          [['postgres']],
        );
        await f.db.query('DROP TABLE app.left_behind', { database: 'app' });
      });

      it('with skipReassignOwned says what keeps it', async () => {
        const role = await f.create('Role', { name: 'stuck', skipReassignOwned: true });
        await f.db.query('GRANT CREATE ON SCHEMA app TO stuck; SET ROLE stuck; CREATE TABLE app.kept ()', {
          database: 'app',
        });
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
  });
}
