import assert from 'node:assert/strict';
import { SERVERS, token, useSample, useServer } from './fixture.ts';

for (const [server, options] of SERVERS) {
  describe(`postgresql: databases, schemas, extensions on ${server}`, function () {
    this.timeout(20_000);
    const f = useServer({ ...options, settings: ["log_statement = 'all'"] });
    const rows = useSample(f);

    describe('Database, Schema and Extension', () => {
      it('are made, changed, imported and dropped, also with somebody connected', async () => {
        const database = await f.create('Database', { name: "d'b", owner: 'app_owner', lcCollate: 'C', lcCtype: 'C' });
        assert.deepEqual(
          { ...database.state },
          {
            ...{
              id: "d'b",
              name: "d'b",
              owner: 'app_owner',
              template: 'template0',
              encoding: 'UTF8',
              lcCollate: 'C',
              lcCtype: 'C',
            },
            ...{
              tablespaceName: 'pg_default',
              connectionLimit: -1,
              allowConnections: true,
              isTemplate: false,
              alterObjectOwnership: false,
            },
          },
        );
        const schema = await f.create('Schema', { name: 's.1', database: "d'b", owner: 'writer' });
        assert.equal(schema.id, "d'b.s.1");
        const extension = await f.create('Extension', { name: 'plpgsql', database: "d'b" });
        assert.equal(extension.id, "d'b.plpgsql");
        assert.equal(extension.state.schema, 'pg_catalog');
        for (const [type, existing] of [
          ['Database', database],
          ['Schema', schema],
          ['Extension', extension],
        ] as const) {
          assert.deepEqual(await f.changes(type, existing), []);
        }
        const imported = await f.client.read(token('Database'), 'test', { id: "d'b" });
        assert.deepEqual(await f.changes('Database', imported, { name: "d'b", owner: 'app_owner' }), []);
        const moved = await f.update('Schema', schema, { name: 's.2', database: "d'b", owner: 'reader' });
        assert.deepEqual([moved.state.id, moved.state.owner], ["d'b.s.2", 'reader']);
        const other = await f.update('Database', database, {
          name: 'renamed',
          owner: 'writer',
          connectionLimit: 3,
          alterObjectOwnership: true,
        });
        assert.deepEqual([other.state.owner, other.state.connectionLimit], ['writer', 3]);
        const guest = f.db.query('SELECT pg_sleep(30)', { database: 'renamed' });
        const ended = assert.rejects(guest, /terminat/);
        while (
          (await rows("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sleep(30)' AND datname = 'renamed'"))
            .length === 0
        );
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
        await assert.rejects(
          f.remove('Schema', schema),
          /DROP SCHEMA "full" RESTRICT: cannot drop.*table "full"\.t|table "?full"?\.t/s,
        );
        await f.remove(
          'Schema',
          await f.update('Schema', schema, { name: 'full', database: 'app', dropCascade: true }),
        );
        assert.equal((await f.refresh('Schema', schema)).id, '');
      });

      it('policies of a schema are granted and taken', async () => {
        const inputs = { name: 'policed', database: 'app' };
        const schema = await f.create('Schema', {
          ...inputs,
          policies: [{ role: 'reader', usage: true }, { usage: true }],
        });
        const acl = 'SELECT array_to_string(nspacl, $$ $$) FROM pg_namespace WHERE nspname = $1';
        assert.match(String(await rows(acl, ['policed'], 'app')), /reader=U\/postgres/);
        assert.deepEqual(await f.changes('Schema', schema), []);
        const next = await f.update('Schema', schema, {
          ...inputs,
          policies: [{ role: 'writer', createWithGrant: true }],
        });
        const after = String(await rows(acl, ['policed'], 'app'));
        assert.match(after, /writer=C\*\/postgres/);
        assert.doesNotMatch(after, /reader=|(^| )=U/);
        await f.remove('Schema', next);
      });
    });
  });
}
