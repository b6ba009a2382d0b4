import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import pg from 'pg';
import { identifierProblem as componentProblem } from '../../../components/postgres/identifiers.ts';
import { createDatabaseSql, dropDatabaseSql } from '../../../plugins/postgresql/sql/database.ts';
import { grantDefaultSql, grantSql } from '../../../plugins/postgresql/sql/grant.ts';
import { identifier, identifierProblem, literal } from '../../../plugins/postgresql/sql/quote.ts';
import { createRoleSql } from '../../../plugins/postgresql/sql/role.ts';
import { createSchemaSql } from '../../../plugins/postgresql/sql/schema.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';

/** How many names there are at least. */
const COUNT = 10_000;
/** Names of one transaction. */
const BATCH = 1000;

const HOSTILE = [
  ...[
    '"',
    '""',
    "'",
    "''",
    '\\',
    "\\'",
    '\\"',
    'a"b',
    'a""b',
    "a'b",
    "E'\\x27",
    '$$',
    '$a$',
    '$1',
    '$\u007b1}',
    ':name',
    '%s',
  ],
  ...['"; DROP DATABASE postgres; --', "'; DROP ROLE postgres; --", '"; SELECT pg_sleep(9); --', '/* a', '*/', '-- a'],
  ...['%I', '%L', '%1$s', '%%', '{}', '{0}', '`a`', '[a]', 'a;b', 'a,b', 'a, b', '"$user"', '$user', 'a.b', '"a"."b"'],
  ...['select', 'SELECT', 'table', 'public', 'PUBLIC', 'none', 'user', 'current_user', 'session_user', 'CURRENT_ROLE'],
  ...['postgres', 'template0', 'template1', 'pg_catalog', 'pg_temp', 'pg_toast', 'pg_temp_1', 'information_schema'],
  ...[
    '',
    ' ',
    '  ',
    '\t',
    '\n',
    '\r\n',
    'a\nb',
    'a\u0000b',
    '\u0000',
    '\u0001',
    '\u007f',
    '\u0085',
    '\u00a0',
    '\u2028',
  ],
  ...[
    '\u202e',
    '\u200b',
    '\ufeff',
    'pоstgres',
    'аdmin',
    'ｐｏｓｔｇｒｅｓ',
    '＂',
    'ʼ',
    '’',
    '\u02bc',
    '\u0301a',
    'é',
    'e\u0301',
  ],
  ...['\ud800', '\udc00', 'a\ud800b', '\udc00\ud800', '😀', 'İ', 'ß', 'ﬀ', '\uffff', '\ufffd', '\u{10ffff}'],
  ...['a'.repeat(62), 'a'.repeat(63), 'a'.repeat(64), `${'a'.repeat(61)}é`, `${'a'.repeat(62)}é`, 'é'.repeat(31)],
  ...['é'.repeat(32), '€'.repeat(21), '€'.repeat(22), '😀'.repeat(15), '😀'.repeat(16), '"'.repeat(63), '"'.repeat(64)],
  ...["\\'; --", 'U&"\\0041"', 'U&', "x' OR '1'='1", '"a" SUPERUSER', 'a" WITH SUPERUSER --', 'a" OWNER "postgres'],
  ...['DEFAULT', 'default', 'true', 'null', 'NULL', '*', '%', '_', '__', '-', '1', '01', '1e3', '0x1', 'NaN', '-1'],
];

const PIECES = [
  '"',
  "'",
  '\\',
  '$$',
  ';',
  '--',
  '/*',
  '*/',
  '\0',
  '\n',
  '.',
  ',',
  ' ',
  'DROP',
  'é',
  '😀',
  '\ud800',
  'a',
  'A',
];

