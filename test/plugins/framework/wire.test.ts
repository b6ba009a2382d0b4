import assert from 'node:assert/strict';
import fc from 'fast-check';
import structs from 'google-protobuf/google/protobuf/struct_pb.js';
import {
  AssetValue,
  type PropertyMap,
  type PropertyValue,
  Secret,
  UNKNOWN,
} from '../../../plugins/framework/values.ts';
import { ArchiveValue, decodeStruct, encodeStruct } from '../../../plugins/framework/wire.ts';

const SIGNATURE = '4dabf18193072939515e22adb298388d';

const file = fc.record({ hash: fc.string(), path: fc.string() }, { noNullPrototype: true });

/** Any value that a plugin may hold, except a Secret directly in a Secret, which the interface rules out. */
const { value } = fc.letrec<{ value: PropertyValue; open: PropertyValue; map: PropertyMap }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('open'),
    tie('open').map((inner) => new Secret(inner)),
  ),
  open: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<PropertyValue>(null, true, false, UNKNOWN),
    fc.double(),
    fc.string({ unit: 'grapheme' }),
    file.map((fields) => new AssetValue(fields)),
    file.map((fields) => new ArchiveValue(fields)),
    fc.array(tie('value')),
    tie('map'),
  ),
  // google-protobuf keeps map fields in a plain object, which has no room for this one key.
  map: fc.dictionary(
    fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__'),
    tie('value'),
    { noNullPrototype: true },
  ),
}));

/** Through the bytes that go over the connection. */
function roundTrip(map: PropertyMap): PropertyMap {
  return decodeStruct(structs.Struct.deserializeBinary(encodeStruct(map).serializeBinary()));
}

/** Decodes what an engine would send. */
function decode(plain: Record<string, structs.JavaScriptValue>): PropertyMap {
  return decodeStruct(structs.Struct.fromJavaScript(plain));
}

describe('wire', () => {
  it('brings every value back as it was', () => {
    fc.assert(
      fc.property(value, (original) => {
        assert.deepStrictEqual(roundTrip({ original }), { original });
      }),
      { numRuns: 300 },
    );
  });

  it('takes an absent struct for an empty map', () => {
    assert.deepEqual(decodeStruct(undefined), {});
  });

  it('leaves out keys without a value', () => {
    assert.deepEqual(roundTrip({ a: undefined as unknown as null, b: null }), { b: null });
  });

  it('writes secrets with the signature of the engine', () => {
    assert.deepEqual(encodeStruct({ password: new Secret('x') }).toJavaScript(), {
      password: { [SIGNATURE]: '1b47061264138c4ac30d75fd1eb44270', value: 'x' },
    });
  });

  it('writes unknown values as the engine does', () => {
    assert.deepEqual(encodeStruct({ id: UNKNOWN }).toJavaScript(), { id: '04da6b54-80e4-46f7-96ec-b56ff0331ba9' });
  });

  it('reads the unknown values of every type', () => {
    const texts = [
      '1c4a061d-8072-4f0a-a4cb-0ff528b18fe7',
      '3eeb2bf0-c639-47a8-9e75-3b44932eb421',
      '6a19a0b0-7e62-4c92-b797-7f8e31da9cc2',
      '030794c1-ac77-496b-92df-f27374a8bd58',
      'e48ece36-62e2-4504-bad9-02848725956a',
      'dd056dcd-154b-4c76-9bd3-c8f88648b5ff',
    ];
    for (const text of texts) assert.equal(decode({ text }).text, UNKNOWN, text);
  });

  it('folds output values into secrets and unknown values', () => {
    const output = { [SIGNATURE]: 'd0e6a833031e9bbcd3f4e8bde6ca49a4' };
    const decoded = decode({
      known: { ...output, value: 1, dependencies: ['urn:pulumi:a::b::c::d'] },
      secret: { ...output, value: 'x', secret: true },
      unknown: { ...output },
      unknownSecret: { ...output, secret: true },
    });
    assert.deepStrictEqual(decoded, {
      known: 1,
      secret: new Secret('x'),
      unknown: UNKNOWN,
      unknownSecret: new Secret(UNKNOWN),
    });
  });

  it('flattens a secret directly in a secret', () => {
    const secret = { [SIGNATURE]: '1b47061264138c4ac30d75fd1eb44270' };
    assert.deepStrictEqual(decode({ a: { ...secret, value: { ...secret, value: 'x' } } }), { a: new Secret('x') });
  });

  it('reads a resource reference as its id, or as its URN where it has none', () => {
    const reference = { [SIGNATURE]: '5cf8f73096256a8f31e491e813e4eb8e', urn: 'urn:pulumi:a::b::c::d' };
    const decoded = decode({
      custom: { ...reference, id: 'i-1' },
      component: reference,
      later: { ...reference, id: '' },
    });
    assert.deepStrictEqual(decoded, { custom: 'i-1', component: 'urn:pulumi:a::b::c::d', later: UNKNOWN });
  });

  it('refuses a signature that it does not know', () => {
    assert.throws(() => decode({ a: { [SIGNATURE]: 'ffff' } }), /signature ffff/);
  });
});
