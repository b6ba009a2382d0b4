import 'reflect-metadata';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import pg from 'pg';
import { UNKNOWN } from '../../../plugins/framework/values.ts';
import { serverConfig } from '../../../plugins/postgresql/config.ts';
import { Server } from '../../../plugins/postgresql/connection.ts';
import { lockKey } from '../../../plugins/postgresql/locks.ts';
import { plugin } from '../../../plugins/postgresql/plugin.ts';
import { literal } from '../../../plugins/postgresql/sql/quote.ts';
import { connect, type PluginClient } from '../client.ts';
import { token, useServer } from './fixture.ts';

/** A certificate for 127.0.0.1 or another name, signed by itself. */
async function certificate(address: string): Promise<{ cert: string; key: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    notAfter: new Date(Date.now() + 86_400_000),
    extensions: [
      new x509.BasicConstraintsExtension(true),
      new x509.SubjectAlternativeNameExtension([{ type: /^[\d.]+$/.test(address) ? 'ip' : 'dns', value: address }]),
    ],
  });
  const key = x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { cert: cert.toString('pem'), key };
}

describe('postgresql: connections', function () {
  this.timeout(20_000);
  const f = useServer();

  it('a preview opens none, with a host that is not known as well', async () => {
    const hits: number[] = [];
    const trap = createServer((socket) => {
      hits.push(1);
      socket.destroy();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => trap.once('listening', resolve));
    const { port } = trap.address() as { port: number };
    for (const host of ['127.0.0.1', UNKNOWN]) {
      const client = await connect(plugin);
      await client.configure({ host, port: String(port), sslmode: 'disable' });
      const { inputs } = await client.check(token('Schema'), 'test', { name: 's', database: UNKNOWN });
      const made = await client.create(token('Schema'), 'test', inputs, { preview: true });
      assert.deepEqual([made.id, made.state.owner, made.state.ifNotExists], ['', UNKNOWN, true]);
      const existing = {
        id: 'd.s',
        state: { id: 'd.s', name: 's', database: 'd', owner: 'o', ifNotExists: true },
        inputs,
      };
      const same = await client.diff(token('Schema'), 'test', existing, { name: 's', database: 'd' });
      assert.equal(same.changes, false);
      const renamed = { name: 'other', database: 'd' };
      assert.deepEqual((await client.diff(token('Schema'), 'test', existing, renamed)).diffs, ['name']);
      const { state } = await client.update(token('Schema'), 'test', existing, renamed, { preview: true });
      assert.deepEqual([state.name, state.owner], ['other', 'o']);
      await client.close();
    }
    trap.close();
    assert.deepEqual(hits, []);
  });

  it('are few, and none is left after close', async () => {
    const client = await f.connectAs();
    const names = Array.from({ length: 20 }, (_, index) => `few_${index}`);
    await Promise.all(names.map((name) => f.create('Role', { name }, client)));
    const count = async () => {
      const [row] = await f.db.query<{ n: number }>(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'development-operations'",
      );
      return row?.n ?? -1;
    };
    assert.ok((await count()) <= 4);
    await client.close();
    for (let end = Date.now() + 5000; (await count()) > 0 && Date.now() < end; );
    assert.equal(await count(), 0);
  });

  const failures: readonly (readonly [string, Record<string, string>, RegExp])[] = [
    ['refused', { port: '1' }, /PostgreSQL at 127\.0\.0\.1:1 refuses connections: start it, or correct/],
    [
      'unknown host',
      { host: 'no-such-host.invalid' },
      /no-such-host\.invalid:\d+ is not found .*correct postgresql:host/,
    ],
    [
      'wrong password',
      { password: 'wrong-canary' },
      /does not accept the password of "postgres": correct postgresql:password/,
    ],
    ['no database', { database: 'nothing' }, /has no database "nothing": correct postgresql:database/],
    ['no TLS', { sslmode: 'require' }, /does not offer TLS: switch ssl on there, or set postgresql:sslmode to disable/],
  ];
  for (const [what, inputs, message] of failures) {
    it(`${what}: the error says where and what to do, and no password`, async () => {
      const client = await f.connectAs(inputs);
      await assert.rejects(f.create('Role', { name: 'never' }, client), (error: Error) => {
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /canary|Admin-of-the-test/);
        return true;
      });
    });
  }

  it('a cancelled operation stops waiting, and leaves nothing half done', async () => {
    const client = await f.connectAs();
    const holder = new pg.Client({
      host: f.db.host,
      port: f.db.port,
      user: 'postgres',
      password: f.db.password,
      database: 'postgres',
    });
    await holder.connect();
    try {
      await holder.query('SELECT pg_advisory_lock($1)', [lockKey('role/waiting')]);
      const started = Date.now();
      const waiting = assert.rejects(f.create('Role', { name: 'waiting' }, client));
      const isWaiting = async () =>
        (await f.db.query("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'")).length;
      while ((await isWaiting()) === 0 && Date.now() - started < 10_000);
      await client.cancel();
      await waiting;
      assert.ok(Date.now() - started < 10_000);
    } finally {
      await holder.end();
    }
    assert.deepEqual(await f.db.query("SELECT 1 FROM pg_roles WHERE rolname = 'waiting'"), []);
  });

  it('statements are in the debug log, and in errors, without their secrets', async () => {
    const lines: string[] = [];
    const nothing = () => undefined;
    const log = {
      debug: (line: string) => void lines.push(line),
      info: nothing,
      warn: nothing,
      error: nothing,
      status: nothing,
    };
    const config = serverConfig({ host: f.db.host, port: f.db.port, password: f.db.password, sslmode: 'disable' }, {});
    const server = new Server(config, log);
    try {
      const secret = "ve'ri\\fier";
      const statement = `ALTER ROLE "no one" WITH PASSWORD ${literal(secret)}`;
      const run = server.session('postgres', new AbortController().signal, (session) =>
        session.run(statement, [secret]),
      );
      await assert.rejects(
        run,
        /^Error: ALTER ROLE "no one" WITH PASSWORD '\[secret\]': role "no one" does not exist\. Create it first/,
      );
      assert.deepEqual(lines, [`postgres: ALTER ROLE "no one" WITH PASSWORD '[secret]'`]);
    } finally {
      await server.close();
    }
  });

  it('configuration is judged before anything connects', async () => {
    const { failures: found } = await f.client.checkConfig({
      sslmode: 'prefer',
      port: '99999',
      awsRdsIamAuth: 'true',
      scheme: 'gcppostgres',
      host: UNKNOWN,
    });
    assert.deepEqual(found.map(({ property }) => property).sort(), ['awsRdsIamAuth', 'port', 'scheme', 'sslmode']);
    assert.match(found.map(({ reason }) => reason).join(), /pulumi plugin install resource postgresql v3\.18\.1/);
  });

  it('types and functions of the official plugin that are not here say how to get it', async () => {
    await assert.rejects(
      f.client.check(token('Publication'), 'test', {}),
      /postgresql:index\/publication:Publication is not among.*pulumi plugin install/,
    );
    await assert.rejects(f.client.invoke('postgresql:index/getTables:getTables'), /getTables.*pulumi plugin install/);
  });

  it('inputs are judged all at once', async () => {
    const { failures: found } = await f.client.check(token('Grant'), 'test', {
      role: 'x'.repeat(64),
      database: 'd',
      objectType: 'table',
      privileges: ['select', 'USAGE'],
      columns: ['a'],
      shcema: 'typo',
    });
    assert.deepEqual(found.map(({ property }) => property).sort(), [
      'columns',
      'privileges',
      'privileges',
      'role',
      'schema',
      'shcema',
    ]);
    assert.match(found.map(({ reason }) => reason).join('\n'), /64 bytes.*write SELECT.*use some of ALL/s);
  });
});

