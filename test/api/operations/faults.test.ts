import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '../../../api/engine/engine.ts';
import type { RunningOperations } from '../../../api/operations/operations.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { request, ScriptedEngine, startService, until, wanted, work } from './support.ts';

describe('operations when something dies', () => {
  let postgres: TestPostgres;
  let service: RunningOperations;
  const engine = new ScriptedEngine();
  const children = new Set<ChildProcess>();

  before(async () => {
    postgres = await startPostgres();
  });
  beforeEach(async () => {
    await postgres.query('CREATE DATABASE operations');
    await postgres.query('CREATE TABLE runs (replica text, stack text, command text, at timestamptz DEFAULT now())', {
      database: 'operations',
    });
    engine.calls.length = 0;
    engine.overlapped = false;
    engine.script = async () => undefined;
  });
  afterEach(async () => {
    await service?.stop(0);
    for (const child of children) {
      const ended = once(child, 'exit');
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await ended;
    }
    children.clear();
    await postgres.query('DROP DATABASE operations WITH (FORCE)');
  });
  after(async () => await postgres?.stop());

  async function replica(name: string, milliseconds: number): Promise<ChildProcess> {
    const child = spawn(process.execPath, ['--import', 'tsx', 'test/api/operations/replica.ts'], {
      env: {
        ...process.env,
        ...{ TEST_PORT: String(postgres.port), TEST_PASSWORD: postgres.password, TEST_DATABASE: 'operations' },
        ...{ TEST_NAME: name, TEST_MILLISECONDS: String(milliseconds) },
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.add(child);
    await once(child.stdout, 'data');
    return child;
  }

  async function runs(command = 'apply'): Promise<{ replica: string; stack: string }[]> {
    return await postgres.query('SELECT replica, stack FROM runs WHERE command = $1 ORDER BY at', {
      database: 'operations',
      values: [command],
    });
  }

  it('ends each operation once when replicas are killed', async () => {
    service = await startService(postgres, 'operations', engine, { worker: false });
    const [first, second] = await Promise.all([replica('first', 600), replica('second', 600)]);
    assert.ok(first && second);
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const asked = await Promise.all(names.map((name) => service.put(request(), wanted(name))));
    await until(async () => (await runs()).some((run) => run.replica === 'first'));
    first.kill('SIGKILL');
    await replica('third', 300);
    const ended = await Promise.all(asked.map(({ id }) => service.wait(id, 30_000)));
    assert.deepEqual(
      ended.map(({ status }) => status),
      names.map(() => 'succeeded'),
    );
    const interrupted = ended.filter(({ attempt }) => attempt > 1);
    assert.ok(interrupted.length > 0, 'the kill interrupted nothing');
    const recovered = await runs('recover');
    assert.deepEqual(
      recovered.map(({ stack }) => stack).sort(),
      interrupted.map(({ database }) => `dev.${database}`).sort(),
    );
    const all = await runs();
    assert.equal(
      all.length,
      ended.reduce((sum, { attempt }) => sum + attempt, 0),
    );
    const audit = await service.audit({ environments: ['dev'] }, { limit: 100 });
    for (const { id } of asked) {
      assert.equal(audit.items.filter((entry) => entry.operationId === id && entry.result === 'succeeded').length, 1);
    }
  });

  it('keeps the order of requests when the first is interrupted', async () => {
    service = await startService(postgres, 'operations', engine, { worker: false });
    const first = await replica('first', 3_000);
    const asked = [];
    for (const schema of ['one', 'two', 'three']) {
      asked.push(await service.put(request(), wanted('ordered', { schemas: ['app', schema] })));
    }
    await until(async () => (await runs()).length === 1);
    first.kill('SIGKILL');
    await postgres.query('CREATE DATABASE ordered');
    await replica('second', 50);
    const ended = await Promise.all(asked.map(({ id }) => service.wait(id, 20_000)));
    assert.deepEqual(
      ended.map(({ status, attempt }) => [status, attempt]),
      [
        ['succeeded', 2],
        ['succeeded', 1],
        ['succeeded', 1],
      ],
    );
    const finished = ended.map(({ finishedAt }) => finishedAt ?? '');
    assert.deepEqual(finished, [...finished].sort());
    assert.deepEqual((await service.database('dev', 'ordered')).applied?.schemas, ['app', 'three']);
    await postgres.query('DROP DATABASE ordered');
  });

  it('hands its runs back when a replica stops', async () => {
    service = await startService(postgres, 'operations', engine, { worker: false });
    const first = await replica('first', 5_000);
    const { id } = await service.put(request(), wanted('handed'));
    await until(async () => (await runs()).length === 1);
    const ended = once(first, 'exit');
    first.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
    assert.equal((await service.operation(id)).status, 'queued');
    await replica('second', 0);
    const operation = await service.wait(id, 10_000);
    assert.equal(operation.status, 'succeeded');
    assert.equal(operation.attempt, 2);
  });

  it('survives the loss of every connection in the middle', async () => {
    service = await startService(postgres, 'operations', engine);
    let held = true;
    let aborted = 0;
    engine.script = async (call, given) => {
      if (call.command !== 'apply' || !held) return undefined;
      try {
        await work(given, 20_000);
      } catch (error) {
        aborted += 1;
        throw error;
      }
      return undefined;
    };
    const asked = [await service.put(request(), wanted('one')), await service.put(request(), wanted('two'))];
    const seen: number[] = [];
    const reading = (async () => {
      const { id } = asked[0] ?? { id: '' };
      for await (const event of service.events(id, 0, new AbortController().signal)) seen.push(event.sequence);
    })();
    await until(() => engine.running.size === 2);
    await postgres.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'operations'`);
    await until(() => aborted === 2);
    held = false;
    const ended = await Promise.all(asked.map(({ id }) => service.wait(id, 20_000)));
    assert.ok(ended.every(({ status, attempt }) => status === 'succeeded' && attempt === 2));
    assert.equal(engine.overlapped, false);
    await reading;
    assert.deepEqual(
      seen,
      seen.map((_sequence, index) => index + 1),
    );
    const next = await service.put(request(), wanted('three'));
    assert.equal((await service.wait(next.id, 10_000)).status, 'succeeded');
  });

  it('survives a crash of PostgreSQL in the middle', async () => {
    service = await startService(postgres, 'operations', engine);
    let held = true;
    engine.script = async (call, given) => {
      // The engine itself notices first, and says so: that is no failure of the request.
      if (call.command === 'apply' && held) {
        await Promise.race([work(given, 20_000), sleep(3_000)]);
        throw new EngineError('connection refused');
      }
      return undefined;
    };
    const { id } = await service.put(request(), wanted('crashed'));
    await until(() => engine.running.size === 1);
    const [row] = await postgres.query<{ pid: number }>('SELECT pid FROM pg_stat_activity WHERE datname = $1 LIMIT 1', {
      values: ['operations'],
    });
    assert.ok(row);
    // A backend that is killed makes the server end all others and begin anew.
    process.kill(row.pid, 'SIGKILL');
    await until(() => engine.running.size === 0);
    held = false;
    const operation = await service.wait(id, 30_000);
    assert.equal(operation.status, 'succeeded');
    assert.equal(operation.attempt, 2);
    assert.deepEqual(
      engine.calls.map(({ command }) => command),
      ['apply', 'recover', 'apply'],
    );
  });

  it('goes on when single connections are lost again and again', async () => {
    service = await startService(postgres, 'operations', engine);
    engine.script = async (_call, given) => {
      await work(given, 30);
      return undefined;
    };
    const asked: string[] = [];
    const disturb = (async () => {
      for (let round = 0; round < 15; round += 1) {
        await postgres.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'operations' ORDER BY random() LIMIT 1`,
        );
        await sleep(100);
      }
    })();
    for (let number = 0; number < 20; number += 1) {
      // A caller whose request was cut off asks again with the same key.
      const key = `key-${number}`;
      for (;;) {
        try {
          asked.push((await service.put(request(undefined, key), wanted(`disturbed_${number % 5}`))).id);
          break;
        } catch {
          await sleep(20);
        }
      }
      await sleep(50);
    }
    await disturb;
    assert.equal(new Set(asked).size, 20);
    const ended = await Promise.all(asked.map((id) => service.wait(id, 40_000)));
    assert.deepEqual(
      ended.map(({ status }) => status),
      asked.map(() => 'succeeded'),
    );
    assert.equal(engine.overlapped, false);
  });

  it('gives a job to an operation that lost it', async () => {
    service = await startService(postgres, 'operations', engine, { worker: false });
    const { id } = await service.put(request(), wanted('lost'));
    await postgres.query('DELETE FROM graphile_worker._private_jobs', { database: 'operations' });
    await service.startWorker();
    assert.equal((await service.wait(id, 15_000)).status, 'succeeded');
  });
});
