import assert from 'node:assert/strict';
import fc from 'fast-check';
import pg from 'pg';
import { createDatabaseSql } from '../../../plugins/postgresql/sql/database.ts';
import { grantSql, revokeSql } from '../../../plugins/postgresql/sql/grant.ts';
import { expandPrivileges, samePrivileges } from '../../../plugins/postgresql/sql/privileges.ts';
import { InputError, identifier, literal, routine } from '../../../plugins/postgresql/sql/quote.ts';
import { alterRoleSql, createRoleSql } from '../../../plugins/postgresql/sql/role.ts';
import { createSchemaSql } from '../../../plugins/postgresql/sql/schema.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';

/** What breaks careless quoting, beside what fast-check invents. */
const HOSTILE = [
  '"',
  "'",
  '\\',
  '";DROP TABLE victim;--',
  "';DROP TABLE victim;--",
  '$$',
  '%s',
  ' ',
  'A b',
  'ü',
  '.',
  '\n',
];

const name = fc
  .oneof(
    fc.string({ minLength: 1, unit: 'binary' }),
    fc.array(fc.constantFrom(...HOSTILE), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')),
  )
  .filter((text) => !text.includes('\0') && text.isWellFormed() && Buffer.byteLength(text) <= 63);

describe('postgresql: statements', () => {
  let db: TestPostgres;
  let client: pg.Client;
  before(async function () {
    this.timeout(60_000);
    db = await startPostgres();
    client = new pg.Client({
      host: db.host,
      port: db.port,
      user: 'postgres',
      password: db.password,
      database: 'postgres',
    });
    await client.connect();
    await client.query('CREATE TABLE victim (a int)');
  });
  after(async () => {
    await client?.end();
    await db?.stop();
  });

  /** Runs statements and undoes them; `look` sees their effect. */
  async function tried<T>(statements: readonly string[], look: () => Promise<T>): Promise<T> {
    await client.query('BEGIN');
    try {
      for (const statement of statements) await client.query(statement);
      return await look();
    } finally {
      await client.query('ROLLBACK');
    }
  }

  async function one(text: string, values: unknown[] = []): Promise<unknown> {
    const { rows } = await client.query<Record<string, unknown>>(text, values);
    return rows[0] && Object.values(rows[0])[0];
  }

  it('any identifier names what it says', async () => {
    await fc.assert(
      fc.asyncProperty(name, async (text) => {
        assert.equal(await one(`SELECT 1 AS ${identifier(text)}`).then(() => true), true);
        const { fields } = await client.query(`SELECT 1 AS ${identifier(text)}`);
        assert.equal(fields[0]?.name, text);
      }),
      { numRuns: 150 },
    );
  });

  it('any literal is the text it was, whatever standard_conforming_strings says', async () => {
    for (const setting of ['on', 'off']) {
      await client.query(`SET standard_conforming_strings = ${setting}`);
      await fc.assert(
        fc.asyncProperty(name, async (text) => assert.equal(await one(`SELECT ${literal(text)}::text`), text)),
        { numRuns: 100 },
      );
    }
    await client.query('RESET standard_conforming_strings');
  });

  it('roles, schemas and grants with hostile names are made as named, and nothing else is', async () => {
    await fc.assert(
      fc.asyncProperty(name, name, async (role, schema) => {
        fc.pre(
          !role.startsWith('pg_') &&
            !schema.startsWith('pg_') &&
            !['public', 'none', 'postgres', 'information_schema'].includes(role) &&
            schema !== 'public' &&
            schema !== 'information_schema',
        );
        const grant = { role, database: 'postgres', schema, objectType: 'schema', objects: [], privileges: ['USAGE'] };
        const statements = [
          ...createRoleSql({ name: role, login: true, searchPaths: [schema] }),
          createSchemaSql({ name: schema }),
          grantSql(grant),
        ];
        const has = `SELECT has_schema_privilege((SELECT oid FROM pg_roles WHERE rolname = $1), (SELECT oid FROM pg_namespace WHERE nspname = $2), 'USAGE')`;
        assert.equal(await tried(statements, () => one(has, [role, schema])), true);
        assert.equal(await tried([...statements, revokeSql(grant)], () => one(has, [role, schema])), false);
        assert.equal(await one("SELECT count(*)::int FROM pg_class WHERE relname = 'victim'"), 1);
        assert.equal(await one('SELECT count(*)::int FROM pg_roles WHERE rolname = $1', [role]), 0);
      }),
      { numRuns: 40 },
    );
  });

  it('altering leads from any attributes to any others', async () => {
    const attributes = fc.record({
      superuser: fc.boolean(),
      createDatabase: fc.boolean(),
      createRole: fc.boolean(),
      inherit: fc.boolean(),
      login: fc.boolean(),
      replication: fc.boolean(),
      bypassRowLevelSecurity: fc.boolean(),
      connectionLimit: fc.integer({ min: -1, max: 1000 }),
      statementTimeout: fc.integer({ min: 0, max: 1_000_000 }),
      searchPaths: fc.array(name, { maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(attributes, attributes, async (before, after) => {
        const row = "SELECT to_jsonb(r) - 'oid' FROM pg_roles r WHERE rolname = 'altered'";
        const role = { name: 'altered' };
        const altered = await tried(
          [...createRoleSql({ ...role, ...before }), ...alterRoleSql({ ...role, ...before }, { ...role, ...after })],
          () => one(row),
        );
        const fresh = await tried(createRoleSql({ ...role, ...after }), () => one(row));
        const sort = (value: unknown) => {
          const { rolconfig, ...rest } = value as { rolconfig: string[] | null };
          return { ...rest, rolconfig: [...(rolconfig ?? [])].sort() };
        };
        assert.deepEqual(sort(altered), sort(fresh));
        assert.deepEqual(alterRoleSql({ ...role, ...after }, { ...role, ...after }), []);
      }),
      { numRuns: 40 },
    );
  });

  it('refuses what cannot be quoted', () => {
    assert.throws(() => identifier(''), /must not be empty/);
    assert.throws(() => identifier('a\0b'), /NUL/);
    assert.throws(() => identifier('ü'.repeat(32)), /64 bytes.*first 63/);
    assert.throws(() => literal('a\0'), InputError);
    assert.throws(() => routine('s', 'f(int) TO public; --'), /not a function with its argument types/);
    assert.throws(() => routine('s', 'f(int); DROP TABLE victim; --)'), /not a function/);
    assert.equal(routine('s', 'f(integer, "my type"[])'), '"s"."f"(integer, "my type"[])');
    const change = {
      role: 'r',
      database: 'd',
      objectType: 'table',
      schema: 's',
      objects: ['t'],
      privileges: ['SELECT; DROP'],
    };
    assert.throws(() => grantSql(change), /is not a privilege/);
  });

  it('a database keeps the wanted template, encoding and owner', () => {
    assert.equal(
      createDatabaseSql({ name: 'a"b', owner: 'o' }),
      'CREATE DATABASE "a""b" OWNER "o" TEMPLATE "template0" ENCODING \'UTF8\' ALLOW_CONNECTIONS true CONNECTION LIMIT -1 IS_TEMPLATE false',
    );
    assert.match(
      createDatabaseSql({ name: 'a', template: 'DEFAULT', lcCollate: 'C' }),
      /^CREATE DATABASE "a" TEMPLATE DEFAULT .*LC_COLLATE 'C'/,
    );
  });
});

describe('postgresql: privileges', () => {
  it('ALL is what the version has, sorted', () => {
    assert.deepEqual(expandPrivileges('table', ['ALL'], 16), [
      'DELETE',
      'INSERT',
      'REFERENCES',
      'SELECT',
      'TRIGGER',
      'TRUNCATE',
      'UPDATE',
    ]);
    assert.ok(expandPrivileges('table', ['ALL'], 17).includes('MAINTAIN'));
    assert.deepEqual(expandPrivileges('schema', ['USAGE', 'ALL'], 18), ['CREATE', 'USAGE']);
  });

  it('order, repetition and ALL make no difference; anything else does', () => {
    assert.ok(samePrivileges('table', ['SELECT', 'INSERT'], ['INSERT', 'SELECT', 'SELECT']));
    for (const version of [15, 18])
      assert.ok(samePrivileges('table', ['ALL'], expandPrivileges('table', ['ALL'], version)));
    assert.ok(!samePrivileges('table', ['ALL'], expandPrivileges('table', ['ALL'], 18).slice(1)));
    assert.ok(!samePrivileges('schema', ['USAGE'], ['CREATE', 'USAGE']));
    assert.ok(!samePrivileges('schema', ['ALL'], []));
  });
});