/** The list, then what fast-check makes of its pieces, of any text and of lengths about 63 bytes; no name twice. */
function names(): string[] {
  const generated = fc.oneof(
    fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 12 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.string({ unit: 'grapheme', maxLength: 24 }),
    fc
      .tuple(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary-ascii', maxLength: 8 }))
      .map((parts) => parts.join('')),
    fc
      .tuple(fc.integer({ min: 55, max: 64 }), fc.constantFrom('', 'é', '€', '😀', '"', '\\'))
      .map(([length, end]) => 'x'.repeat(length) + end),
  );
  const all = new Set(HOSTILE);
  for (let seed = 1; all.size < COUNT; seed += 1) {
    for (const name of fc.sample(generated, { seed, numRuns: COUNT })) all.add(name);
  }
  return [...all];
}

describe('postgresql: names that try to break out of SQL', function () {
  this.timeout(120_000);
  const all = names();
  const good = all.filter((name) => identifierProblem(name) === undefined);
  let db: TestPostgres;
  let client: pg.Client;

  before(async () => {
    db = await startPostgres({ settings: ['max_locks_per_transaction = 4096'] });
    const { host, port, password } = db;
    client = new pg.Client({ host, port, user: 'postgres', password, database: 'postgres' });
    await client.connect();
  });
  after(async () => {
    await client?.end();
    await db?.stop();
  });

  async function column(text: string, values: unknown[] = []): Promise<string[]> {
    return (await client.query<{ name: string }>(text, values)).rows.map(({ name }) => name);
  }
  const ROLES = 'SELECT rolname::text AS name FROM pg_roles';
  const SCHEMAS = 'SELECT nspname::text AS name FROM pg_namespace';
  /** What a statement that broke out would change beside. */
  const rest = () =>
    column(`SELECT format('%s %s', 'class', count(*)) AS name FROM pg_class
      UNION ALL SELECT format('%s %s', 'database', string_agg(datname, ',' ORDER BY datname)) FROM pg_database
      UNION ALL SELECT format('%s %s', 'proc', count(*)) FROM pg_proc
      UNION ALL SELECT format('%s %s', 'super', count(*)) FROM pg_roles WHERE rolsuper
      UNION ALL SELECT format('%s %s', 'membership', count(*)) FROM pg_auth_members
      UNION ALL SELECT format('%s %s', 'setting', count(*)) FROM pg_db_role_setting`);

  /** Runs the statements of many names in one transaction that is taken back; each statement has a message of its own. */
  async function batches(list: readonly string[], work: (batch: readonly string[]) => Promise<void>): Promise<void> {
    for (let from = 0; from < list.length; from += BATCH) {
      await client.query('BEGIN');
      try {
        await work(list.slice(from, from + BATCH));
      } finally {
        await client.query('ROLLBACK');
      }
    }
  }
  /** Prepared statements take one command each: a name that ended its own would be refused. */
  const single = async (statements: readonly string[]): Promise<void> => {
    for (const text of statements) await client.query({ text, queryMode: 'extended' } as pg.QueryConfig);
  };

  /** Exactly these names came, and nothing else changed. */
  async function makes(list: readonly string[], catalogue: string, make: (name: string) => readonly string[]) {
    await batches(list, async (batch) => {
      const before = new Set(await column(catalogue));
      const others = await rest();
      await single(batch.flatMap((name) => make(name)));
      const came = (await column(catalogue)).filter((name) => !before.has(name));
      assert.deepEqual(came.sort(), [...batch].sort());
      assert.deepEqual(await rest(), others);
    });
  }

  it('there are enough, of which most can be names and some cannot', () => {
    assert.ok(all.length >= COUNT);
    assert.ok(good.length > COUNT / 2, `${good.length}`);
    assert.ok(all.length - good.length > 200, `${all.length - good.length}`);
  });

  it('are quoted as quote_ident and quote_literal would, when those always quoted', async () => {
    const rows = await client.query<{ ident: string; literal: string }>(
      `SELECT '"' || replace(name, '"', '""') || '"' AS ident, quote_literal(name) AS literal
         FROM unnest($1::text[]) WITH ORDINALITY AS n(name, at) ORDER BY at`,
      [good],
    );
    for (const [index, name] of good.entries()) {
      assert.equal(identifier(name), rows.rows[index]?.ident);
      assert.equal(literal(name), rows.rows[index]?.literal);
    }
    // format and quote_ident leave quotes away where they are not needed: the same name when it is read again.
    const read = await column(
      `SELECT (parse_ident(format('%I', name), true))[1] AS name
         FROM unnest($1::text[]) WITH ORDINALITY AS n(name, at) ORDER BY at`,
      [good],
    );
    const ours = await column(
      `SELECT (parse_ident(quoted, true))[1] AS name FROM unnest($1::text[]) WITH ORDINALITY AS n(quoted, at) ORDER BY at`,
      [good.map((name) => identifier(name))],
    );
    assert.deepEqual(ours, good);
    assert.deepEqual(read, good);
  });

  it('are refused with a reason before a statement is made of them, or are names', () => {
    for (const name of all) {
      const problem = identifierProblem(name);
      if (problem === undefined) assert.doesNotThrow(() => identifier(name));
      else {
        assert.ok(problem.length > 10, JSON.stringify(name));
        assert.throws(() => identifier(name), /^InputError: the name /);
      }
      for (const kind of ['database', 'role', 'schema'] as const) {
        // What the plugin cannot write, the component refuses as well.
        if (problem !== undefined) assert.ok(componentProblem(kind, name), JSON.stringify(name));
      }
    }
  });

  it('become just the roles of these names', async () => {
    const list = good.filter((name) => componentProblem('role', name) === undefined && name !== 'postgres');
    assert.ok(list.length > COUNT / 2);
    await makes(list, ROLES, (name) => createRoleSql({ name, login: true, searchPaths: [], validUntil: 'infinity' }));
  });

  it('become just the schemas of these names', async () => {
    const list = good.filter((name) => componentProblem('schema', name) === undefined && name !== 'public');
    await makes(list, SCHEMAS, (name) => [createSchemaSql({ name, owner: 'postgres' })]);
  });

  it('are granted to, and named in a search path, as they are', async () => {
    const list = good.filter(
      (name) => componentProblem('role', name) === undefined && componentProblem('schema', name) === undefined,
    );
    const sample = list.filter((name) => name !== 'postgres' && name !== 'public').slice(0, 2 * BATCH);
    await batches(sample, async (batch) => {
      await single(batch.flatMap((name) => [`CREATE ROLE ${identifier(name)}`, createSchemaSql({ name })]));
      const objects = { objectType: 'schema', database: 'postgres', objects: [] };
      await single(
        batch.flatMap((name) => [
          grantSql({ ...objects, schema: name, role: name, privileges: ['USAGE'] }),
          grantDefaultSql({ owner: name, role: 'postgres', schema: name, objectType: 'table', privileges: ['SELECT'] }),
        ]),
      );
      const granted = await column(
        `SELECT nspname::text AS name FROM pg_namespace, aclexplode(nspacl) a
          WHERE a.privilege_type = 'USAGE' AND pg_get_userbyid(a.grantee) = nspname::text`,
      );
      assert.deepEqual(granted.filter((name) => batch.includes(name)).sort(), [...batch].sort());
      const defaults = await column(
        `SELECT n.nspname::text AS name FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace
          WHERE pg_get_userbyid(d.defaclrole) = n.nspname::text`,
      );
      assert.deepEqual(defaults.sort(), [...batch].sort());
    });
  });

  it('become just the databases of these names', async () => {
    const DATABASES = 'SELECT datname::text AS name FROM pg_database';
    // A server that sorts bytes has no name that it cannot write; making one copies files, so only a few are made.
    const list = good.filter((name) => componentProblem('database', name) === undefined).slice(0, 40);
    const before = await column(DATABASES);
    for (const name of list) await client.query(createDatabaseSql({ name, owner: 'postgres' }));
    assert.deepEqual((await column(DATABASES)).sort(), [...before, ...list].sort());
    for (const name of list) await client.query(dropDatabaseSql(name, true));
    assert.deepEqual((await column(DATABASES)).sort(), before.sort());
  });

  it('are read as one literal when they are passwords, whatever standard_conforming_strings says', async () => {
    const texts = all.filter((text) => !text.includes('\0') && text.isWellFormed());
    for (const setting of ['on', 'off']) {
      await client.query(`SET standard_conforming_strings = ${setting}`);
      for (let from = 0; from < texts.length; from += BATCH) {
        const batch = texts.slice(from, from + BATCH);
        const read = await column(
          `SELECT name FROM (VALUES ${batch.map((text) => `(${literal(text)})`).join()}) v(name)`,
        );
        assert.deepEqual(read, batch);
      }
    }
    await client.query('RESET standard_conforming_strings');
    for (const text of all.filter((item) => item.includes('\0'))) assert.throws(() => literal(text), /NUL/);
    for (const text of all.filter((item) => !item.isWellFormed())) assert.throws(() => literal(text), /NUL|surrogate/);
  });
});
