import assert from 'node:assert/strict';
import { connect as connectSocket, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { lockKey } from '../../../plugins/postgresql/locks.ts';
import { PluginError } from '../client.ts';
import { token, useServer } from './fixture.ts';

/** Moments of the cancellation, in milliseconds after the request: making a database takes about as long as the last. */
const MOMENTS = [0, 1, 2, 4, 7, 10, 15, 20, 30, 45, 70, 100, 150];

describe('postgresql: cancellation', function () {
  this.timeout(120_000);
  const f = useServer();

  const session = async () => {
    const client = new pg.Client({ ...f.db, user: 'postgres', database: 'postgres' });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const until = async (what: string, sql: string) => {
    for (const end = Date.now() + 60_000; (await f.db.query(sql)).length === 0; await sleep(20)) {
      if (Date.now() > end) throw new Error(`${what}: did not come true`);
    }
  };
  const databases = (name: string) => f.db.query('SELECT 1 FROM pg_database WHERE datname = $1', { values: [name] });
  const ours = () =>
    f.db.query(
      `SELECT a.query FROM pg_stat_activity a LEFT JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory'
        WHERE a.application_name = 'development-operations' AND (a.state <> 'idle' OR l.pid IS NOT NULL)`,
    );
  /** Keeps CREATE DATABASE … TEMPLATE `name` waiting, until the returned function is called. */
  const holdTemplate = async (name: string) => {
    await f.db.query(`CREATE DATABASE ${name}`);
    const holder = await session();
    await holder.query('BEGIN');
    await holder.query(`COMMENT ON DATABASE ${name} IS 'held'`);
    return () => holder.end();
  };
  const CREATING = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE DATABASE%' AND wait_event_type = 'Lock'";

  it('a cancelled operation answers only when the server has', async () => {
    const outcomes = new Set<string>();
    for (const moment of MOMENTS) {
      const name = `moment_${moment}`;
      const client = await f.connectAs();
      const made = f.create('Database', { name }, client).then(
        () => true,
        // What was made goes into the state, with what is missing: its reading.
        (error: unknown) => {
          assert.ok(error instanceof PluginError);
          assert.match(error.message, /the operation was cancelled/);
          if (error.initFailure) assert.deepEqual([error.initFailure.id, error.initFailure.state.name], [name, name]);
          return error.initFailure !== undefined;
        },
      );
      await sleep(moment);
      await client.cancel();
      const there = await made;
      assert.equal((await databases(name)).length, there ? 1 : 0, `cancelled after ${moment} ms`);
      assert.deepEqual(await ours(), [], `cancelled after ${moment} ms`);
      outcomes.add(String(there));
      // The next run goes on from what it was told.
      const next = await f.connectAs();
      if (there) await f.refresh('Database', { id: name, state: { name }, inputs: { name } }, next);
      else await f.create('Database', { name }, next);
    }
    assert.ok(outcomes.has('false'), 'no cancellation came before the end');
  });

  it('the statement that it waits for is ended, and what it had taken is given back', async () => {
    const release = await holdTemplate('held_cancelled');
    try {
      const client = await f.connectAs();
      const inputs = { name: 'never', template: 'held_cancelled' };
      const refused = assert.rejects(f.create('Database', inputs, client), /the operation was cancelled/);
      await until('the creation waits', CREATING);
      await client.cancel();
      await refused;
      assert.deepEqual(await ours(), []);
    } finally {
      await release();
    }
    assert.deepEqual(await databases('never'), []);
  });

  it('… of which the server says nothing ends all the same', async () => {
    const proxy = await silenceableProxy(f.db.port);
    const holder = await session();
    try {
      await holder.query('SELECT pg_advisory_lock($1)', [lockKey('role/silent')]);
      const client = await f.connectAs({ port: JSON.stringify(proxy.port) });
      const refused = assert.rejects(
        f.create('Role', { name: 'silent' }, client),
        /did not say within 5 s how the cancelled operation ended.*run pulumi refresh/,
      );
      await until('the role waits', "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'");
      proxy.silence();
      await client.cancel();
      await refused;
      await client.close();
    } finally {
      await holder.end();
      proxy.close();
    }
  });

  it('a database that is being made for somebody who was killed is seen when it is there', async () => {
    const release = await holdTemplate('held_killed');
    const killed = await session();
    await killed.query('SELECT pg_advisory_lock($1)', [lockKey('database/orphan')]);
    killed.query('CREATE DATABASE orphan TEMPLATE held_killed').catch(() => undefined);
    await until('the creation waits', CREATING);
    (killed as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
    const read = f.client.read(token('Database'), 'test', { id: 'orphan' });
    await until('the reader waits for the lock', "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'");
    assert.deepEqual(await databases('orphan'), []);
    await release();
    assert.equal((await read).id, 'orphan');
  });
});

/** Forwards to a port of this machine, until it falls silent: then it takes connections, and nothing comes through. */
async function silenceableProxy(port: number) {
  const sockets: Socket[] = [];
  let silent = false;
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
    if (silent) return;
    const to = connectSocket(port, '127.0.0.1').on('error', () => undefined);
    sockets.push(to);
    socket.pipe(to);
    to.pipe(socket);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    port: (server.address() as { port: number }).port,
    silence() {
      silent = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
