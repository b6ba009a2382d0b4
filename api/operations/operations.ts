import { runMigrations } from 'graphile-worker';
import { ServiceError } from '../errors.ts';
import { addAudit } from '../store/audit.ts';
import { connectionSettings, createPool, isConnectionError } from '../store/connection.ts';
import { migrate } from '../store/migrations.ts';
import { Hub } from './hub.ts';
import { Inspector } from './inspector.ts';
import { Interventions } from './interventions.ts';
import type { OperationsOptions } from './options.ts';
import { Reading } from './reading.ts';
import { Requests } from './requests.ts';
import { Runs } from './run.ts';
import type { OperationsService } from './service.ts';
import { Sweeper } from './sweeper.ts';
import { quietLogger, Worker } from './worker.ts';

export type { Log, MetricsHooks, OperationsOptions } from './options.ts';
export { Interruption } from './run.ts';

const CONCURRENCY = 2;
/** Connections for requests; the worker has its own. */
const CONNECTIONS = 10;

/** The service, and the part of it that carries operations out. */
export interface RunningOperations extends OperationsService {
  /** Takes operations from the queue, from now on. */
  startWorker(): Promise<void>;
  /**
   * Takes no more operations; those that have not ended after `timeoutMilliseconds` go back to the queue. Then closes
   * everything but the engine.
   */
  stop(timeoutMilliseconds: number): Promise<void>;
}

/**
 * Opens the records, in PostgreSQL, and brings their schema up to date.
 *
 * @throws when the server cannot be reached, the schema is newer than this program, or the key has not 32 bytes.
 */
export async function createOperationsService(options: OperationsOptions): Promise<RunningOperations> {
  const { engine, settings, encryptionKey, log, environment = process.env } = options;
  if (encryptionKey.length !== 32) throw new Error(`the encryption key has ${encryptionKey.length} bytes, not 32`);
  const connection = options.connection ?? connectionSettings(environment);
  const ownDatabase = connection.database ?? 'postgres';
  const pool = createPool(connection, CONNECTIONS, (error) =>
    log.debug({ reason: error.message }, 'a connection was lost'),
  );
  const inspector = new Inspector(settings, environment);
  const runs = new Runs(pool, inspector, ownDatabase, options);
  const hub = new Hub(
    connection,
    log,
    (id) => runs.cancel(id),
    () => void runs.catchUp().catch((error: Error) => log.warn({ reason: error.message }, 'cannot look for cancels')),
  );
  const worker = new Worker(connection, settings.concurrency ?? CONCURRENCY, runs, log);
  const sweeper = new Sweeper(pool, worker, log, options.metrics, options.sweepInterval);
  try {
    await migrate(pool, () => runMigrations({ pgPool: pool, logger: quietLogger(log) }));
    await hub.start();
  } catch (error) {
    await pool.end();
    throw error;
  }

  const requests = new Requests(pool, settings, ownDatabase);
  const interventions = new Interventions(pool, encryptionKey);
  const reading = new Reading(pool, hub, engine);
  let started = false;
  return {
    requestPlan: (...given) => answered(requests.requestPlan(...given)),
    requestDeletionPlan: (...given) => answered(requests.requestDeletionPlan(...given)),
    plan: (...given) => answered(reading.plan(...given)),
    applyPlan: (...given) => answered(requests.applyPlan(...given)),
    put: (...given) => answered(requests.put(...given)),
    remove: (...given) => answered(requests.remove(...given)),
    rotate: (...given) => answered(requests.rotate(...given)),
    drift: (...given) => answered(requests.drift(...given)),
    databases: (...given) => answered(reading.databases(...given)),
    database: (...given) => answered(reading.database(...given)),
    graph: (...given) => answered(reading.graph(...given)),
    operations: (...given) => answered(reading.operations(...given)),
    operation: (...given) => answered(reading.operation(...given)),
    events: (...given) => reading.events(...given),
    wait: (...given) => answered(reading.wait(...given)),
    cancel: (...given) => answered(interventions.cancel(...given)),
    retry: (...given) => answered(interventions.retry(...given)),
    takeCredentials: (...given) => answered(interventions.takeCredentials(...given)),
    audit: (...given) => answered(reading.audit(...given)),
    refused: (entry) => answered(addAudit(pool, entry)),
    ready: async () => {
      try {
        await pool.query('SELECT 1');
      } catch (error) {
        return { ready: false, reason: `the records cannot be reached: ${(error as Error).message}` };
      }
      if (started && !worker.running) return { ready: false, reason: 'the queue is connecting again' };
      return await engine.ready();
    },
    startWorker: async () => {
      await worker.start();
      started = true;
      sweeper.start();
    },
    stop: async (timeoutMilliseconds) => {
      await sweeper.stop();
      if (started) await worker.stop(timeoutMilliseconds);
      await hub.stop();
      await inspector.close();
      await pool.end();
    },
  };
}

/** A connection that failed is told as what it is for the caller; a key makes asking again safe. */
async function answered<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isConnectionError(error)) throw error;
    throw new ServiceError(
      'unavailable',
      'The records cannot be reached now: ask again, with the same Idempotency-Key.',
    );
  }
}
