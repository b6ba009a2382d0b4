import assert from 'node:assert/strict';
import fc from 'fast-check';
import { EngineError } from '../../../api/engine/engine.ts';
import { ServiceError } from '../../../api/errors.ts';
import type { RunningOperations } from '../../../api/operations/operations.ts';
import { removedSchemas, reservedProblem, rotated, uncheckedNames } from '../../../api/operations/safety.ts';
import { isConnectionError } from '../../../api/store/connection.ts';
import { seal, unseal } from '../../../api/store/credentials.ts';
import {
  canonicalJson,
  decodeCursor,
  encodeCursor,
  isUuid,
  requestHash,
  stackName,
  timeOrderedId,
} from '../../../api/store/identifiers.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { KEY, request, ScriptedEngine, startService, until, wanted, work } from './support.ts';

describe('parts of the operations', () => {
  it('ids are UUIDs in the order of time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 47 }), fc.integer({ min: 1, max: 1e6 }), (time, later) => {
        const first = timeOrderedId(time);
        assert.ok(isUuid(first) && first[14] === '7');
        assert.ok(first < timeOrderedId(time + later));
      }),
    );
  });

  it('a request has the same hash however its keys are sorted', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse());
        assert.equal(requestHash(value), requestHash(reversed));
        assert.deepEqual(JSON.parse(canonicalJson(value)), JSON.parse(JSON.stringify(value)));
      }),
    );
    assert.notEqual(requestHash({ a: [1, 2] }), requestHash({ a: [2, 1] }));
  });

  it('cursors come back, and no other text is one', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (key) => assert.equal(decodeCursor(encodeCursor(key)), key)),
    );
    for (const text of ['%', 'a b', 'YQ==', 'YR']) assert.equal(decodeCursor(text), undefined, text);
  });

  it('no two databases share a stack', () => {
    const name = fc.string({ minLength: 1, maxLength: 63, unit: fc.constantFrom('a', 'b', '.', '_', '-', ' ', 'é') });
    fc.assert(
      fc.property(name, name, name, name, (a, b, c, d) => {
        fc.pre(a !== c || b !== d);
        assert.notEqual(stackName(a, b), stackName(c, d));
        assert.match(stackName(a, b), /^[\w.-]{1,100}$/);
      }),
    );
  });

  it('credentials are opened with the same key and id only', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.dictionary(fc.string(), fc.string())), fc.nat(), (credentials, at) => {
        const sealed = seal(credentials, 'id', KEY);
        assert.deepEqual(unseal(sealed, 'id', KEY), JSON.parse(JSON.stringify(credentials)));
        assert.throws(() => unseal(sealed, 'other', KEY));
        assert.throws(() => unseal(sealed, 'id', Buffer.alloc(32, 8)));
        const changed = Buffer.from(sealed);
        changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ 1;
        assert.throws(() => unseal(changed, 'id', KEY));
      }),
    );
  });

  it('schemas that a failed run may have made count as there', () => {
    const applied = wanted('d', { schemas: ['a', 'b'] });
    const attempted = wanted('d', { schemas: ['b', 'c'] });
    assert.deepEqual(removedSchemas({ applied, attempted }, wanted('d', { schemas: ['b'] })), ['a', 'c']);
    assert.deepEqual(removedSchemas(undefined, wanted('d')), []);
  });

  it('names, rotations and errors', () => {
    assert.deepEqual(uncheckedNames(wanted('d'), ['d']), ['d_owner', 'd_application']);
    assert.deepEqual(rotated({ a: '1' }, undefined, '2'), { '': '2' });
    assert.deepEqual(rotated({ '': '1', a: '1' }, ['b'], '2'), { '': '1', a: '1', b: '2' });
    for (const name of ['postgres', 'template1', 'pg_x', 'own', '']) assert.ok(reservedProblem(name, 'own'), name);
    assert.equal(reservedProblem('orders', 'own'), undefined);
    assert.ok(isConnectionError(Object.assign(new Error(), { code: '57P01' })));
    assert.ok(isConnectionError(Object.assign(new Error(), { code: 'ECONNREFUSED' })));
    assert.ok(!isConnectionError(Object.assign(new Error(), { code: '23505' })));
    assert.ok(!isConnectionError(new ServiceError('conflict', 'x')));
  });
});

