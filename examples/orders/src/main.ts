import { setTimeout as sleep } from 'node:timers/promises';
import { createPool } from './database.ts';
import { describeError } from './log.ts';
import { createServer } from './server.ts';
import { readSettings } from './settings.ts';
import { OrderStore } from './store.ts';

/** Longest wait for open requests after draining, in milliseconds. */
const CLOSE_TIMEOUT = 15_000;

/** Starts the service; ends with the process's first SIGTERM or SIGINT. */
async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const pool = createPool(process.env);
  let draining = false;
  const server = createServer({ settings, store: new OrderStore(pool), draining: () => draining });
  // An idle connection that breaks (the database restarts) is replaced by the next query.
  pool.on('error', (error) => server.log.warn({ err: error }, 'an idle database connection was lost'));

  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (draining) return;
    draining = true;
    server.log.info({ signal, drainSeconds: settings.drainSeconds }, 'shutting down');
    // Unreferenced: it ends the process only if something else keeps it alive.
    setTimeout(() => process.exit(1), settings.drainSeconds * 1000 + CLOSE_TIMEOUT).unref();
    await sleep(settings.drainSeconds * 1000);
    await server.close();
    await pool.end();
    server.log.info('stopped');
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      stop(signal).catch((error: unknown) => fail('the shutdown failed', error));
    });
  }
  await server.listen({ port: settings.port, host: settings.host });
}

function fail(what: string, error: unknown): never {
  const why = describeError(error);
  process.stderr.write(`${JSON.stringify({ level: 'fatal', service: 'orders', message: `${what}: ${why}` })}\n`);
  process.exit(1);
}

main().catch((error: unknown) => fail('the service cannot start', error));
