import assert from 'node:assert/strict';
import { EngineError } from '../../../api/engine/engine.ts';
import type { OperationEvent } from '../../../api/model.ts';
import type { RunningOperations } from '../../../api/operations/operations.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { problem, request, ScriptedEngine, startService, step, until, wanted, work } from './support.ts';

describe('runs of operations', () => {
  let postgres: TestPostgres;
  let service: RunningOperations;
  let second: RunningOperations;
  const engine = new ScriptedEngine();

  before(async () => {
    postgres = await startPostgres();
    await postgres.query('CREATE DATABASE operations');
    // Two replicas that start at the same time: one makes the schema, the other waits.
    [service, second] = await Promise.all([
      startService(postgres, 'operations', engine, { concurrency: 4 }),
      startService(postgres, 'operations', engine, { worker: false }),
    ]);
  });
  after(async () => {
    await service?.stop(1000);
    await second?.stop(0);
    await postgres?.stop();
  });
  beforeEach(() => {
    engine.calls.length = 0;
    engine.most = 0;
    engine.overlapped = false;
    engine.script = async () => undefined;
  });

  it('makes a database, and says so', async () => {
    engine.script = async (_call, { onStep }) => {
      onStep?.(step('one'));
      onStep?.(step('two'));
      return { steps: [step('one'), step('two')] };
    };
    const asked = await service.put(request(), wanted('first'));
    assert.equal(asked.status, 'queued');
    const ended = await second.wait(asked.id, 5000);
    assert.equal(ended.status, 'succeeded');
    assert.equal(ended.attempt, 1);
    assert.deepEqual(
      ended.steps.map(({ name }) => name),
      ['one', 'two'],
    );
    const record = await second.database('dev', 'first');
    assert.equal(record.status, 'ready');
    assert.deepEqual(record.applied, wanted('first'));
    assert.equal(record.lastOperationId, asked.id);
    assert.deepEqual(
      engine.calls.map(({ command, stack }) => [command, stack]),
      [['apply', 'dev.first']],
    );
    const results = (await service.audit({ environments: ['dev'] }, { limit: 10 })).items.filter(
      ({ operationId }) => operationId === asked.id,
    );
    assert.deepEqual(
      results.map(({ result }) => result),
      ['succeeded', 'accepted'],
    );
  });

  it('adds less than 60 ms to the engine, and ten connections to the server', async () => {
    const times: number[] = [];
    const connections: number[] = [];
    for (let round = 0; round < 20; round += 1) {
      const before = performance.now();
      await postgres.query('SELECT 1');
      const began = performance.now();
      const { id } = await service.put(request(), wanted('quick'));
      await service.wait(id, 5000);
      connections.push(began - before);
      times.push(performance.now() - began);
    }
    // The lower quartile: other work on the machine makes some slower, and the connections as well.
    const quartile = (values: number[]) => values.sort((a, b) => a - b)[5] ?? Number.NaN;
    const [own, connection] = [quartile(times), quartile(connections)];
    assert.ok(own < 60 + 10 * connection, `of ${times.length}: ${own} ms, a connection ${connection} ms`);
  });

  it('runs one at a time for a database, in order, and databases beside each other', async () => {
    engine.script = async (_call, given) => {
      await work(given, 100);
      return undefined;
    };
    const asked = [];
    for (const name of ['left', 'right', 'left', 'right', 'left'])
      asked.push(await service.put(request(), wanted(name)));
    const ended = await Promise.all(asked.map(({ id }) => service.wait(id, 10_000)));
    assert.ok(ended.every(({ status }) => status === 'succeeded'));
    assert.equal(engine.overlapped, false);
    assert.equal(engine.most, 2);
    const left = ended.filter(({ database }) => database === 'left').map(({ finishedAt }) => finishedAt);
    assert.deepEqual(left, [...left].sort());
  });

  it('fails with what the engine says, and is tried again as the same operation', async () => {
    let broken = true;
    engine.script = async (call, { onStep }) => {
      onStep?.(step('made'));
      if (call.command === 'apply' && broken) throw new EngineError('permission denied');
      return undefined;
    };
    const { id } = await service.put(request(), wanted('retried'));
    const failed = await service.wait(id, 5000);
    assert.equal(failed.status, 'failed');
    assert.equal(failed.error?.type, problem('engine-failed'));
    assert.equal(failed.error?.detail, 'permission denied');
    assert.equal(failed.steps.length, 1);
    assert.equal((await service.database('dev', 'retried')).status, 'failed');
    broken = false;
    assert.equal((await second.retry(request('POST /v1/operations/{id}/retry'), id)).status, 'queued');
    const ended = await second.wait(id, 5000);
    assert.equal(ended.status, 'succeeded');
    assert.equal(ended.attempt, 2);
    assert.equal(ended.error, null);
    assert.deepEqual(
      engine.calls.map(({ command }) => command),
      ['apply', 'recover', 'apply'],
    );
    await assert.rejects(service.retry(request(), id), { code: 'conflict' });
  });

  it('cancels what is queued at once, and what runs through the replica that runs it', async () => {
    engine.script = async (_call, given) => {
      given.onStep?.(step('begun'));
      await work(given, 10_000);
      return undefined;
    };
    const running = await service.put(request(), wanted('canceled'));
    const queued = await service.put(request(), wanted('canceled'));
    await until(async () => (await service.operation(running.id)).status === 'running' && engine.calls.length > 0);
    assert.equal((await second.cancel(request(), queued.id)).status, 'canceled');
    assert.equal((await second.cancel(request(), running.id)).status, 'running');
    const ended = await second.wait(running.id, 5000);
    assert.equal(ended.status, 'canceled');
    assert.deepEqual(
      ended.steps.map(({ name }) => name),
      ['begun'],
    );
    assert.equal((await service.operation(queued.id)).attempt, 0);
    await assert.rejects(service.cancel(request(), running.id), { code: 'conflict' });
    // The next run first takes in what the canceled one left.
    engine.script = async () => undefined;
    engine.calls.length = 0;
    const next = await service.put(request(), wanted('canceled'));
    assert.equal((await service.wait(next.id, 5000)).status, 'succeeded');
    assert.deepEqual(
      engine.calls.map(({ command }) => command),
      ['recover', 'apply'],
    );
  });

  it('forgets a database of which nothing was made when its request is canceled', async () => {
    // All four workers are busy, so that it waits.
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    engine.script = async () => {
      await released;
      return undefined;
    };
    const busy = await Promise.all(['a', 'b', 'c', 'd'].map((name) => service.put(request(), wanted(`busy_${name}`))));
    await until(() => engine.running.size === 4);
    const { id } = await service.put(request(), wanted('forgotten'));
    await service.cancel(request(), id);
    await assert.rejects(service.database('dev', 'forgotten'), { code: 'not-found' });
    release();
    await Promise.all(busy.map((operation) => service.wait(operation.id, 20_000)));
  });

  it('tells events to every replica, from any sequence on', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    engine.script = async (_call, { onStep }) => {
      for (let number = 0; number < 20; number += 1) onStep?.(step(`step-${number}`));
      await held;
      for (let number = 20; number < 40; number += 1) onStep?.(step(`step-${number}`));
      return undefined;
    };
    const { id } = await service.put(request(), wanted('told'));
    const seen: OperationEvent[] = [];
    const signal = new AbortController().signal;
    const all = (async () => {
      for await (const event of second.events(id, 0, signal)) seen.push(event);
    })();
    await until(() => seen.length >= 22);
    release();
    await all;
    assert.deepEqual(
      seen.map(({ sequence }) => sequence),
      seen.map((_event, index) => index + 1),
    );
    assert.equal(seen.filter(({ type }) => type === 'step').length, 40);
    assert.deepEqual(
      seen.filter(({ type }) => type === 'status').map(({ data }) => data.status),
      ['queued', 'running', 'succeeded'],
    );
    const later: OperationEvent[] = [];
    for await (const event of service.events(id, 30, signal)) later.push(event);
    assert.deepEqual(later, seen.slice(30));
  });

  it('stops telling events when the reader leaves', async () => {
    engine.script = async (_call, given) => {
      await work(given, 300);
      return undefined;
    };
    const { id } = await service.put(request(), wanted('left_early'));
    const leave = new AbortController();
    const reading = (async () => {
      for await (const _event of service.events(id, 0, leave.signal)) leave.abort();
    })();
    await reading;
    await service.wait(id, 5000);
    await assert.rejects(
      async () => {
        for await (const _event of service.events('nothing', 0, leave.signal));
      },
      { code: 'not-found' },
    );
  });

  it('answers a wait as it is when the time is over', async () => {
    engine.script = async (_call, given) => {
      await work(given, 400);
      return undefined;
    };
    const { id } = await service.put(request(), wanted('waited'));
    assert.notEqual((await service.wait(id, 50)).status, 'succeeded');
    assert.equal((await service.wait(id, 5000)).status, 'succeeded');
  });
});
