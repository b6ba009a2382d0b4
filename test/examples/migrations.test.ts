import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDatabase, type Database, EXAMPLE, migrate, prepareExample, runProgram } from './application.ts';
import { startServer, type TestServer } from './server.ts';

describe('orders: migrations', function () {
  this.timeout(30_000);
  let server: TestServer;
  let database: Database;
  let count = 0;

  before(async function () {
    this.timeout(300_000);
    await prepareExample();
    server = await startServer();
  });
  after(async () => await server?.destroy());
  beforeEach(async () => {
    count += 1;
    database = await createDatabase(server, `migrations_${count}`);
  });

  async function tables(): Promise<string[]> {
    const rows = await server.query<{ it: string }>(
      database.name,
      `SELECT tablename || ' ' || tableowner AS it FROM pg_tables WHERE schemaname = 'orders' ORDER BY tablename`,
    );
    return rows.map(({ it }) => it);
  }

  it('run once, and a second time change nothing', async () => {
    assert.deepEqual(await migrate(database), {
      code: 0,
      stdout: 'up 0001_orders\nup 0002_idempotency_keys\n',
      stderr: '',
    });
    const owner = `${database.name}_owner`;
    const expected = [`order_items ${owner}`, `orders ${owner}`, `schema_migrations ${owner}`];
    assert.deepEqual(await tables(), expected);
    const again = await migrate(database, 'up');
    assert.deepEqual(again, { code: 0, stdout: 'nothing to do: the schema is up to date\n', stderr: '' });
    assert.deepEqual(await tables(), expected);
  });

  it('can be taken back, one at a time', async () => {
    await migrate(database);
    assert.equal((await migrate(database, 'down')).stdout, 'down 0002_idempotency_keys\n');
    assert.equal((await migrate(database, 'down')).stdout, 'down 0001_orders\n');
    assert.deepEqual(await tables(), [`schema_migrations ${database.name}_owner`]);
    assert.equal((await migrate(database)).code, 0);
  });

  it('of two runs at once, one waits for the other', async () => {
    const both = await Promise.all([migrate(database), migrate(database)]);
    assert.deepEqual(
      both.map(({ code, stderr }) => [code, stderr]),
      [
        [0, ''],
        [0, ''],
      ],
    );
    assert.deepEqual(both.map(({ stdout }) => stdout.split('\n').length).sort(), [2, 3]);
  });

  it('that fail exit non-zero, say why, and leave everything as it was', async () => {
    await migrate(database);
    const directory = mkdtempSync(join(tmpdir(), 'orders-migrations-'));
    try {
      cpSync(join(EXAMPLE, 'migrations'), directory, { recursive: true });
      writeFileSync(join(directory, '0003_notes.sql'), '-- Up Migration\nCREATE TABLE notes (id bigint);\n');
      writeFileSync(
        join(directory, '0004_broken.sql'),
        '-- Up Migration\nALTER TABLE orders ADD COLUMN a nosuchtype;\n',
      );
      const before = await tables();
      const failed = await migrate(database, 'up', '--directory', directory);
      assert.equal(failed.code, 1);
      assert.equal(failed.stdout, '');
      assert.match(failed.stderr, /ADD COLUMN a nosuchtype;\n\s*\^\^\^\^/);
      assert.match(failed.stderr, /the migrations failed: type "nosuchtype" does not exist \(SQLSTATE 42704\)\n$/);
      assert.deepEqual(await tables(), before);
      // The repair.
      writeFileSync(join(directory, '0004_broken.sql'), '-- Up Migration\nALTER TABLE orders ADD COLUMN a text;\n');
      const repaired = await migrate(database, 'up', '--directory', directory);
      assert.equal(repaired.stdout, 'up 0003_notes\nup 0004_broken\n');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('name what is missing: the schema, the right to create, the server, the password', async () => {
    const last = (text: string) => text.trim().split('\n').at(-1);
    const application = await runProgram('migrate.js', [], database.application);
    assert.equal(application.code, 1);
    assert.equal(
      last(application.stderr),
      `the migrations failed: role "${database.name}_application" may not create in schema "orders": grant it CREATE`,
    );
    const away = await runProgram('migrate.js', [], { ...database.migrations, PGPORT: '1' });
    assert.equal(away.code, 1);
    assert.match(
      last(away.stderr) ?? '',
      /^the migrations failed: cannot connect to database "migrations_\d+" at localhost:1 as "\w+": (connect ECONNREFUSED (127\.0\.0\.1|::1):1(; )?)+$/,
    );
    const password = 'canary-of-a-wrong-password';
    const refused = await runProgram('migrate.js', [], { ...database.migrations, PGPASSWORD: password });
    assert.equal(refused.code, 1);
    assert.match(last(refused.stderr) ?? '', /password authentication failed for user .* \(SQLSTATE 28P01\)$/);
    assert.ok(!refused.stderr.includes(password));
    await server.query(database.name, 'DROP SCHEMA orders');
    const missing = await migrate(database);
    assert.equal(missing.code, 1);
    assert.match(
      last(missing.stderr) ?? '',
      /there is no schema "orders" in database "migrations_\d+": create it first$/,
    );
  });

  it('give the application its tables to write, and nothing to change in their form', async () => {
    await migrate(database);
    const as = (statement: string) => server.query(database.name, `SET ROLE ${database.name}_application`, statement);
    await as(`INSERT INTO orders.orders (customer, currency) VALUES ('ada', 'EUR')`);
    await assert.rejects(as('DROP TABLE orders.orders'), { code: '42501' });
    await assert.rejects(as('CREATE TABLE orders.mine (id bigint)'), { code: '42501' });
  });
});