describe('postgresql: TLS', function () {
  this.timeout(20_000);
  let directory = '';
  after(() => rmSync(directory, { recursive: true, force: true }));
  const files: { cert: string; key: string } = { cert: '', key: '' };
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'devops-postgres-tls-'));
    Object.assign(files, await certificate('127.0.0.1'));
    writeFileSync(join(directory, 'root.crt'), files.cert);
    writeFileSync(join(directory, 'other.crt'), (await certificate('127.0.0.1')).cert);
  });
  const f = useServer({ ssl: files });
  const names: string[] = [];
  const tried = async (inputs: Record<string, string>) => {
    const client: PluginClient = await f.connectAs(inputs);
    const name = `tls_${names.push('')}`;
    return f.create('Role', { name }, client);
  };

  it('require takes any certificate, verify-full the right one', async () => {
    await tried({ sslmode: 'require' });
    await tried({ sslmode: 'verify-full', sslrootcert: join(directory, 'root.crt') });
  });

  it('another authority, no authority and another name are refused', async () => {
    await assert.rejects(
      tried({ sslmode: 'verify-ca', sslrootcert: join(directory, 'other.crt') }),
      /is not signed by a known authority.*sslrootcert/,
    );
    await assert.rejects(tried({ sslmode: 'verify-full' }), /is not signed by a known authority/);
    const localhost = { host: 'localhost', sslrootcert: join(directory, 'root.crt') };
    await assert.rejects(tried({ sslmode: 'verify-full', ...localhost }), /is for other names/);
    await tried({ sslmode: 'verify-ca', ...localhost });
    await assert.rejects(
      tried({ sslmode: 'verify-ca', sslrootcert: '/nowhere.crt' }),
      /postgresql:sslrootcert names a file that cannot be read/,
    );
  });
});

describe('postgresql: a server that keeps passwords as md5', function () {
  this.timeout(20_000);
  const f = useServer({ settings: ["password_encryption = 'md5'", "log_statement = 'all'"] });
  it('gets an md5 verifier, also after a new name', async () => {
    const role = await f.create('Role', { name: 'old', login: true, password: 'canary-5' });
    const hash = async () =>
      (await f.db.query<{ p: string }>("SELECT rolpassword AS p FROM pg_authid WHERE rolname ~ 'old|new'"))[0]?.p;
    const before = await hash();
    assert.match(String(before), /^md5/);
    await f.update('Role', role, { name: 'new', login: true, password: 'canary-5' });
    assert.match(String(await hash()), /^md5/);
    assert.notEqual(await hash(), before);
    assert.doesNotMatch(f.db.log(), /canary/);
  });
});
