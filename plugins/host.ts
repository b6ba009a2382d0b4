/**
 * All plugins in one warm process, for `PULUMI_DEBUG_PROVIDERS`: a preview then starts no plugin of its own.
 *
 *     node plugin-host.mjs <file>
 *
 * writes `{"random":40001,…}` to the file once every plugin listens on 127.0.0.1, and stays until SIGTERM or SIGINT.
 */

import { rename, rm, writeFile } from 'node:fs/promises';
import { type RunningServer, startServer } from './framework/server.ts';
import { PLUGIN_NAMES, PLUGINS } from './index.ts';

async function main(file: string | undefined): Promise<void> {
  if (file === undefined) throw new Error('usage: node plugin-host.mjs <file for the ports>');
  const servers = new Map<string, RunningServer>();
  const started = await Promise.allSettled(
    PLUGIN_NAMES.map(async (name) => servers.set(name, await startServer(await PLUGINS[name]()))),
  );
  const failed = started.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;

  const stop = async () => {
    await rm(file, { force: true });
    await Promise.allSettled([...servers.values()].map((server) => server.close()));
    process.exit(0);
  };
  process.once('SIGTERM', () => void stop());
  process.once('SIGINT', () => void stop());
  // One plugin's stray error must not take the others' engines down with it.
  process.on('uncaughtException', (error) => process.stderr.write(`${error.stack ?? error.message}\n`));
  process.on('unhandledRejection', (error) =>
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`),
  );

  const ports = Object.fromEntries([...servers].map(([name, { port }]) => [name, port]));
  // A reader must never find half a file.
  await writeFile(`${file}.partial`, `${JSON.stringify(ports)}\n`);
  await rename(`${file}.partial`, file);
}

main(process.argv[2]).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
});
