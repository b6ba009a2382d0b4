import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { execa } from 'execa';
import pg from 'pg';
import { EngineError } from '../../../api/engine/engine.ts';
import { startKeyService } from '../../../api/engine/keyService.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { engines, PASSPHRASE, requestFor, runners, startEngine, until, wantedDatabase } from './support.ts';

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

  /** Kills the engine that runs; there may be none yet, or no more. */
  const secretsProvider = async (stack: string) => {
    const [row] = await postgres.query<{ data: { data: string } }>('SELECT data FROM pulumi_state WHERE key LIKE $1', {
      database: 'operations',
      values: [`%/${stack}.json.gz`],
    });
    const state = JSON.parse(gunzipSync(Buffer.from(row?.data.data ?? '', 'base64')).toString());
    return state.checkpoint.latest.secrets_providers.type as string;
  };
  const killEngines = () => {
    for (const pid of engines()) process.kill(pid, 'SIGKILL');
  };
  const outcome = (run: Promise<unknown>) =>
    run.then(
      () => 'done',
      (error: Error) => error.message,
    );

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
    const contents = rows.map(({ data }) => Buffer.from((data as { data: string }).data, 'base64'));
    const state = contents
      .map((content) => (content[0] === 0x1f ? gunzipSync(content) : content).toString())
      .join('\n');
    assert.match(state, /database-role-application/);
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

  it('takes over stacks whose secrets a passphrase encrypts, and refuses to start with another passphrase', async () => {
    const request = requestFor(wantedDatabase('older'));
    const before = (await started.engine.apply(request)).credentials;
    const keys = await startKeyService(PASSPHRASE);
    const folder = await mkdtemp(join(tmpdir(), 'older-'));
    try {
      await writeFile(join(folder, 'Pulumi.yaml'), 'name: operations\nruntime: nodejs\n');
      await execa('pulumi', ['stack', 'change-secrets-provider', 'passphrase', '--stack', request.stack], {
        cwd: folder,
        // It asks for the new one twice.
        input: `${PASSPHRASE}\n${PASSPHRASE}\n`,
        timeout: 30_000,
        env: {
          ...keys.environment,
          PULUMI_BACKEND_URL: `postgres://postgres@${postgres.host}:${postgres.port}/operations?sslmode=disable`,
          PGPASSWORD: postgres.password,
          PULUMI_CONFIG_PASSPHRASE: PASSPHRASE,
          PULUMI_HOME: folder,
          PULUMI_DIY_BACKEND_GZIP: 'true',
        },
      });
    } finally {
      keys.close();
      await rm(folder, { recursive: true });
    }
    assert.equal(await secretsProvider(request.stack), 'passphrase');
    const after = (await started.engine.apply({ ...request, rotations: { application: '1' } })).credentials;
    assert.equal(await secretsProvider(request.stack), 'cloud');
    assert.equal(after?.migrations?.PGPASSWORD, before?.migrations?.PGPASSWORD);
    assert.notEqual(after?.application?.PGPASSWORD, before?.application?.PGPASSWORD);
    assert.deepEqual((await started.engine.drift({ ...request, rotations: { application: '1' } })).steps, []);
    await started.engine.destroy(request);
    await assert.rejects(startEngine(postgres, { passphrase: 'another' }), /encrypted with another passphrase/);
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

  it('goes on after the engine was killed in the middle, at any moment', async function () {
    this.timeout(300_000);
    for (const count of [0, 1, 3, 6, 9, 12]) {
      const request = requestFor(wantedDatabase(`killed_${count}`));
      let steps = 0;
      const onStep = () => {
        steps += 1;
        if (steps === count) killEngines();
      };
      const run = outcome(started.engine.apply({ ...request, onStep }));
      if (count === 0) setTimeout(killEngines, 200);
      await run;
      await started.engine.recover(request);
      const { credentials } = await started.engine.apply(request);
      assert.equal((await login(credentials?.application ?? {}, 'SELECT 1 AS one')).length, 1);
      assert.deepEqual((await started.engine.drift(request)).steps, [], `killed at step ${count}`);
      await started.engine.destroy(request);
      assert.deepEqual(await exists(request.wanted.name), { roles: 0, databases: 0 });
    }
  });

  it('stops when it is asked to, at any moment, and the next run goes on', async function () {
    this.timeout(400_000);
    const outcomes = new Set<string>();
    for (const moment of [0, 20, 60, 120, 200, 300, 400, 500, 650, 900]) {
      const request = requestFor(wantedDatabase(`stopped_${moment}`));
      const abort = new AbortController();
      const run = outcome(started.engine.apply({ ...request, signal: abort.signal }));
      await sleep(moment);
      abort.abort();
      outcomes.add(await run);
      await started.engine.recover(request);
      assert.equal(await outcome(started.engine.apply(request)), 'done', `stopped after ${moment} ms`);
      assert.deepEqual((await started.engine.drift(request)).steps, [], `stopped after ${moment} ms`);
      await started.engine.destroy(request);
      assert.deepEqual(await exists(request.wanted.name), { roles: 0, databases: 0 });
    }
    outcomes.delete('done');
    outcomes.delete('This operation was aborted');
    assert.deepEqual([...outcomes], ['it was stopped before it was done']);
  });

  it('has an engine ready, and after it the next one', async () => {
    await until('an engine waits', () => engines().length === 1);
    const ready = engines();
    const request = requestFor(wantedDatabase('ready'));
    let used: number[] | undefined;
    const onStep = () => {
      used ??= engines();
    };
    await started.engine.apply({ ...request, onStep });
    assert.deepEqual(used, ready);
    await until('the next one waits', () => engines().length === 1 && engines()[0] !== ready[0]);
    await started.engine.destroy(request);
  });

  it('does without the engine that waits when it has died, or lost its connection', async () => {
    const request = requestFor(wantedDatabase('waited'));
    await until('an engine waits', () => engines().length === 1);
    const [waiting] = engines();
    killEngines();
    // Not only its first thread: until all have ended it can still be told of a stack.
    await until('it is gone', () => !existsSync(`/proc/${waiting}`));
    await started.engine.apply(request);
    await until('an engine waits', () => engines().length === 1);
    await postgres.query(
      `SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
        WHERE datname = 'operations' AND pid <> pg_backend_pid()`,
    );
    await started.engine.apply(request);
    await started.engine.destroy(request);
  });

  it('replaces a runner that has done its runs, while others wait for it', async () => {
    const before = runners();
    const worn = await startEngine(postgres, { mostRuns: 2 });
    try {
      const mine = () => runners().filter((pid) => !before.includes(pid));
      const [first] = mine();
      const names = ['a', 'b', 'c', 'd', 'e'];
      const previews = names.map((name) => worn.engine.preview(requestFor(wantedDatabase(`worn_${name}`)), 'apply'));
      for (const { steps } of await Promise.all(previews)) assert.ok(steps.length > 0);
      assert.equal(mine().length, 1);
      assert.notEqual(mine()[0], first);
      assert.deepEqual(worn.logged, []);
    } finally {
      await worn.close();
    }
    assert.deepEqual(runners(), before);
  });

  it('leaves no process when the service goes away, also before a runner is ready', async () => {
    const runner = fork(new URL('../../../api/runner.ts', import.meta.url), {
      execArgv: ['--import=tsx'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const ended = once(runner, 'exit');
    runner.disconnect();
    await ended;
    const other = await startEngine(postgres);
    const before = engines();
    await until('an engine waits', () => engines().length === 2);
    const waiting = engines();
    await other.close();
    await until('it is gone', () => engines().length === 1);
    assert.equal(before.filter((pid) => waiting.includes(pid)).length, before.length);
  });
});
