import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import pg from 'pg';
import { EngineError } from '../../../api/engine/engine.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { requestFor, startEngine, wantedDatabase } from './support.ts';

describe('the engine of the operations API', function () {
  this.timeout(120_000);
  let postgres: TestPostgres;
  let started: Awaited<ReturnType<typeof startEngine>>;
  before(async () => {
    postgres = await startPostgres();
    started = await startEngine(postgres);
  });
  after(async () => {
    await started?.close();
    await postgres?.stop();
  });

  const login = async (values: Readonly<Record<string, string>>, statement: string) => {
    const client = new pg.Client({
      host: values.PGHOST,
      port: Number(values.PGPORT),
      database: values.PGDATABASE,
      user: values.PGUSER,
      password: values.PGPASSWORD,
    });
    await client.connect();
    try {
      return (await client.query(statement)).rows;
    } finally {
      await client.end();
    }
  };
  const exists = async (name: string) => {
    const roles = await postgres.query('SELECT 1 FROM pg_roles WHERE rolname LIKE $1', { values: [`${name}\\_%`] });
    const databases = await postgres.query('SELECT 1 FROM pg_database WHERE datname = $1', { values: [name] });
    return { roles: roles.length, databases: databases.length };
  };

  /** Kills the CLI of one stack; there may be none yet, or no more. */
  const killEngine = (stack: string) =>
    spawnSync('pkill', ['-KILL', '-f', `pulumi up .*--stack ${stack} `], { stdio: 'ignore' });

  it('previews with SQL and without a password, changes nothing, and says the same twice', async () => {
    const request = requestFor(wantedDatabase('previewed'));
    const first = await started.engine.preview(request, 'apply');
    const second = await started.engine.preview(request, 'apply');
    assert.deepEqual(await exists('previewed'), { roles: 0, databases: 0 });
    assert.equal(first.hash, second.hash);
    assert.ok(first.steps.every(({ operation }) => operation === 'create'));
    const sql = first.steps.flatMap((step) => step.sql).join('\n');
    assert.match(sql, /CREATE DATABASE "previewed"/);
    assert.match(sql, /CREATE SCHEMA "app"/);
    assert.match(sql, /GRANT CONNECT/);
    const other = await started.engine.preview(
      requestFor(wantedDatabase('previewed', { schemas: ['a', 'b'] })),
      'apply',
    );
    assert.notEqual(other.hash, first.hash);
  });

  it('applies, hands the credentials out, finds drift, repairs it, and takes everything away', async () => {
    const request = requestFor(wantedDatabase('applied'));
    const steps: string[] = [];
    const made = await started.engine.apply({ ...request, onStep: ({ name }) => steps.push(name) });
    assert.ok(steps.length >= 10, `only ${steps.length} steps were told while it ran`);
    assert.deepEqual(Object.keys(made.credentials ?? {}).sort(), ['application', 'migrations']);
    const { application, migrations } = made.credentials ?? {};
    assert.ok(application && migrations);
    await login(migrations, 'CREATE TABLE app.orders (id int)');
    await login(application, 'INSERT INTO app.orders VALUES (1)');
    await assert.rejects(login(application, 'CREATE TABLE app.mine (id int)'), /permission denied/);

    assert.deepEqual((await started.engine.drift(request)).steps, []);
    await postgres.query('REVOKE USAGE ON SCHEMA app FROM applied_application', { database: 'applied' });
    const drift = await started.engine.drift(request);
    assert.equal(drift.steps.length, 1);
    assert.match(drift.steps[0]?.type ?? '', /Grant$/);
    await started.engine.apply(request);
    assert.deepEqual((await started.engine.drift(request)).steps, []);

    const graph = await started.engine.graph(request.stack);
    assert.ok(graph.nodes.length >= 10 && graph.edges.length >= 10);
    const rows = await postgres.query<{ data: unknown }>('SELECT data FROM pulumi_state', { database: 'operations' });
    const state = rows.map(({ data }) => Buffer.from((data as { data: string }).data, 'base64').toString()).join('\n');
    for (const secret of [application.PGPASSWORD, migrations.PGPASSWORD, postgres.password]) {
      assert.ok(secret && !state.includes(secret), 'a password is readable in the state');
    }

    await started.engine.destroy(request);
    assert.deepEqual(await exists('applied'), { roles: 0, databases: 0 });
    assert.deepEqual(await started.engine.graph(request.stack), { nodes: [], edges: [] });
  });

  it('gives new passwords where a rotation is asked for, and to nobody else', async () => {
    const request = requestFor(wantedDatabase('rotated'));
    const before = (await started.engine.apply(request)).credentials;
    const after = (await started.engine.apply({ ...request, rotations: { application: '1' } })).credentials;
    assert.notEqual(after?.application?.PGPASSWORD, before?.application?.PGPASSWORD);
    assert.equal(after?.migrations?.PGPASSWORD, before?.migrations?.PGPASSWORD);
    await assert.rejects(login(before?.application ?? {}, 'SELECT 1'), /password authentication failed|^$/);
    assert.equal((await login(after?.application ?? {}, 'SELECT 1 AS one')).length, 1);
    await started.engine.destroy(request);
  });

  it('says what the server says when it fails, without a secret', async () => {
    await postgres.query('CREATE ROLE taken_owner');
    await assert.rejects(started.engine.apply(requestFor(wantedDatabase('taken'))), (error: Error) => {
      assert.ok(error instanceof EngineError);
      assert.match(error.message, /taken_owner/);
      assert.ok(!error.message.includes(postgres.password));
      return true;
    });
    await started.engine.destroy(requestFor(wantedDatabase('taken')));
    assert.equal((await postgres.query("SELECT 1 FROM pg_roles WHERE rolname = 'taken_owner'")).length, 1);
  });

  it('goes on after the engine was killed in the middle, at any moment', async () => {
    for (const count of [0, 1, 3, 6, 9, 12]) {
      const request = requestFor(wantedDatabase(`killed_${count}`));
      let steps = 0;
      const onStep = () => {
        steps += 1;
        if (steps === count) killEngine(request.stack);
      };
      const run = started.engine.apply({ ...request, onStep }).then(
        () => 'done',
        () => 'failed',
      );
      if (count === 0) setTimeout(() => killEngine(request.stack), 400);
      await run;
      await started.engine.recover(request);
      const { credentials } = await started.engine.apply(request);
      assert.equal((await login(credentials?.application ?? {}, 'SELECT 1 AS one')).length, 1);
      assert.deepEqual((await started.engine.drift(request)).steps, [], `killed at step ${count}`);
      await started.engine.destroy(request);
      assert.deepEqual(await exists(request.wanted.name), { roles: 0, databases: 0 });
    }
  });

  it('stops when it is asked to, and the next run goes on', async () => {
    const request = requestFor(wantedDatabase('stopped'));
    const abort = new AbortController();
    const run = started.engine.apply({ ...request, signal: abort.signal });
    setTimeout(() => abort.abort(), 350);
    await assert.rejects(run, /stopped before it was done/);
    await started.engine.recover(request);
    await started.engine.apply(request);
    assert.deepEqual((await started.engine.drift(request)).steps, []);
    await started.engine.destroy(request);
  });
});
