/**
 * Property values on the engine's wire: protobuf structs in which secrets, outputs, assets and references are objects
 * with a signature key, and unknown values are strings that nobody else would write. The constants are those of
 * pulumi/pulumi: sdk/go/common/resource/sig and sdk/go/common/resource/plugin/rpc.go.
 */

import structs, { type Struct, type Value } from 'google-protobuf/google/protobuf/struct_pb.js';
import {
  AssetValue,
  isMap,
  isSecret,
  isUnknown,
  type PropertyMap,
  type PropertyValue,
  Secret,
  UNKNOWN,
} from './values.ts';

const SIGNATURE_KEY = '4dabf18193072939515e22adb298388d';
const SECRET = '1b47061264138c4ac30d75fd1eb44270';
const ASSET = 'c44067f5952c0a294b673a41bacd8c17';
const ARCHIVE = '0def7320c3a5731c473e5ecbe6d01bc7';
const RESOURCE_REFERENCE = '5cf8f73096256a8f31e491e813e4eb8e';
const OUTPUT = 'd0e6a833031e9bbcd3f4e8bde6ca49a4';

const UNKNOWN_TEXT = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';
/** The engine writes one text for each type that an unknown value may have; all mean the same to a plugin. */
const UNKNOWN_TEXTS = new Set([
  '1c4a061d-8072-4f0a-a4cb-0ff528b18fe7',
  '3eeb2bf0-c639-47a8-9e75-3b44932eb421',
  UNKNOWN_TEXT,
  '6a19a0b0-7e62-4c92-b797-7f8e31da9cc2',
  '030794c1-ac77-496b-92df-f27374a8bd58',
  'e48ece36-62e2-4504-bad9-02848725956a',
  'dd056dcd-154b-4c76-9bd3-c8f88648b5ff',
]);

/** An archive; the other asset values are single files. Both may have only a `path`, so the class tells them apart. */
export class ArchiveValue extends AssetValue {}

/** A struct as the engine sent it; an absent one is an empty map. Throws on an unknown signature. */
export function decodeStruct(struct: Struct | undefined): PropertyMap {
  const entries: [string, PropertyValue][] = [];
  struct?.getFieldsMap().forEach((value, key) => {
    entries.push([key, decodeValue(value)]);
  });
  return Object.fromEntries(entries);
}

function decodeValue(value: Value): PropertyValue {
  switch (value.getKindCase()) {
    case structs.Value.KindCase.BOOL_VALUE:
      return value.getBoolValue();
    case structs.Value.KindCase.NUMBER_VALUE:
      return value.getNumberValue();
    case structs.Value.KindCase.STRING_VALUE: {
      const text = value.getStringValue();
      return UNKNOWN_TEXTS.has(text) ? UNKNOWN : text;
    }
    case structs.Value.KindCase.LIST_VALUE:
      return (value.getListValue()?.getValuesList() ?? []).map(decodeValue);
    case structs.Value.KindCase.STRUCT_VALUE:
      return decodeSigned(decodeStruct(value.getStructValue()));
    default:
      return null;
  }
}

function decodeSigned(map: PropertyMap): PropertyValue {
  const signature = Object.hasOwn(map, SIGNATURE_KEY) ? map[SIGNATURE_KEY] : undefined;
  if (signature === undefined) return map;
  const { [SIGNATURE_KEY]: _, ...fields } = map;
  switch (signature) {
    case SECRET:
      return makeSecret(fields.value ?? null);
    case OUTPUT: {
      const value = fields.value === undefined ? UNKNOWN : fields.value;
      return fields.secret === true ? makeSecret(value) : value;
    }
    case ASSET:
      return new AssetValue(fields);
    case ARCHIVE:
      return new ArchiveValue(fields);
    case RESOURCE_REFERENCE:
      // What the engine itself sends to a provider that does not take references: the id, else the URN.
      return fields.id === undefined ? (fields.urn ?? null) : fields.id === '' ? UNKNOWN : fields.id;
    default:
      throw new Error(`the engine sent a value of a kind that this plugin does not know (signature ${signature})`);
  }
}

function makeSecret(value: PropertyValue): Secret {
  return isSecret(value) ? value : new Secret(value);
}

/** Values for the engine; keys whose value is undefined are left out. */
export function encodeStruct(map: PropertyMap): Struct {
  const struct = new structs.Struct();
  const fields = struct.getFieldsMap();
  for (const [key, value] of Object.entries(map)) {
    if (value !== undefined) fields.set(key, encodeValue(value));
  }
  return struct;
}

function encodeValue(value: PropertyValue): Value {
  const wire = new structs.Value();
  if (value === null || value === undefined) return wire.setNullValue(0);
  if (typeof value === 'boolean') return wire.setBoolValue(value);
  if (typeof value === 'number') return wire.setNumberValue(value);
  if (typeof value === 'string') return wire.setStringValue(value);
  if (isUnknown(value)) return wire.setStringValue(UNKNOWN_TEXT);
  if (isSecret(value)) return encodeSigned(wire, SECRET, { value: value.value });
  if (value instanceof AssetValue) return encodeAsset(wire, value);
  if (Array.isArray(value)) return wire.setListValue(new structs.ListValue().setValuesList(value.map(encodeValue)));
  if (isMap(value)) return wire.setStructValue(encodeStruct(value));
  throw new Error(`cannot send a value of type ${typeof value} to the engine`);
}

function encodeSigned(wire: Value, signature: string, fields: PropertyMap): Value {
  return wire.setStructValue(encodeStruct({ [SIGNATURE_KEY]: signature, ...fields }));
}

function encodeAsset(wire: Value, asset: AssetValue): Value {
  const isArchive = asset instanceof ArchiveValue || 'assets' in asset.fields;
  return encodeSigned(wire, isArchive ? ARCHIVE : ASSET, asset.fields as PropertyMap);
}
