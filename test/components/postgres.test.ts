import assert from 'node:assert/strict';
import * as pulumi from '@pulumi/pulumi';
import * as fc from 'fast-check';
import { databaseName, identifierProblem } from '../../components/postgres/identifiers.ts';
import { PostgresDatabase, type PostgresDatabaseArguments } from '../../components/postgres/postgresDatabase.ts';
import { privilegesOf } from '../../components/postgres/privileges.ts';
import { holds } from '../holds.ts';
import { findingsOf, type Registration, record, resolved, UNKNOWN } from './mocks.ts';

const args: PostgresDatabaseArguments = {
  database: 'orders_dev',
  schemas: ['orders'],
  roles: {
    application: { access: 'write' },
    migrations: { access: 'owner' },
    readonly: { access: 'read', connectionLimit: 5 },
  },
  namespace: 'dev',
  connection: { host: 'db.example.com', port: 15432, rootCertificate: 'PEM' },
};

const PASSWORD = 'p'.repeat(32);

describe('PostgresDatabase', () => {
  it('creates an owner without login and roles with generated passwords', async () => {
    const recording = await record();
    const database = new PostgresDatabase('db', args);
    const owner = await recording.find('db-owner');
    assert.equal(owner.type, 'postgresql:index/role:Role');
    assert.equal(owner.parent, 'db');
    assert.deepEqual(pick(owner, 'name', 'login', 'password'), { name: 'orders_dev_owner', login: false });
    assert.deepEqual((await recording.find('db-password-readonly')).inputs, { length: 32, special: false });
    const readonly = await recording.find('db-role-readonly');
    assert.deepEqual(
      pick(readonly, 'name', 'login', 'password', 'connectionLimit', 'roles', 'assumeRole', 'searchPaths'),
      {
        name: 'orders_dev_readonly',
        login: true,
        password: { secret: PASSWORD },
        connectionLimit: 5,
        searchPaths: ['orders'],
      },
    );
    assert.deepEqual(await resolved(database.owner), { value: 'orders_dev_owner', secret: false });
    assert.deepEqual(await resolved(database.database), { value: 'orders_dev', secret: false });
  });

  it('lets only an owner role become the owner', async () => {
    const recording = await record();
    new PostgresDatabase('db', args);
    const migrations = await recording.find('db-role-migrations');
    assert.deepEqual(pick(migrations, 'roles', 'assumeRole'), {
      roles: ['orders_dev_owner'],
      assumeRole: 'orders_dev_owner',
    });
    assert.deepEqual(pick(await recording.find('db-role-application'), 'roles', 'assumeRole'), {});
  });

  it('deletes the database before the roles that have privileges in it', async () => {
    const recording = await record();
    new PostgresDatabase('db', args);
    const database = await recording.find('db-database');
    assert.deepEqual(pick(database, 'name', 'owner', 'encoding', 'connectionLimit'), {
      name: 'orders_dev',
      owner: 'orders_dev_owner',
      encoding: 'UTF8',
      connectionLimit: -1,
    });
    assert.deepEqual(database.dependencies, [
      'db-owner',
      'db-role-application',
      'db-role-migrations',
      'db-role-readonly',
    ]);
  });

  it('protects what holds data, unless told otherwise', async () => {
    const protectedNames = async (protect: boolean | undefined) => {
      const recording = await record();
      new PostgresDatabase('db', { ...args, protect });
      return (await recording.registrations()).filter((one) => one.protect).map((one) => one.name);
    };
    assert.deepEqual((await protectedNames(undefined)).sort(), ['db-database', 'db-owner', 'db-schema-orders']);
    assert.deepEqual(await protectedNames(false), []);
  });

  it('takes everything from PUBLIC', async () => {
    const recording = await record();
    new PostgresDatabase('db', args);
    assert.deepEqual(pick(await recording.find('db-grant-database-public'), 'role', 'objectType', 'privileges'), {
      role: 'public',
      objectType: 'database',
      privileges: [],
    });
    const schema = await recording.find('db-grant-schema-public-public');
    assert.deepEqual(pick(schema, 'role', 'schema', 'privileges'), {
      role: 'public',
      schema: 'public',
      privileges: [],
    });
    const functions = await recording.find('db-default-function-public');
    assert.equal(functions.type, 'postgresql:index/defaultPrivileges:DefaultPrivileges');
    assert.deepEqual(pick(functions, 'role', 'owner', 'objectType', 'privileges', 'schema'), {
      role: 'public',
      owner: 'orders_dev_owner',
      objectType: 'function',
      privileges: [],
    });
  });

  it('grants what exists and what the owner will create, and nothing more', async () => {
    const recording = await record();
    new PostgresDatabase('db', args);
    const grants = (await recording.registrations()).filter((one) => /^db-(grant|default)/.test(one.name));
    const lines = grants
      .filter((one) => one.inputs.role !== 'public')
      .map((one) => {
        const { role, objectType, privileges, owner } = one.inputs as Record<string, string> & { privileges: string[] };
        return [owner ? `default of ${owner}` : 'grant', objectType, role, privileges.join(',')].join(' ');
      });
    const write = 'DELETE,INSERT,SELECT,UPDATE';
    assert.deepEqual(
      lines.sort(),
      [
        'grant database orders_dev_application CONNECT,TEMPORARY',
        'grant database orders_dev_readonly CONNECT',
        'grant schema orders_dev_application USAGE',
        'grant schema orders_dev_readonly USAGE',
        `grant table orders_dev_application ${write}`,
        'grant table orders_dev_readonly SELECT',
        'grant sequence orders_dev_application SELECT,UPDATE,USAGE',
        'grant sequence orders_dev_readonly SELECT',
        `default of orders_dev_owner table orders_dev_application ${write}`,
        'default of orders_dev_owner table orders_dev_readonly SELECT',
        'default of orders_dev_owner sequence orders_dev_application SELECT,UPDATE,USAGE',
        'default of orders_dev_owner sequence orders_dev_readonly SELECT',
      ].sort(),
    );
    for (const grant of grants) assert.equal(grant.deletedWith, 'db-database', grant.name);
  });

  it('never runs two grants on one object at once', async () => {
    const recording = await record();
    new PostgresDatabase('db', { ...args, schemas: ['orders', 'audit'] });
    const all = await recording.registrations();
    const byName = new Map(all.map((one) => [one.name, one]));
    const grants = all.filter((one) => /^db-(grant|default)/.test(one.name));
    assert.equal(grants.length, 2 + 1 + 2 + 2 * 2 * 5);
    for (const one of grants) {
      for (const other of grants) {
        if (one === other || objectOf(one) !== objectOf(other)) continue;
        const ordered = waitsFor(one, other.name, byName) || waitsFor(other, one.name, byName);
        assert.ok(ordered, `${one.name} and ${other.name} may run at once`);
      }
    }
  });

  it('puts libpq settings for each role into a Secret that comes after the grants', async () => {
    const recording = await record();
    const database = new PostgresDatabase('db', { ...args, labels: { a: 'b' } });
    const secret = await recording.find('db-connection-application');
    assert.equal(secret.type, 'kubernetes:core/v1:Secret');
    assert.deepEqual(secret.inputs.metadata, { name: 'db-application', namespace: 'dev', labels: { a: 'b' } });
    const data = (secret.inputs.data as { secret: Record<string, string> }).secret;
    const decoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]);
    assert.deepEqual(Object.fromEntries(decoded), {
      PGDATABASE: 'orders_dev',
      PGHOST: 'db.example.com',
      PGPASSWORD: PASSWORD,
      PGPORT: '15432',
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: '/etc/postgres/ca.crt',
      PGUSER: 'orders_dev_application',
    });
    const all = await recording.registrations();
    const byName = new Map(all.map((one) => [one.name, one]));
    for (const grant of all.filter((one) => /^db-(grant|default)/.test(one.name))) {
      assert.ok(waitsFor(secret, grant.name, byName), grant.name);
    }
    assert.deepEqual((await recording.find('db-certificate')).inputs.data, { 'ca.crt': 'PEM' });
    assert.deepEqual(await resolved(database.certificateConfigMapName), { value: 'db-certificate', secret: false });
    const { name, checksum } = database.connections.application ?? {};
    assert.deepEqual(await resolved(name), { value: 'db-application', secret: false });
    const { value, secret: hidden } = await resolved(checksum);
    assert.match(String(value), /^[0-9a-f]{16}$/);
    assert.equal(hidden, false);
  });

  it('changes the checksum with the settings, and does not know it before there is a password', async () => {
    const checksum = async (host: string, preview = false) => {
      await record({ preview });
      const database = new PostgresDatabase('db', { ...args, connection: { host } });
      assert.equal(database.certificateConfigMapName, undefined);
      return (await resolved(database.connections.readonly?.checksum)).value;
    };
    assert.notEqual(await checksum('a'), await checksum('b'));
    assert.equal(await checksum('a', true), UNKNOWN);
  });

  it('makes no object of Kubernetes without a namespace, and hands the credentials over', async () => {
    const recording = await record();
    const { namespace: _none, ...rest } = args;
    const database = new PostgresDatabase('db', rest);
    const all = await recording.registrations();
    assert.deepEqual(
      all.filter(({ type }) => type.startsWith('kubernetes:')).map(({ name }) => name),
      [],
    );
    assert.equal(database.certificateConfigMapName, undefined);
    assert.deepEqual(database.connections, {});
    assert.deepEqual(Object.keys(database.credentials), ['application', 'migrations', 'readonly']);
    assert.deepEqual(await resolved(database.credentials.readonly), {
      value: {
        PGDATABASE: 'orders_dev',
        PGHOST: 'db.example.com',
        PGPASSWORD: PASSWORD,
        PGPORT: '15432',
        PGSSLMODE: 'verify-full',
        PGSSLROOTCERT: '/etc/postgres/ca.crt',
        PGUSER: 'orders_dev_readonly',
      },
      secret: true,
    });
  });

  it('does not know the credentials before there is a password', async () => {
    await record({ preview: true });
    const database = new PostgresDatabase('db', args);
    assert.deepEqual(await resolved(database.credentials.readonly), { value: UNKNOWN, secret: true });
  });

  it('makes another password when a role is rotated, and changes nothing for the others', async () => {
    const recording = await record();
    new PostgresDatabase('db', { ...args, rotations: { application: '2' } });
    assert.deepEqual((await recording.find('db-password-application')).inputs, {
      length: 32,
      special: false,
      keepers: { rotation: '2' },
    });
    assert.deepEqual((await recording.find('db-password-readonly')).inputs, { length: 32, special: false });
  });

  it('deletes with what they hold only the schemas that are given up', async () => {
    const recording = await record();
    new PostgresDatabase('db', { ...args, schemas: ['orders', 'audit'], dropSchemas: ['audit'] });
    assert.deepEqual(pick(await recording.find('db-schema-audit'), 'dropCascade'), { dropCascade: true });
    assert.deepEqual(pick(await recording.find('db-schema-orders'), 'dropCascade'), {});
  });

  it('takes another name for its objects, and the certificate authority into the Secrets', async () => {
    const recording = await record();
    const database = new PostgresDatabase('db', {
      ...args,
      objectName: 'orders-dev',
      connection: { ...args.connection, certificateIn: 'secret' },
    });
    const secret = await recording.find('db-connection-readonly');
    assert.equal((secret.inputs.metadata as { name: string }).name, 'orders-dev-readonly');
    const data = (secret.inputs.data as { secret: Record<string, string> }).secret;
    assert.equal(Buffer.from(data['ca.crt'] ?? '', 'base64').toString(), 'PEM');
    assert.equal(database.certificateConfigMapName, undefined);
    assert.ok(!(await recording.registrations()).some(({ type }) => type.endsWith(':ConfigMap')));
  });

  it('refuses to rotate or to give up what is not there', async () => {
    await record();
    const found = findingsOf(
      () => new PostgresDatabase('db', { ...args, rotations: { nobody: '1' }, dropSchemas: ['nothing'] }),
    );
    assert.equal(found.length, 2, found.join('\n'));
    assert.match(found[0] ?? '', /^rotations\.nobody: there is no role "nobody": name one of application, /);
    assert.match(found[1] ?? '', /^dropSchemas\[0\]: there is no schema "nothing"/);
  });

  it('names every invalid argument at once', async () => {
    await record();
    const found = findingsOf(
      () =>
        new PostgresDatabase('db', {
          ...args,
          database: 'a'.repeat(60),
          schemas: ['pg_orders', 'public', 'two', 'two', 'a, b'],
          roles: {
            one: { access: 'read', name: 'same' },
            two: { access: 'read', name: 'same' },
            three: { access: 'read', name: 'public', connectionLimit: -2 },
            Four: { access: 'read', name: 'x' },
          },
          connectionLimit: 1.5,
          connection: { host: 'h', port: 0 },
        }),
    );
    const expected = [
      /^schemas\[0\]: "pg_orders" starts with "pg_"/,
      /^schemas\[1\]: "public" is closed/,
      /^schemas\[3\]: "two" is named twice/,
      /^schemas\[4\]: "a, b" holds ", "/,
      /^database: its owner "a+_owner" is 66 bytes long/,
      /^roles\.two: "same" is also the name of role "one"/,
      /^roles\.three: \(role "public"\) "public" is a reserved word/,
      /^roles\.three: -2 is not a connection limit/,
      /^roles\.Four: "Four" is not a DNS-1123 label/,
      /^roles\.Four: "db-Four" is not a DNS-1123 subdomain/,
      /^connectionLimit: 1\.5/,
      /^connection\.port: 0 is not a port/,
    ];
    assert.equal(found.length, expected.length, found.join('\n'));
    for (const [index, expression] of expected.entries()) assert.match(found[index] ?? '', expression);
    const empty = findingsOf(() => new PostgresDatabase('db', { ...args, schemas: [], roles: {} }));
    assert.deepEqual(
      empty.map((line) => line.split(':')[0]),
      ['schemas', 'roles'],
    );
  });

  it('keeps the options of the caller', async () => {
    const recording = await record();
    const first = new pulumi.ComponentResource('test:index:First', 'first');
    new PostgresDatabase('db', args, { parent: first, protect: true });
    const component = await recording.find('db');
    assert.equal(component.type, 'development-operations:postgres:PostgresDatabase');
    assert.equal(component.parent, 'first');
    assert.equal(component.protect, true);
  });
});

