import assert from 'node:assert/strict';
import pg from 'pg';
import type { RunningOperations } from '../../../api/operations/operations.ts';
import { countQueued } from '../../../api/store/operations.ts';
import { createMetrics } from '../../../api/telemetry/metrics.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { connection, request, ScriptedEngine, startService, wanted } from '../operations/support.ts';

describe('the metric of operations that wait', function () {
  this.timeout(60_000);
  let postgres: TestPostgres;
  let service: RunningOperations;
  let pool: pg.Pool;

  before(async () => {
    postgres = await startPostgres();
    await postgres.query('CREATE DATABASE queue');
    // Nobody takes anything from the queue.
    service = await startService(postgres, 'queue', new ScriptedEngine(), { worker: false });
    pool = new pg.Pool(connection(postgres.port, postgres.password, 'queue'));
  });
  after(async () => {
    await pool?.end();
    await service?.stop(0);
    await postgres?.stop();
  });

  it('counts all of them, however many there are, and no others', async () => {
    const metrics = createMetrics();
    metrics.observeQueue(() => countQueued(pool));
    const queued = async () => /^operations_queued (\S+)$/m.exec(await metrics.registry.metrics())?.[1];
    assert.equal(await queued(), '0');
    const { id } = await service.put(request(), wanted('first'));
    assert.equal(await queued(), '1');
    await pool.query(
      `INSERT INTO development_operations.operations
         (id, kind, environment, database, status, input, requested_by, request_id, action)
       SELECT gen_random_uuid(), kind, environment, 'd' || n, CASE WHEN n <= 1234 THEN 'queued' ELSE 'succeeded' END,
         input, requested_by, request_id, action
       FROM development_operations.operations, generate_series(1, 2000) AS n WHERE id = $1`,
      [id],
    );
    assert.equal(await queued(), '1235');
  });
});
