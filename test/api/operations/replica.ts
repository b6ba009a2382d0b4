/**
 * A replica in a process of its own, for tests that kill it. Takes its settings from the environment, writes `ready`,
 * and each run that begins and ends into the table `runs`; ends with SIGTERM.
 */

import pg from 'pg';
import { connection, ScriptedEngine, startService, work } from './support.ts';

const [port, password, database, name, milliseconds] = ['PORT', 'PASSWORD', 'DATABASE', 'NAME', 'MILLISECONDS'].map(
  (variable) => process.env[`TEST_${variable}`] ?? '',
);
const server = { port: Number(port), password: password ?? '' };
const pool = new pg.Pool({ ...connection(server.port, server.password, database ?? ''), max: 2 });
pool.on('error', () => undefined);

const engine = new ScriptedEngine(async (call, request) => {
  await pool.query('INSERT INTO runs (replica, stack, command) VALUES ($1, $2, $3)', [name, call.stack, call.command]);
  if (call.command === 'apply') await work(request, Number(milliseconds));
  return undefined;
});
const service = await startService(server, database ?? '', engine);
process.once('SIGTERM', () => {
  void service
    .stop(100)
    .then(() => pool.end())
    .then(() => process.exit(0));
});
process.stdout.write('ready\n');