describe('identifiers of PostgreSQL', () => {
  it('have at most 63 bytes, whatever the letters', () => {
    holds(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 80 }), (text) => {
        fc.pre(!text.includes('\0') && !text.startsWith('pg_') && text !== 'information_schema');
        assert.equal(identifierProblem('schema', text) === undefined, Buffer.byteLength(text) <= 63);
      }),
    );
  });

  it('exclude what PostgreSQL keeps for itself', () => {
    for (const role of ['public', 'none', 'pg_x', 'current_user', '', 'a\0'])
      assert.ok(identifierProblem('role', role));
    for (const database of ['postgres', 'template1', '']) assert.ok(identifierProblem('database', database));
    assert.ok(identifierProblem('schema', 'information_schema'));
    assert.equal(identifierProblem('database', 'pg_fine'), undefined);
  });

  it('are made of application and environment', () => {
    assert.equal(databaseName('web-shop', 'pr-12'), 'web_shop_pr_12');
  });
});

describe('privileges', () => {
  it('are sorted and never ALL', () => {
    for (const access of ['owner', 'write', 'read'] as const) {
      for (const list of Object.values(privilegesOf(access)) as string[][]) {
        assert.deepEqual(list, [...list].sort());
        assert.ok(!list.includes('ALL'));
      }
    }
  });
});

function pick(registration: Registration, ...keys: string[]): Record<string, unknown> {
  return Object.fromEntries(
    keys.filter((key) => key in registration.inputs).map((key) => [key, registration.inputs[key]]),
  );
}

/** The catalogue row that a grant changes. */
function objectOf({ type, inputs }: Registration): string {
  return [type, inputs.database, inputs.objectType, inputs.schema ?? ''].join(' ');
}

function waitsFor(one: Registration, name: string, byName: Map<string, Registration>): boolean {
  return one.dependencies.some((dependency) => {
    const next = byName.get(dependency);
    return dependency === name || (next !== undefined && waitsFor(next, name, byName));
  });
}
