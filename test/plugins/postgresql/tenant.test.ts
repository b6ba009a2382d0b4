import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import pg from 'pg';
import type { Engine, EngineRequest, EngineResult } from '../../../api/engine/engine.ts';
import { createEngine } from '../../../api/engine/pool.ts';
import type { Credentials, WantedDatabase } from '../../../api/model.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';

const WANTED: WantedDatabase = {
  name: 'shop',
  environment: 'limited',
  schemas: ['shop'],
  roles: {
    application: { access: 'write' },
    migrations: { access: 'owner' },
    reports: { access: 'read', connectionLimit: 2 },
  },
  credentials: { type: 'return' },
};

/** The service's own server has an administrator that may make roles and databases, and nothing more. */
describe('postgresql: a tenant by an administrator without SUPERUSER, through the engine', function () {
  this.timeout(180_000);
  let db: TestPostgres;
  let pool: pg.Pool;
  let engine: Engine;

  before(async () => {
    db = await startPostgres();
    await db.query("CREATE ROLE admin LOGIN CREATEROLE CREATEDB PASSWORD 'limited'");
    await db.query('CREATE DATABASE operations');
    pool = new pg.Pool({
      host: db.host,
      port: db.port,
      user: 'postgres',
      password: db.password,
      database: 'operations',
    });
    pool.on('error', () => undefined);
    engine = await createEngine({
      pool,
      settings: {
        publicUrl: 'https://localhost',
        issuers: [],
        namespaces: [],
        concurrency: 1,
        environments: {
          limited: {
            host: db.host,
            port: db.port,
            sslmode: 'disable',
            adminDatabase: 'postgres',
            superuser: false,
            usernameVariable: 'ADMIN_USERNAME',
            passwordVariable: 'ADMIN_PASSWORD',
          },
        },
      },
      environment: {
        ...process.env,
        PGHOST: db.host,
        PGPORT: String(db.port),
        PGDATABASE: 'operations',
        PGUSER: 'postgres',
        PGPASSWORD: db.password,
        PGSSLMODE: 'disable',
        API_STATE_PASSPHRASE: 'of the state of this test',
        ADMIN_USERNAME: 'admin',
        ADMIN_PASSWORD: 'limited',
        NODE_OPTIONS: `--import=${createRequire(import.meta.url).resolve('tsx')}`,
      },
    });
  });
  after(async () => {
    await engine?.close();
    await pool?.end();
    await db?.stop();
  });

  const request = (wanted: WantedDatabase, change: Partial<EngineRequest> = {}): EngineRequest => ({
    stack: `limited-${wanted.name}`,
    wanted,
    rotations: {},
    signal: AbortSignal.timeout(120_000),
    ...change,
  });
  const names = ({ steps }: EngineResult) => steps.map(({ operation, name }) => `${operation} ${name}`).sort();
  const same = async (wanted: WantedDatabase, change: Partial<EngineRequest> = {}) =>
    assert.deepEqual(names(await engine.preview(request(wanted, change), 'apply')), []);

  /** What the role may do, as the role itself. */
  async function as(credentials: Credentials | undefined, role: string, text: string): Promise<unknown[]> {
    const { PGUSER, PGPASSWORD, PGDATABASE } = credentials?.[role] ?? {};
    return await db.query(text, { user: PGUSER ?? '', password: PGPASSWORD ?? '', database: PGDATABASE ?? '' });
  }

  it('is made, changed, compared without a difference, rotated, and taken away', async () => {
    const made = await engine.apply(request(WANTED));
    await as(made.credentials, 'migrations', 'CREATE TABLE shop.orders (id int); INSERT INTO shop.orders VALUES (1)');
    assert.deepEqual(await as(made.credentials, 'reports', 'SELECT id FROM shop.orders'), [{ id: 1 }]);
    await assert.rejects(as(made.credentials, 'reports', 'DELETE FROM shop.orders'), /permission denied/);
    await same(WANTED);
    assert.deepEqual(names(await engine.drift(request(WANTED))), []);

    const changed: WantedDatabase = {
      ...WANTED,
      schemas: ['shop', 'audit'],
      connectionLimit: 30,
      roles: { migrations: { access: 'owner' }, application: { access: 'read' }, second: { access: 'write' } },
    };
    const after = await engine.apply(request(changed));
    await as(after.credentials, 'migrations', 'CREATE TABLE audit.log ()');
    await as(after.credentials, 'second', 'DELETE FROM shop.orders');
    await assert.rejects(as(after.credentials, 'application', 'DELETE FROM shop.orders'), /permission denied/);
    assert.deepEqual(await db.query("SELECT 1 FROM pg_roles WHERE rolname = 'shop_reports'"), []);
    await same(changed);

    const rotations = { application: '1' };
    const rotated = await engine.apply(request(changed, { rotations }));
    assert.notEqual(rotated.credentials?.application?.PGPASSWORD, after.credentials?.application?.PGPASSWORD);
    assert.equal(rotated.credentials?.second?.PGPASSWORD, after.credentials?.second?.PGPASSWORD);
    await as(rotated.credentials, 'application', 'SELECT 1');
    await same(changed, { rotations });

    await engine.apply(request(changed, { rotations, dropSchemas: ['audit'] }));
    const smaller = { ...changed, schemas: ['shop'] };
    await engine.apply(request(smaller, { rotations }));
    assert.deepEqual(await db.query("SELECT 1 FROM pg_namespace WHERE nspname = 'audit'", { database: 'shop' }), []);
    await same(smaller, { rotations });

    await engine.destroy(request(smaller, { rotations }));
    assert.deepEqual(await db.query("SELECT datname FROM pg_database WHERE datname = 'shop'"), []);
    assert.deepEqual(await db.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'shop%'"), []);
    const left = await db.query(
      "SELECT roleid::regrole FROM pg_auth_members WHERE member = 'admin'::regrole AND NOT admin_option",
    );
    assert.deepEqual(left, []);
  });
});