/** What a caller may do next, in any order, on few databases, through two replicas. */
type Move = { readonly kind: 'put' | 'remove' | 'rotate' | 'drift' | 'cancel' | 'retry'; readonly which: number };

describe('operations in any order', () => {
  const ROUNDS = 1000;
  let postgres: TestPostgres;
  let replicas: RunningOperations[];
  const engine = new ScriptedEngine();
  let calls = 0;

  before(async () => {
    postgres = await startPostgres();
    await postgres.query('CREATE DATABASE operations');
    replicas = await Promise.all([1, 2].map(() => startService(postgres, 'operations', engine, { concurrency: 3 })));
    engine.script = async (_call, given) => {
      calls += 1;
      if (calls % 3 === 0) await work(given, calls % 4);
      if (calls % 7 === 0) throw new EngineError('every seventh fails');
      return undefined;
    };
  });
  after(async () => {
    await Promise.all((replicas ?? []).map((replica) => replica.stop(1000)));
    await postgres?.stop();
  });

  it(`end once each, one at a time for a database (${ROUNDS} moves)`, async function () {
    this.timeout(180_000);
    const move: fc.Arbitrary<Move> = fc.record({
      kind: fc.constantFrom('put', 'put', 'remove', 'rotate', 'drift', 'cancel', 'retry'),
      which: fc.nat({ max: 1000 }),
    });
    const ids: string[] = [];
    const make = async ({ kind, which }: Move): Promise<void> => {
      const replica = replicas[which % 2] as RunningOperations;
      const name = `any_${which % 4}`;
      const known = ids[ids.length === 0 ? 0 : which % ids.length] ?? '';
      try {
        if (kind === 'put') ids.push((await replica.put(request(), wanted(name))).id);
        else if (kind === 'remove') ids.push((await replica.remove(request(), 'dev', name)).id);
        else if (kind === 'rotate') ids.push((await replica.rotate(request(), 'dev', name)).id);
        else if (kind === 'drift') ids.push((await replica.drift(request(), 'dev', name)).id);
        else if (kind === 'cancel') await replica.cancel(request(), known);
        else await replica.retry(request(), known);
      } catch (error) {
        // A request that does not fit the state of the moment is refused, never broken.
        if (!(error instanceof ServiceError)) throw error;
      }
    };
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 10, maxLength: 10 }), async (moves) => {
        await Promise.all(moves.map(make));
      }),
      { numRuns: ROUNDS / 10, endOnFailure: true },
    );
    const replica = replicas[0] as RunningOperations;
    const ended = await Promise.all(ids.map((id) => replica.wait(id, 60_000)));
    assert.ok(ended.every(({ status }) => ['succeeded', 'failed', 'canceled'].includes(status)));
    assert.ok(ended.some(({ status }) => status === 'succeeded') && ended.some(({ status }) => status === 'failed'));
    assert.equal(engine.overlapped, false);
    // Each attempt has exactly one beginning and one end among the events.
    const odd = await postgres.query(
      `SELECT id, attempt FROM development_operations.operations AS operation
       WHERE attempt <> (SELECT count(*) FROM development_operations.operation_events
                         WHERE operation_id = id AND data->>'status' = 'running')
          OR last_sequence <> (SELECT count(*) FROM development_operations.operation_events WHERE operation_id = id)`,
      { database: 'operations' },
    );
    assert.deepEqual(odd, []);
    // The queue is told a moment after the operation has ended.
    await until(async () => {
      const left = await postgres.query('SELECT FROM graphile_worker._private_jobs', { database: 'operations' });
      return left.length === 0;
    });
  });
});
