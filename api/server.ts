import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createVerifier } from './authentication/verifier.ts';
import { createEngine } from './engine/pool.ts';
import { createApp } from './http/app.ts';
import { createMetricsServer } from './http/metricsServer.ts';
import { createOperationsService } from './operations/operations.ts';
import { readEncryptionKey, readSettings } from './readSettings.ts';
import { connectionSettings, createPool } from './store/connection.ts';
import { countQueued } from './store/operations.ts';
import { startTelemetry, type Telemetry } from './telemetry/telemetry.ts';

/** Between "not ready" and the end, in milliseconds: until nobody sends requests here any more. */
const DRAIN = 3_000;
/** For running operations to end before they go back to the queue, in milliseconds. */
const HAND_BACK = 30_000;
/** The whole end, in milliseconds: what hangs does not hold the process. The pod's grace period has to be longer. */
const LONGEST_END = 50_000;
/** For the engine's pool: the state is read and copied. */
const ENGINE_CONNECTIONS = 4;

/** The console's files: beside the bundle in the image, and where `npm run build:api` puts them. */
function consoleDirectory(): string | undefined {
  return ['./console', './dist/console']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(`${path}/console.js`));
}

/** Starts everything, in the order in which one needs the other. @returns what ends it again, in the other order. */
async function start(telemetry: Telemetry): Promise<() => Promise<void>> {
  const { log, metrics, tracer } = telemetry;
  const settings = readSettings();
  const encryptionKey = readEncryptionKey();
  const opened: (() => Promise<unknown>)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of opened.reverse()) {
      await close().catch((error: Error) => log.error({ error }, 'something does not end as it should'));
    }
  };
  opened.push(() => tracer.close());
  try {
    const pool = createPool(connectionSettings(process.env), ENGINE_CONNECTIONS, (error) =>
      log.debug({ reason: error.message }, 'a connection was lost'),
    );
    opened.push(() => pool.end());
    const engine = await createEngine({ settings, pool, log });
    opened.push(() => engine.close());
    const service = await createOperationsService({
      ...{ engine, settings, encryptionKey, log },
      metrics: metrics.operations,
      tracer,
    });
    opened.push(() => service.stop(HAND_BACK));
    const environments = Object.keys(settings.environments);
    metrics.observeQueue(() => countQueued(pool));

    const metricsServer = createMetricsServer(metrics.registry);
    const metricsPort = settings.metricsPort ?? 9464;
    await new Promise<void>((resolve, reject) => {
      metricsServer.once('error', reject).listen(metricsPort, '0.0.0.0', resolve);
    });
    opened.push(async () => {
      metricsServer.close();
      metricsServer.closeAllConnections();
    });

    const ending = new AbortController();
    const verifier = createVerifier({ issuers: settings.issuers, log });
    const app = await createApp({
      ...{ service, settings, verifier, telemetry, consoleDirectory: consoleDirectory() },
      closing: ending.signal,
    });
    opened.push(() => app.close());
    await app.listen({ port: settings.port ?? 8080, host: '0.0.0.0' });
    await service.startWorker();
    log.info({ port: settings.port ?? 8080, metricsPort, environments }, 'ready');
    return async () => {
      // Not ready any more; streams end, and their clients go on at another replica.
      ending.abort();
      await sleep(DRAIN);
      await closeAll();
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function main(): Promise<void> {
  const telemetry = await startTelemetry();
  const { log } = telemetry;
  const stop = new Promise<NodeJS.Signals>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  let close: () => Promise<void>;
  try {
    close = await start(telemetry);
  } catch (error) {
    log.fatal({ error }, 'cannot start');
    process.exitCode = 1;
    return;
  }
  log.info({ signal: await stop }, 'ending');
  setTimeout(() => {
    log.error({}, 'the end takes too long: leaving');
    process.exit(1);
  }, LONGEST_END).unref();
  await close();
  log.info({}, 'ended');
}

// Whoever imports it for something else starts nothing.
if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
