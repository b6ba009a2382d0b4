import assert from 'node:assert/strict';
import bcrypt from 'bcryptjs';
import { isSecret, type PropertyMap, Secret, UNKNOWN, unwrapMap } from '../../../plugins/framework/values.ts';
import { plugin } from '../../../plugins/random/plugin.ts';
import { connect, type Existing, type PluginClient } from '../client.ts';

const PASSWORD = 'random:index/randomPassword:RandomPassword';
const STRING = 'random:index/randomString:RandomString';
const ID = 'random:index/randomId:RandomId';
const BYTES = 'random:index/randomBytes:RandomBytes';
const INTEGER = 'random:index/randomInteger:RandomInteger';
const UUID = 'random:index/randomUuid:RandomUuid';
const UUID7 = 'random:index/randomUuid7:RandomUuid7';
const PET = 'random:index/randomPet:RandomPet';
const SHUFFLE = 'random:index/randomShuffle:RandomShuffle';

describe('random plugin', () => {
  let client: PluginClient;
  before(async () => {
    client = await connect(plugin);
    await client.configure();
  });
  after(() => client.close());

  const make = (type: string, news: PropertyMap) => client.checkAndCreate(type, 'a', news);
  const reasons = async (type: string, news: PropertyMap) =>
    (await client.check(type, 'a', news)).failures.map(({ property, reason }) => `${property}: ${reason}`);

  describe('RandomPassword', () => {
    it('has the state that the official provider writes', async () => {
      const { id, state, inputs } = await make(PASSWORD, { length: 16, minNumeric: 2, special: false });
      assert.equal(id, 'none');
      assert.deepEqual(inputs, { length: 16, minNumeric: 2, special: false });
      const { result, bcryptHash, ...rest } = state;
      assert.deepEqual(rest, {
        __meta: '{"schema_version":"3"}',
        id: 'none',
        length: 16,
        lower: true,
        minLower: 0,
        minNumeric: 2,
        minSpecial: 0,
        minUpper: 0,
        number: true,
        numeric: true,
        special: false,
        upper: true,
      });
      assert.ok(isSecret(result) && isSecret(bcryptHash));
      assert.match(String(result.value), /^[A-Za-z0-9]{16}$/);
      assert.equal(await bcrypt.compare(String(result.value), String(bcryptHash.value)), true);
    });

    it('is another one each time', async () => {
      const [one, two] = await Promise.all([make(PASSWORD, { length: 16 }), make(PASSWORD, { length: 16 })]);
      assert.notDeepEqual(one.state.result, two.state.result);
    });

    it('keeps the marks of secret inputs and follows the deprecated "number"', async () => {
      const keepers = { rotation: new Secret('7') };
      const { state } = await make(PASSWORD, { length: 16, number: false, keepers });
      assert.deepStrictEqual(state.keepers, keepers);
      assert.equal(state.numeric, false);
      assert.match(String((state.result as Secret).value), /^[^0-9]{16}$/);
    });

    it('shows only what is known in a preview', async () => {
      const { id, state } = await client.create(
        PASSWORD,
        'a',
        { length: 16, keepers: { a: UNKNOWN } },
        { preview: true },
      );
      assert.equal(id, '');
      assert.equal(state.length, 16);
      assert.equal(state.id, UNKNOWN);
      assert.deepStrictEqual(state.result, new Secret(UNKNOWN));
      assert.deepStrictEqual(state.keepers, { a: UNKNOWN });
    });

    it('names every wrong input', async () => {
      assert.deepEqual(await reasons(PASSWORD, {}), ['length: missing required property "length"']);
      assert.deepEqual(await reasons(PASSWORD, { length: 0 }), ['length: length must be a whole number of at least 1']);
      assert.match((await reasons(PASSWORD, { length: 3, minUpper: 2, minLower: 2 })).join(), /ask for 4 characters/);
      assert.match((await reasons(PASSWORD, { length: 3, number: true, numeric: false })).join(), /different values/);
      const none = { upper: false, lower: false, numeric: false, special: false };
      assert.match((await reasons(PASSWORD, { length: 3, ...none })).join(), /no character to choose/);
      assert.deepEqual(await reasons(PASSWORD, { length: UNKNOWN, minUpper: UNKNOWN }), []);
    });

    it('is imported from the password itself', async () => {
      const imported = await client.read(PASSWORD, 'a', { id: 'hunter2!' });
      assert.equal(imported.id, 'none');
      assert.deepEqual(imported.inputs, { length: 8 });
      assert.deepStrictEqual(imported.state.result, new Secret('hunter2!'));
      const hash = (imported.state.bcryptHash as Secret).value;
      assert.equal(await bcrypt.compare('hunter2!', String(hash)), true);
      assert.equal((await client.diff(PASSWORD, 'a', imported, { length: 8 })).changes, false);
    });
  });

  describe('diff', () => {
    // As provider 4.16.0 wrote it (pulumi/pulumi-random: provider/testdata/recorded, shortened): no defaults in the inputs.
    const official: Existing = {
      id: 'none',
      inputs: { length: 16, special: true },
      state: {
        __meta: '{"schema_version":"3"}',
        bcryptHash: new Secret('$2a$10$HsFvLK4wI7aLBcqPQiJ8DOGYyeymRSM.MNTWUbd/Q3.SykJ/ukpBi'),
        id: 'none',
        length: 16,
        lower: true,
        minLower: 0,
        minNumeric: 0,
        minSpecial: 0,
        minUpper: 0,
        number: true,
        numeric: true,
        result: new Secret('Qp7:#8odTqS)5#bS'),
        special: true,
        upper: true,
      },
    };
    const same: PropertyMap[] = [
      { length: 16, special: true },
      { length: 16 },
      { length: 16, upper: true, number: true, numeric: true, minLower: 0 },
      { length: 16, keepers: {} },
      { length: 16, keepers: { a: null } },
    ];
    for (const news of same) {
      it(`finds none between the official provider's state and ${JSON.stringify(news)}`, async () => {
        const result = await client.diff(PASSWORD, 'a', official, news);
        assert.deepEqual([result.changes, result.replaces, result.detailedDiff], [false, [], {}]);
      });
    }

    const replaced: [PropertyMap, string][] = [
      [{ length: 17, special: true }, 'length'],
      [{ length: 16, special: false }, 'special'],
      [{ length: 16, minLower: 1 }, 'minLower'],
      [{ length: 16, overrideSpecial: '!' }, 'overrideSpecial'],
      [{ length: 16, keepers: { a: 'b' } }, 'keepers'],
      [{ length: UNKNOWN }, 'length'],
      [{ length: 16, keepers: { a: UNKNOWN } }, 'keepers'],
    ];
    for (const [news, property] of replaced) {
      it(`replaces for ${JSON.stringify(news)}`, async () => {
        const result = await client.diff(PASSWORD, 'a', official, news);
        assert.deepEqual([result.changes, result.replaces, result.diffs], [true, [property], [property]]);
        assert.match(Object.values(result.detailedDiff ?? {})[0]?.kind ?? '', /-replace$/);
      });
    }

    it('replaces for a change of the deprecated "number"', async () => {
      const result = await client.diff(PASSWORD, 'a', official, { length: 16, number: false });
      assert.deepEqual([...result.replaces].sort(), ['number', 'numeric']);
    });

    it('leaves out what the program ignores', async () => {
      const options = { ignoreChanges: ['length'] };
      assert.equal((await client.diff(PASSWORD, 'a', official, { length: 99 }, options)).changes, false);
    });

    it('keeps the password when an empty overrideSpecial is left out', async () => {
      const before = { ...official, state: { ...official.state, overrideSpecial: '' } };
      const result = await client.diff(PASSWORD, 'a', before, { length: 16 });
      assert.deepEqual([result.changes, result.replaces], [true, []]);
      const { state } = await client.update(PASSWORD, 'a', before, { length: 16 });
      assert.deepStrictEqual(state, official.state);
    });
  });

  it('RandomString: the result is the id and no secret', async () => {
    const { id, state } = await make(STRING, { length: 12, special: false, upper: false });
    assert.match(id, /^[a-z0-9]{12}$/);
    assert.deepEqual([state.id, state.result, state.__meta], [id, id, '{"schema_version":"2"}']);
    assert.ok(!('bcryptHash' in state));
  });

  it('RandomId: one number in five notations', async () => {
    const { id, state } = await make(ID, { byteLength: 8, prefix: 'p-' });
    const bytes = Buffer.from(id, 'base64url');
    assert.equal(bytes.length, 8);
    assert.deepEqual(state, {
      id,
      byteLength: 8,
      prefix: 'p-',
      b64Url: `p-${id}`,
      b64Std: `p-${bytes.toString('base64')}`,
      hex: `p-${bytes.toString('hex')}`,
      dec: `p-${bytes.readBigUInt64BE()}`,
    });
    const imported = await client.read(ID, 'a', { id: `p-,${id}` });
    assert.deepEqual(imported, { id, state, inputs: { byteLength: 8, prefix: 'p-' } });
  });

  it('RandomId: agrees with what the official provider made of the same bytes', async () => {
    const { state } = await client.read(ID, 'a', { id: 'gEtk2V_GVJQ' });
    assert.deepEqual(state, {
      b64Std: 'gEtk2V/GVJQ=',
      b64Url: 'gEtk2V_GVJQ',
      byteLength: 8,
      dec: '9244593544885589140',
      hex: '804b64d95fc65494',
      id: 'gEtk2V_GVJQ',
    });
  });

  it('RandomBytes: secret in two notations, without an "id" output', async () => {
    const { id, state } = await make(BYTES, { length: 16 });
    assert.equal(Buffer.from(id, 'base64').length, 16);
    const hex = Buffer.from(id, 'base64').toString('hex');
    assert.deepStrictEqual(state, { base64: new Secret(id), hex: new Secret(hex), length: 16 });
    assert.deepStrictEqual((await client.read(BYTES, 'a', { id })).state, state);
    await assert.rejects(client.read(BYTES, 'a', { id: '***' }), /not padded base64/);
  });

  it('RandomInteger: within its bounds, both included', async () => {
    const seen = new Set<unknown>();
    for (let run = 0; run < 60; run++) {
      const { id, state } = await make(INTEGER, { min: -1, max: 1 });
      assert.equal(id, String(state.result));
      seen.add(state.result);
    }
    assert.deepEqual([...seen].sort(), [-1, 0, 1]);
    assert.match((await reasons(INTEGER, { min: 2, max: 1 })).join(), /max \(1\) is smaller than min \(2\)/);
    assert.match((await reasons(INTEGER, { min: 1, max: 2, seed: 'x' })).join(), /seed: .*official plugin/);
    assert.deepEqual((await client.read(INTEGER, 'a', { id: '5,1,9' })).state, { id: '5', result: 5, min: 1, max: 9 });
  });

  it('RandomUuid: a version 4 or 7 UUID', async () => {
    const { id, state } = await make(UUID, {});
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.deepEqual(state, { id, result: id });
    const before = Date.now();
    const seven = (await make(UUID7, {})).id;
    assert.match(seven, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const time = Number.parseInt(seven.replaceAll('-', '').slice(0, 12), 16);
    assert.ok(time >= before && time <= Date.now());
  });

  it('RandomPet: words with prefix and separator', async () => {
    const { id, state } = await make(PET, { length: 3, prefix: 'dev', separator: '_' });
    assert.match(id, /^dev(_[a-z]+){3}$/);
    assert.deepEqual(state, { id, length: 3, prefix: 'dev', separator: '_' });
    assert.match((await make(PET, {})).id, /^[a-z]+-[a-z]+$/);
  });

  it('RandomShuffle: repeats an item only when all were used, and keeps secrets', async () => {
    const inputs = ['a', 'b', 'c'];
    const { id, state } = await make(SHUFFLE, { inputs, resultCount: 6 });
    assert.equal(id, '-');
    const results = state.results as string[];
    assert.deepEqual([results.slice(0, 3).sort(), results.slice(3).sort()], [inputs, inputs]);
    const secret = await make(SHUFFLE, { inputs: ['a', new Secret('canary')] });
    assert.ok(isSecret(secret.state.results));
    assert.deepEqual((unwrapMap(secret.state).results as string[]).sort(), ['a', 'canary']);
    assert.deepEqual((await make(SHUFFLE, { inputs: [] })).state.results, []);
  });

  it('returns a known state unchanged on read', async () => {
    const existing = await make(PASSWORD, { length: 9 });
    assert.deepStrictEqual(await client.read(PASSWORD, 'a', existing), existing);
  });

  it('names the official plugin for a type that it lacks', async () => {
    await assert.rejects(
      client.create('random:index/randomThing:RandomThing', 'a', {}),
      /RandomThing is not among .* pulumi plugin install resource random v4\./,
    );
  });
});
