import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { keepingConnections } from '../../../plugins/postgresql/pools.ts';
import { useServer } from './fixture.ts';

describe('postgresql: connections that are kept', function () {
  this.timeout(60_000);
  const f = useServer();
  let close: () => Promise<void>;
  before(() => {
    close = keepingConnections();
  });
  after(() => close?.());

  const connections = async () =>
    (
      await f.db.query<{ pid: number; database: string }>(
        `SELECT pid, datname::text AS database FROM pg_stat_activity
          WHERE application_name = 'development-operations' ORDER BY pid`,
      )
    ).map(({ pid, database }) => `${database} ${pid}`);
  const until = async (what: string, holds: () => Promise<boolean>) => {
    for (const end = Date.now() + 30_000; !(await holds()); await sleep(20)) {
      if (Date.now() > end) throw new Error(`${what}: did not come true`);
    }
  };

  it('serve one provider after the other, to its own database only', async () => {
    await f.db.query('CREATE DATABASE tenant');
    const once = async (name: string) => {
      const client = await f.connectAs();
      await f.create('Schema', { name, database: 'tenant' }, client);
      await client.close();
      await until('the end of the others', async () =>
        (await connections()).every((one) => one.startsWith('postgres ')),
      );
      return await connections();
    };
    const first = await once('first');
    assert.equal(first.length, 1);
    assert.deepEqual(await once('second'), first);
  });

  it('are not another login’s, and go with a server that ends them', async () => {
    await f.db.query("CREATE ROLE other LOGIN SUPERUSER PASSWORD 'of the other'");
    const other = await f.connectAs({ username: 'other', password: 'of the other' });
    await f.create('Role', { name: 'made_by_other' }, other);
    const users = await f.db.query<{ user: string }>(
      "SELECT DISTINCT usename::text AS user FROM pg_stat_activity WHERE application_name = 'development-operations' ORDER BY 1",
    );
    assert.deepEqual(
      users.map(({ user }) => user),
      ['other', 'postgres'],
    );
    await f.db.query(
      "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE application_name = 'development-operations'",
    );
    await until('the end of all', async () => (await connections()).length === 0);
    // The driver hears of it a moment later; a connection that is dead must not be handed out for ever.
    await until('a new connection', () =>
      f.create('Role', { name: 'made_after' }, other).then(
        () => true,
        () => false,
      ),
    );
  });

  it('are closed in the end', async () => {
    await close();
    await until('the end of all', async () => (await connections()).length === 0);
  });
});
