import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { plugin } from '../../../plugins/postgresql/plugin.ts';
import { TYPES } from '../../../plugins/postgresql/types.ts';
import { connect, type PluginClient } from '../client.ts';

const sdk = dirname(createRequire(import.meta.url).resolve('@pulumi/postgresql/package.json'));

describe('postgresql: against the SDK', () => {
  for (const [
    token,
    {
      definition: { fields },
    },
  ] of Object.entries(TYPES)) {
    const file = token.slice(token.indexOf('/') + 1, token.lastIndexOf(':'));
    const source = readFileSync(join(sdk, `${file}.js`), 'utf8');

    it(`${token} has the SDK's properties, required ones and secrets`, () => {
      assert.match(source, new RegExp(`__pulumiType = '${token}'`));
      const names = (pattern: RegExp) =>
        [...new Set([...source.matchAll(pattern)].map((match) => match[1] ?? ''))].sort();
      assert.deepEqual(Object.keys(fields).sort(), names(/resourceInputs\["(\w+)"\] = args/g));
      const required = Object.keys(fields).filter((name) => fields[name]?.required && name !== 'name');
      assert.deepEqual(required.sort(), names(/args\?\.(\w+) === undefined/g));
      const secret = Object.keys(fields).filter((name) => fields[name]?.secret);
      assert.deepEqual(secret.sort(), names(/pulumi\.secret\(args\.(\w+)\)/g));
    });
  }

  describe('replacements', () => {
    let client: PluginClient;
    before(async () => {
      client = await connect(plugin);
      await client.configure({ host: '127.0.0.1', port: '1' });
    });
    after(() => client.close());

    /** As the official plugin's schema has them (ForceNew). */
    const FORCE_NEW: Record<string, readonly string[]> = {
      Database: ['encoding', 'lcCollate', 'lcCtype', 'template'],
      DefaultPrivileges: ['database', 'objectType', 'owner', 'role', 'schema', 'withGrantOption'],
      Extension: ['database', 'name'],
      Grant: ['columns', 'database', 'objectType', 'objects', 'role', 'schema', 'withGrantOption'],
      GrantRole: ['grantRole', 'role', 'withAdminOption'],
      Role: [],
      Schema: ['database'],
    };
    for (const [
      token,
      {
        definition: { fields },
      },
    ] of Object.entries(TYPES)) {
      const type = token.slice(token.lastIndexOf(':') + 1);
      it(`of a ${type} are for the official reasons, and unknown values count`, async () => {
        const replaced: string[] = [];
        for (const [name, field] of Object.entries(fields)) {
          if (field.writeOnly) continue;
          const list = field.type === 'set' || field.type === 'list';
          const [before, after] =
            field.type === 'boolean'
              ? [false, true]
              : field.type === 'integer'
                ? [1, 2]
                : list
                  ? [['a'], ['b']]
                  : ['a', 'b'];
          const value = field.type === 'objects' ? [{ role: 'a' }] : after;
          const state = {
            ...Object.fromEntries(Object.entries(fields).map(([key, { default: own }]) => [key, own ?? null])),
            [name]: before,
          };
          const existing = { id: 'x', state, inputs: { [name]: before } };
          const same = await client.diff(token, 'test', existing, { [name]: before });
          assert.deepEqual(same.diffs, [], `${name} unchanged`);
          const changed = await client.diff(token, 'test', existing, { [name]: value });
          assert.deepEqual(changed.diffs, [name], `${name} changed`);
          assert.deepEqual(
            (await client.diff(token, 'test', existing, { [name]: value }, { ignoreChanges: [name] })).diffs,
            [],
          );
          if (changed.replaces?.includes(name)) replaced.push(name);
        }
        assert.deepEqual(replaced.sort(), FORCE_NEW[type] ?? FORCE_NEW.DefaultPrivileges);
      });
    }

    it('defaults that are not zero are filled in and listed, as by the official plugin', async () => {
      const expected: Record<string, Record<string, unknown>> = {
        Role: { connectionLimit: -1, encryptedPassword: true, inherit: true, validUntil: 'infinity' },
        Database: { allowConnections: true, connectionLimit: -1 },
        Schema: { ifNotExists: true },
        Extension: {},
      };
      for (const [type, defaults] of Object.entries(expected)) {
        const token = `postgresql:index/${type.toLowerCase()}:${type}`;
        const { inputs } = await client.check(token, 'test', { name: 'given' });
        assert.deepEqual(inputs, { name: 'given', ...defaults, __defaults: Object.keys(defaults).sort() });
      }
    });

    it('the schema for code generation has every type', async () => {
      const schema = JSON.parse(await client.schema()) as { version: string; resources: Record<string, unknown> };
      assert.equal(schema.version, plugin.version);
      assert.deepEqual(Object.keys(schema.resources).sort(), Object.keys(TYPES).sort());
    });
  });
});
