import assert from 'node:assert/strict';
import { EngineError } from '../../../api/engine/engine.ts';
import type { ServiceError } from '../../../api/errors.ts';
import type { Operation, Plan } from '../../../api/model.ts';
import type { RunningOperations } from '../../../api/operations/operations.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import {
  admin,
  alice,
  bob,
  problem,
  request,
  type Script,
  ScriptedEngine,
  startService,
  step,
  wanted,
} from './support.ts';

describe('requests for operations', () => {
  let postgres: TestPostgres;
  let service: RunningOperations;
  const engine = new ScriptedEngine();
  const page = { limit: 100 };

  before(async () => {
    postgres = await startPostgres();
    await postgres.query('CREATE DATABASE operations');
    service = await startService(postgres, 'operations', engine);
  });
  after(async () => {
    await service?.stop(1000);
    await postgres?.stop();
  });
  beforeEach(() => {
    engine.calls.length = 0;
    engine.script = async () => undefined;
  });

  async function ended(asked: Promise<Operation>): Promise<Operation> {
    return await service.wait((await asked).id, 10_000);
  }
  async function planned(asked: Promise<Plan>): Promise<Plan> {
    const { id, operationId } = await asked;
    await service.wait(operationId, 10_000);
    return await service.plan(id);
  }
  const commands = () => engine.calls.map(({ command }) => command);

  describe('idempotency keys', () => {
    it('give the same answer for the same request, once', async () => {
      const asked = await Promise.all(
        Array.from({ length: 10 }, () => service.put(request(undefined, 'key-1'), wanted('keyed'))),
      );
      assert.equal(new Set(asked.map(({ id }) => id)).size, 1);
      await service.wait(asked[0]?.id ?? '', 5000);
      assert.deepEqual(commands(), ['apply']);
      const later = await service.put(request(undefined, 'key-1'), wanted('keyed'));
      assert.equal(later.status, 'succeeded');
    });

    it('are refused for another request, and belong to their caller', async () => {
      const first = await service.put(request(undefined, 'key-2'), wanted('keyed'));
      await assert.rejects(service.put(request(undefined, 'key-2'), wanted('keyed', { schemas: ['x'] })), {
        code: 'idempotency-mismatch',
      });
      await assert.rejects(service.remove(request('DELETE', 'key-2'), 'dev', 'keyed'), {
        code: 'idempotency-mismatch',
      });
      const other = await service.put(request(undefined, 'key-2', bob), wanted('keyed'));
      assert.notEqual(other.id, first.id);
      await service.wait(other.id, 5000);
    });

    it('lead to the same plan, and to the same operation after a retry', async () => {
      const [one, two] = await Promise.all([
        service.requestPlan(request('POST /v1/plans', 'key-3'), wanted('keyed')),
        service.requestPlan(request('POST /v1/plans', 'key-3'), wanted('keyed')),
      ]);
      assert.equal(one.id, two.id);
      let broken = true;
      engine.script = async () => {
        if (broken) throw new EngineError('broken');
        return undefined;
      };
      const failed = await ended(service.put(request(), wanted('keyed')));
      assert.equal(failed.status, 'failed');
      broken = false;
      const retries = await Promise.all([1, 2].map(() => service.retry(request('retry', 'key-4'), failed.id)));
      assert.deepEqual(
        retries.map(({ id }) => id),
        [failed.id, failed.id],
      );
      assert.equal((await service.wait(failed.id, 5000)).attempt, 2);
    });

    it('are not used up by a refusal', async () => {
      await assert.rejects(service.rotate(request('rotate', 'key-5'), 'dev', 'nowhere'), { code: 'not-found' });
      await assert.rejects(service.rotate(request('rotate', 'key-5'), 'dev', 'elsewhere'), { code: 'not-found' });
    });
  });

  describe('plans', () => {
    const script: (hash: () => string) => Script = (hash) => async (call) =>
      call.command === 'preview'
        ? { hash: hash(), steps: [step('db'), step('role'), step('old', 'delete')] }
        : { steps: [step('db')] };

    it('tell what would be done and are applied once', async () => {
      engine.script = script(() => 'h1');
      const plan = await planned(service.requestPlan(request('POST /v1/plans'), wanted('planned')));
      assert.equal(plan.status, 'ready');
      assert.equal(plan.hash, 'h1');
      assert.deepEqual(plan.counts, { create: 2, delete: 1 });
      await assert.rejects(service.database('dev', 'planned'), { code: 'not-found' });
      await assert.rejects(service.applyPlan(request(), plan.id, 'other'), { code: 'plan-stale' });
      const results = await Promise.allSettled([1, 2, 3].map(() => service.applyPlan(request('apply'), plan.id, 'h1')));
      const accepted = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      assert.equal(accepted.length, 1);
      const operation = await service.wait(accepted[0]?.id ?? '', 5000);
      assert.equal(operation.status, 'succeeded');
      assert.equal(operation.planId, plan.id);
      assert.equal((await service.plan(plan.id)).status, 'applied');
      assert.deepEqual(commands(), ['preview', 'preview', 'apply']);
      const { items } = await service.audit({ environments: ['dev'] }, page);
      assert.ok(items.some(({ operationId, planHash }) => operationId === operation.id && planHash === 'h1'));
    });

    it('are stale when the world has moved', async () => {
      let hash = 'before';
      engine.script = script(() => hash);
      const plan = await planned(service.requestPlan(request('POST /v1/plans'), wanted('moved')));
      hash = 'after';
      const operation = await ended(service.applyPlan(request('apply'), plan.id));
      assert.equal(operation.status, 'failed');
      assert.equal(operation.error?.type, problem('plan-stale'));
      assert.equal((await service.plan(plan.id)).status, 'stale');
      assert.ok(!commands().includes('apply'));
      await assert.rejects(service.applyPlan(request('apply'), plan.id), { code: 'plan-stale' });
    });

    it('go on to their end once they were begun', async () => {
      let hash = 'before';
      let broken = true;
      engine.script = async (call) => {
        if (call.command === 'preview') return { hash, steps: [] };
        if (call.command === 'apply' && broken) {
          hash = 'half';
          throw new EngineError('broken');
        }
        return undefined;
      };
      const plan = await planned(service.requestPlan(request('POST /v1/plans'), wanted('begun')));
      const failed = await ended(service.applyPlan(request('apply'), plan.id));
      assert.equal(failed.error?.type, problem('engine-failed'));
      broken = false;
      assert.equal((await ended(service.retry(request('retry'), failed.id))).status, 'succeeded');
    });

    it('of a deletion delete', async () => {
      await ended(service.put(request(), wanted('deleted_by_plan')));
      const plan = await planned(service.requestDeletionPlan(request('POST /v1/plans'), 'dev', 'deleted_by_plan'));
      assert.equal(plan.action, 'delete');
      assert.equal((await ended(service.applyPlan(request('apply'), plan.id))).status, 'succeeded');
      assert.deepEqual(commands(), ['apply', 'preview', 'preview', 'destroy']);
      await assert.rejects(service.database('dev', 'deleted_by_plan'), { code: 'not-found' });
      const gone = await service.databases({ environments: ['dev'], status: 'deleted' }, page);
      assert.ok(gone.items.some(({ name }) => name === 'deleted_by_plan'));
    });

    it('that fail say why', async () => {
      engine.script = async () => {
        throw new EngineError('no such role');
      };
      const plan = await planned(service.requestPlan(request('POST /v1/plans'), wanted('unplanned')));
      assert.equal(plan.status, 'failed');
      assert.equal(plan.error?.detail, 'no such role');
      await assert.rejects(service.applyPlan(request('apply'), plan.id), { code: 'conflict' });
      await assert.rejects(service.applyPlan(request('apply'), 'no-such-plan'), { code: 'not-found' });
    });
  });

  describe('names', () => {
    it('that others have are refused, and never deleted', async () => {
      await postgres.query('CREATE DATABASE foreign_one');
      await postgres.query('CREATE ROLE foreign_two_application');
      for (const name of ['foreign_one', 'foreign_two']) {
        const operation = await ended(service.put(request(), wanted(name)));
        assert.equal(operation.error?.type, problem('name-taken'), name);
        assert.equal((await service.database('dev', name)).status, 'failed');
        assert.equal((await ended(service.retry(request('retry'), operation.id))).status, 'failed');
        assert.equal(
          (await ended(service.remove(request('DELETE'), 'dev', name, { database: name }))).status,
          'succeeded',
        );
      }
      assert.deepEqual(commands(), []);
    });

    it('that this service made are its own, also after a failure', async () => {
      engine.script = async (call) => {
        if (call.command !== 'apply') return undefined;
        await postgres.query('CREATE DATABASE half_made');
        throw new EngineError('broken');
      };
      const failed = await ended(service.put(request(), wanted('half_made')));
      assert.equal(failed.error?.type, problem('engine-failed'));
      engine.script = async () => undefined;
      assert.equal((await ended(service.put(request(), wanted('half_made')))).status, 'succeeded');
      // Its names are anybody's again once it was deleted.
      await ended(service.remove(request('DELETE'), 'dev', 'half_made'));
      assert.equal((await ended(service.put(request(), wanted('half_made')))).error?.type, problem('name-taken'));
    });

    it('that are reserved are refused', async () => {
      for (const name of ['postgres', 'template0', 'template_x', 'pg_mine', 'operations', '', 'x'.repeat(60)]) {
        await assert.rejects(service.put(request(), wanted(name)), { code: 'invalid-request' }, name);
      }
      await assert.rejects(service.put(request(), wanted('a', { environment: 'none' })), { code: 'not-found' });
      await assert.rejects(service.remove(request(), 'dev', 'never_made'), { code: 'not-found' });
    });
  });

  it('more pairs of a role and a schema than the engine can grant are refused, and say how many there may be', async () => {
    const many = (schemas: number, roles: number) => ({
      schemas: Array.from({ length: schemas }, (_, index) => `s${index}`),
      roles: Object.fromEntries(
        Array.from({ length: roles }, (_, index) => [`r${index}`, { access: 'read' as const }]),
      ),
    });
    await assert.rejects(service.put(request(), wanted('too_many', many(67, 3))), (error: ServiceError) => {
      assert.deepEqual([error.code, error.problem().status], ['too-many-grants', 422]);
      assert.match(error.detail, /3 roles and 67 schemas, which is 201 pairs.*at most 200/);
      return true;
    });
    await assert.rejects(service.requestPlan(request('POST'), wanted('too_many', many(67, 3))), {
      code: 'too-many-grants',
    });
    assert.equal((await ended(service.put(request(), wanted('many', many(50, 4))))).status, 'succeeded');
  });

  describe('data', () => {
    it('in a database is deleted only by its name', async () => {
      await ended(service.put(request(), wanted('full')));
      await postgres.query('CREATE DATABASE "full"');
      const big = `SELECT lo_create(0)`;
      for (const [make, unmake] of [
        ['CREATE TABLE public.t ()', 'DROP TABLE public.t'],
        ['CREATE SCHEMA s; CREATE MATERIALIZED VIEW s.v AS SELECT 1', 'DROP SCHEMA s CASCADE'],
        ['CREATE SEQUENCE q', 'DROP SEQUENCE q'],
        [big, 'SELECT lo_unlink(oid) FROM pg_largeobject_metadata'],
      ] as const) {
        await postgres.query(make, { database: 'full' });
        const refused = await ended(service.remove(request('DELETE'), 'dev', 'full'));
        assert.equal(refused.error?.type, problem('holds-data'), make);
        assert.equal((await service.database('dev', 'full')).status, 'ready');
        await postgres.query(unmake, { database: 'full' });
      }
      await postgres.query(big, { database: 'full' });
      await assert.rejects(service.remove(request(), 'dev', 'full', { database: 'other' }), {
        code: 'invalid-request',
      });
      assert.ok(!commands().includes('destroy'));
      const operation = await ended(service.remove(request('DELETE'), 'dev', 'full', { database: 'full' }));
      assert.equal(operation.status, 'succeeded');
      assert.deepEqual(engine.calls.at(-1)?.command, 'destroy');
    });

    it('in a schema is dropped only by its name', async () => {
      await ended(service.put(request(), wanted('parts', { schemas: ['app', 'old', 'empty'] })));
      await postgres.query('CREATE DATABASE parts');
      await postgres.query('CREATE SCHEMA old; CREATE SCHEMA empty; CREATE TABLE old.t ()', { database: 'parts' });
      const refused = await ended(service.put(request(), wanted('parts')));
      assert.equal(refused.error?.type, problem('holds-data'));
      assert.match(refused.error?.detail ?? '', /"old"."t"/);
      const plan = await planned(service.requestPlan(request('POST /v1/plans'), wanted('parts')));
      assert.equal(plan.error?.type, problem('holds-data'));
      engine.calls.length = 0;
      const operation = await ended(service.put(request(), wanted('parts'), { schemas: ['old'] }));
      assert.equal(operation.status, 'succeeded');
      assert.deepEqual(
        engine.calls.map(({ command, dropSchemas, wanted: state }) => [command, dropSchemas ?? [], state.schemas]),
        [
          ['preview', [], ['app']],
          ['apply', ['old'], ['app', 'old']],
          ['apply', [], ['app']],
        ],
      );
    });

    it('is not lost by a replacement', async () => {
      await ended(service.put(request(), wanted('kept', { schemas: ['app', 'gone'] })));
      engine.script = async () => ({ steps: [step('db', 'replace', 'postgresql:index/database:Database')] });
      engine.calls.length = 0;
      assert.equal((await ended(service.put(request(), wanted('kept')))).error?.type, problem('holds-data'));
      assert.deepEqual(commands(), ['preview']);
    });
  });

  it('rotate passwords, of all roles or of some', async () => {
    await ended(service.put(request(), wanted('rotated')));
    await assert.rejects(service.rotate(request(), 'dev', 'rotated', ['nobody']), { code: 'invalid-request' });
    const all = await ended(service.rotate(request('rotate'), 'dev', 'rotated'));
    assert.deepEqual(engine.calls.at(-1)?.rotations, { '': all.id });
    const one = await ended(service.rotate(request('rotate'), 'dev', 'rotated', ['application']));
    assert.deepEqual(engine.calls.at(-1)?.rotations, { '': all.id, application: one.id });
    await ended(service.put(request(), wanted('rotated')));
    assert.deepEqual(engine.calls.at(-1)?.rotations, { '': all.id, application: one.id });
  });

  it('find drift', async () => {
    await ended(service.put(request(), wanted('drifting')));
    engine.script = async () => ({ steps: [step('same', 'same'), step('role', 'update')] });
    const operation = await ended(service.drift(request('drift'), 'dev', 'drifting'));
    assert.deepEqual(
      operation.steps.map(({ name }) => name),
      ['role'],
    );
    assert.deepEqual((await service.database('dev', 'drifting')).drift?.steps, operation.steps);
    assert.equal((await service.graph('dev', 'drifting')).nodes[0]?.urn, 'dev.drifting');
  });

  describe('credentials', () => {
    const secret = { application: { PGUSER: 'u', PGPASSWORD: 'Sesame-1234' } };
    beforeEach(() => {
      engine.script = async (call) => (call.command === 'apply' ? { credentials: secret } : undefined);
    });
    const returned = (name: string) => wanted(name, { credentials: { type: 'return' } });

    it('are handed out once, and are nowhere in plain text', async () => {
      const operation = await ended(service.put(request(), returned('secretive')));
      assert.equal(operation.credentials, true);
      const stored = await postgres.query<{ text: string }>(
        `SELECT encode(sealed, 'escape') AS text FROM development_operations.waiting_credentials
         UNION ALL SELECT o::text FROM development_operations.operations o
         UNION ALL SELECT e::text FROM development_operations.operation_events e`,
        { database: 'operations' },
      );
      assert.ok(stored.length > 2 && stored.every(({ text }) => !text.includes('Sesame')));
      await assert.rejects(service.takeCredentials(request('c', undefined, bob), operation.id), { code: 'forbidden' });
      const answers = await Promise.allSettled(
        [1, 2, 3, 4].map(() => service.takeCredentials(request('c'), operation.id)),
      );
      const taken = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
      assert.deepEqual(taken, [secret]);
      await assert.rejects(service.takeCredentials(request('c'), operation.id), { code: 'credentials-gone' });
      assert.equal((await service.operation(operation.id)).credentials, false);
    });

    it('are handed to an administrator, and expire', async () => {
      const first = await ended(service.put(request(), returned('secretive')));
      assert.deepEqual(await service.takeCredentials(request('c', undefined, admin), first.id), secret);
      const second = await ended(service.rotate(request('rotate'), 'dev', 'secretive'));
      await postgres.query(`UPDATE development_operations.waiting_credentials SET expires_at = now()`, {
        database: 'operations',
      });
      assert.equal((await service.operation(second.id)).credentials, false);
      await assert.rejects(service.takeCredentials(request('c'), second.id), { code: 'credentials-gone' });
    });

    it('do not wait when they are delivered as Secrets', async () => {
      const operation = await ended(service.put(request(), wanted('delivered')));
      assert.equal(operation.credentials, false);
    });
  });

  it('leave refusals in the audit log', async () => {
    const asked = request('POST /v1/databases/{name}/rotate');
    await assert.rejects(service.rotate(asked, 'dev', 'absent'), { code: 'not-found' });
    await service.refused({
      ...{ caller: 'i#s', action: 'GET', environment: 'secret', database: null, operationId: null, planHash: null },
      ...{ result: 'refused', requestId: 'r' },
    });
    const { items } = await service.audit({ environments: ['dev'] }, page);
    const entry = items.find(({ requestId }) => requestId === asked.requestId);
    assert.equal(entry?.result, 'refused');
    assert.equal(entry?.database, 'absent');
    assert.equal(entry?.caller, `${alice.issuer}#alice`);
    assert.ok(items.every(({ environment }) => environment !== 'secret'));
  });

  it('list in pages, without gaps and without repetitions', async () => {
    const names = Array.from({ length: 25 }, (_value, index) => `listed_${String(index).padStart(2, '0')}`);
    const asked = await Promise.all(
      names.map((name) => service.put(request(), wanted(name, { environment: 'other' }))),
    );
    await Promise.all(asked.map(({ id }) => service.wait(id, 20_000)));
    const listed: string[] = [];
    const filter = { environments: ['other'], prefix: 'listed_' };
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const found = await service.databases(filter, { limit: 7, cursor });
      listed.push(...found.items.map(({ name }) => name));
      cursor = found.next;
    }
    assert.deepEqual(listed, names);
    const ids: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const found = await service.operations({ environments: ['other'] }, { limit: 10, cursor });
      ids.push(...found.items.map(({ id }) => id));
      cursor = found.next;
    }
    assert.deepEqual(ids, [...asked.map(({ id }) => id)].sort().reverse());
    assert.deepEqual((await service.operations({ environments: [] }, page)).items, []);
    assert.equal((await service.operations({ environments: ['other'], database: 'listed_03' }, page)).items.length, 1);
    assert.equal((await service.operations({ environments: ['other'], status: 'failed' }, page)).items.length, 0);
    await assert.rejects(service.operations(filter, { limit: 10, cursor: 'bm9uc2Vuc2U' }), { code: 'invalid-request' });
    await assert.rejects(service.databases(filter, { limit: 10, cursor: '%' }), { code: 'invalid-request' });
    await assert.rejects(service.operation('00000000-0000-7000-8000-000000000000'), { code: 'not-found' });
  });
});
