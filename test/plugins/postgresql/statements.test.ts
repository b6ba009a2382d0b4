import assert from 'node:assert/strict';
import type { Log } from '../../../plugins/framework/provider.ts';
import type { PropertyMap } from '../../../plugins/framework/values.ts';
import { unwrapMap } from '../../../plugins/framework/values.ts';
import { PostgresProvider } from '../../../plugins/postgresql/provider.ts';
import { plannedStatements } from '../../../plugins/postgresql/statements.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { token } from './fixture.ts';

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, status() {} };
const PREFIX = '@statement@';
const signal = new AbortController().signal;

/** A password is sent as its verifier, and shown as neither. */
function redacted(statement: string): string {
  return statement.replace(/PASSWORD '[^']*'/, "PASSWORD '[secret]'");
}

/** As the engine shows inputs in its events. */
function shown(type: string, inputs: PropertyMap): Record<string, unknown> {
  return type === 'Role' && inputs.password !== undefined ? { ...inputs, password: '[secret]' } : { ...inputs };
}

describe('postgresql: the SQL of a plan', function () {
  this.timeout(60_000);
  let db: TestPostgres;
  let provider: PostgresProvider;
  let position = 0;

  before(async () => {
    db = await startPostgres({ settings: ["log_statement = 'ddl'", `log_line_prefix = '${PREFIX}'`] });
    provider = new PostgresProvider({ name: 'postgresql', version: '0.0.0' }, SILENT);
    const { host, port, password } = db;
    await provider.configure({
      inputs: { host, port: String(port), password, sslmode: 'disable' },
      acceptSecrets: false,
    } as unknown as Parameters<PostgresProvider['configure']>[0]);
    await db.query('CREATE ROLE tenant_owner; CREATE ROLE guest; CREATE ROLE other');
    await db.query('CREATE DATABASE sample OWNER tenant_owner');
    await db.query(
      `SET ROLE tenant_owner; CREATE SCHEMA app; CREATE TABLE app.orders (id int, note text);
       CREATE TABLE app.items (id int); CREATE SEQUENCE app.numbers;
       CREATE FUNCTION app.twice(a int) RETURNS int LANGUAGE sql AS 'SELECT 2 * a'`,
      { database: 'sample' },
    );
  });
  after(async () => {
    await provider?.close();
    await db?.stop();
  });

  /** What the server was told since the last call that changes something, as the server itself wrote it down. */
  function told(): string[] {
    const log = db.log();
    const lines = log.slice(position).split(PREFIX);
    position = log.length;
    return lines.flatMap((line) => {
      const found = /^LOG: {2}(?:statement|execute [^:]*): ([\s\S]*)$/.exec(line);
      return found?.[1] === undefined ? [] : [redacted(found[1].trimEnd())];
    });
  }

  interface Made {
    readonly id: string;
    readonly state: PropertyMap;
    readonly inputs: PropertyMap;
  }
  const base = (type: string) => ({ urn: `urn:pulumi:t::t::${token(type)}::r`, name: 'r', type: token(type), signal });

  async function checked(type: string, news: PropertyMap, olds: PropertyMap = {}): Promise<PropertyMap> {
    const { inputs, failures } = await provider.check({ ...base(type), olds, news, randomSeed: Buffer.alloc(32) });
    assert.deepEqual(failures, []);
    return unwrapMap(inputs);
  }

  /** Plans, does it, and compares. */
  async function create(type: string, news: PropertyMap): Promise<Made> {
    const inputs = await checked(type, news);
    const plan = plannedStatements({
      type: token(type),
      operation: 'create',
      olds: {},
      news: shown(type, inputs),
    });
    told();
    const { id, state } = await provider.create({ ...base(type), inputs, preview: false, timeoutSeconds: 0 });
    assert.deepEqual(told(), plan);
    assert.ok(plan.length > 0, `${type} has no statement`);
    return { id, state: unwrapMap(state), inputs };
  }

  async function update(type: string, made: Made, news: PropertyMap): Promise<Made> {
    const inputs = await checked(type, news, made.inputs);
    const request = { ...base(type), id: made.id, olds: made.state, oldInputs: made.inputs, news: inputs };
    const diff = await provider.diff({ ...request, ignoreChanges: [] });
    assert.deepEqual(diff.replaces, []);
    const plan = plannedStatements({
      type: token(type),
      operation: 'update',
      olds: shown(type, made.inputs),
      news: shown(type, inputs),
      diffs: diff.diffs,
    });
    told();
    const { state } = await provider.update({ ...request, preview: false, timeoutSeconds: 0, ignoreChanges: [] });
    assert.deepEqual(told(), plan);
    assert.ok(plan.length > 0, `${type} has no statement`);
    return { id: made.id, state: unwrapMap(state), inputs };
  }

  async function remove(type: string, made: Made): Promise<void> {
    const plan = plannedStatements({
      type: token(type),
      operation: 'delete',
      olds: shown(type, made.inputs),
      news: {},
    });
    told();
    await provider.delete({
      ...base(type),
      id: made.id,
      state: made.state,
      oldInputs: made.inputs,
      timeoutSeconds: 0,
    });
    assert.deepEqual(told(), plan);
    assert.ok(plan.length > 0, `${type} has no statement`);
  }

  /** The engine deletes, then creates: both halves against the one plan. */
  async function replace(type: string, made: Made, news: PropertyMap): Promise<Made> {
    const inputs = await checked(type, news);
    const request = { ...base(type), id: made.id, olds: made.state, oldInputs: made.inputs, news: inputs };
    const diff = await provider.diff({ ...request, ignoreChanges: [] });
    assert.ok((diff.replaces ?? []).length > 0, `${type} is not replaced`);
    assert.equal(diff.deleteBeforeReplace, true);
    const plan = plannedStatements({
      type: token(type),
      operation: 'replace',
      olds: shown(type, made.inputs),
      news: shown(type, inputs),
    });
    told();
    await provider.delete({ ...base(type), id: made.id, state: made.state, oldInputs: made.inputs, timeoutSeconds: 0 });
    const { id, state } = await provider.create({ ...base(type), inputs, preview: false, timeoutSeconds: 0 });
    assert.deepEqual(told(), plan);
    return { id, state: unwrapMap(state), inputs };
  }

  it('is what is sent for a role', async () => {
    const wanted = { name: 'ann', login: true, password: "it's", searchPaths: ['a"b', 'app'], connectionLimit: 3 };
    let role = await create('Role', wanted);
    role = await update('Role', role, { ...wanted, connectionLimit: 4, roles: ['other'], assumeRole: 'other' });
    role = await update('Role', role, { ...wanted, roles: ['other'], password: 'another', statementTimeout: 50 });
    role = await update('Role', role, { ...wanted, password: 'a third', roles: ['other'], statementTimeout: 50 });
    role = await update('Role', role, { ...wanted, name: 'Ann', password: 'a third', validUntil: '2030-01-01' });
    await remove('Role', role);
    await remove('Role', await create('Role', { name: 'kept', skipReassignOwned: true }));
  });

  it('is what is sent for a database', async () => {
    const wanted = { name: 'made', owner: 'tenant_owner', encoding: 'UTF8', connectionLimit: -1 };
    let made = await create('Database', wanted);
    made = await update('Database', made, { ...wanted, connectionLimit: 7, owner: 'other', isTemplate: true });
    made = await update('Database', made, { ...wanted, name: 'Made "twice"', owner: 'other', isTemplate: true });
    made = await replace('Database', made, { ...wanted, encoding: 'SQL_ASCII', lcCollate: 'C', lcCtype: 'C' });
    await remove('Database', made);
  });

  it('is what is sent for a schema', async () => {
    const wanted = { name: 'made', database: 'sample', owner: 'tenant_owner' };
    let made = await create('Schema', wanted);
    made = await update('Schema', made, { ...wanted, name: 'Made', owner: 'other' });
    await remove('Schema', made);
    await remove('Schema', await create('Schema', { ...wanted, dropCascade: true }));
  });

  it('is what is sent for a grant', async () => {
    const inSchema = { role: 'guest', database: 'sample', schema: 'app' };
    for (const [first, second, rest] of [
      [['CONNECT'], ['CONNECT', 'TEMPORARY'], { role: 'guest', database: 'sample', objectType: 'database' }],
      [['USAGE'], ['CREATE'], { ...inSchema, objectType: 'schema' }],
      [['SELECT'], ['INSERT', 'SELECT'], { ...inSchema, objectType: 'table' }],
      [['SELECT', 'UPDATE'], ['SELECT'], { ...inSchema, objectType: 'table' }],
      [['ALL'], ['SELECT'], { ...inSchema, objectType: 'table', objects: ['orders', 'items'] }],
      [['USAGE'], ['SELECT', 'USAGE'], { ...inSchema, objectType: 'sequence' }],
    ] as [string[], string[], PropertyMap][]) {
      const made = await create('Grant', { ...rest, privileges: first });
      await remove('Grant', await update('Grant', made, { ...rest, privileges: second }));
    }
    const column = { ...inSchema, objectType: 'column', objects: ['orders'], privileges: ['SELECT'] };
    const columns = await create('Grant', { ...column, columns: ['note', 'id'] });
    await remove('Grant', await replace('Grant', columns, { ...column, columns: ['id'] }));
    const option = { ...inSchema, objectType: 'table', privileges: ['SELECT'], withGrantOption: true };
    const made = await create('Grant', option);
    await remove('Grant', await replace('Grant', made, { ...option, withGrantOption: false }));
    const everyone = { role: 'public', database: 'sample', objectType: 'database' };
    await update('Grant', await create('Grant', { ...everyone, privileges: [] }), {
      ...everyone,
      privileges: ['CONNECT'],
    });
    await create('Grant', { ...everyone, objectType: 'schema', schema: 'public', privileges: [] });
    await create('Grant', {
      ...everyone,
      objectType: 'function',
      schema: 'app',
      objects: ['twice'],
      privileges: [],
    }).catch((error: Error) => assert.match(error.message, /twice/));
  });

  it('is what is sent for default privileges', async () => {
    const base = { role: 'guest', database: 'sample', owner: 'tenant_owner' };
    for (const rest of [
      { ...base, schema: 'app', objectType: 'table' },
      { ...base, objectType: 'table' },
    ]) {
      const made = await create('DefaultPrivileges', { ...rest, privileges: ['SELECT'] });
      const after = await update('DefaultPrivileges', made, { ...rest, privileges: ['INSERT', 'SELECT'] });
      await remove(
        'DefaultPrivileges',
        await replace('DefaultPrivileges', after, { ...rest, objectType: 'sequence', privileges: ['USAGE'] }),
      );
    }
    await create('DefaultPrivileges', { ...base, role: 'public', objectType: 'function', privileges: [] });
    await create('DefaultPrivileges', { ...base, role: 'public', objectType: 'type', privileges: [] });
  });

  it('is what is sent for a membership and an extension', async () => {
    const made = await create('GrantRole', { role: 'guest', grantRole: 'other' });
    await remove(
      'GrantRole',
      await replace('GrantRole', made, { role: 'guest', grantRole: 'other', withAdminOption: true }),
    );
    const extension = { name: 'plpgsql', database: 'sample' };
    await remove('Extension', await create('Extension', extension));
  });

  it('shows no password, and says what is known only later', () => {
    const unknown = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';
    const create = { type: token('Role'), operation: 'create', olds: {} } as const;
    for (const password of ['[secret]', unknown]) {
      const [statement] = plannedStatements({ ...create, news: { name: 'ann', password } });
      assert.match(statement ?? '', /^CREATE ROLE "ann" WITH PASSWORD '\[secret\]' /);
    }
    assert.match(plannedStatements({ ...create, news: { name: unknown } })[0] ?? '', /^CREATE ROLE "\[unknown\]"/);
    assert.deepEqual(plannedStatements({ ...create, news: { name: 'a', connectionLimit: unknown } }), ['[unknown]']);
    const same = { name: 'ann', password: '[secret]' };
    const update = { type: token('Role'), operation: 'update', olds: same, news: same } as const;
    assert.deepEqual(plannedStatements(update), [`ALTER ROLE "ann" WITH PASSWORD '[secret]'`]);
    const marked = { ...same, password: { '4dabf18193072939515e22adb298388d': 'of a secret', ciphertext: '[secret]' } };
    const rotated = { ...update, olds: marked, news: marked, diffs: ['password'] };
    assert.deepEqual(plannedStatements(rotated), [`ALTER ROLE "ann" WITH PASSWORD '[secret]'`]);
    assert.deepEqual(plannedStatements({ ...update, diffs: ['skipDropRole'] }), []);
    assert.deepEqual(plannedStatements({ ...create, type: 'kubernetes:core/v1:Secret', news: {} }), []);
  });
});
