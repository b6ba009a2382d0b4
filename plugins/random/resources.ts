/**
 * The resources of the random package: their inputs with defaults, what they make, and how an existing value is
 * imported. Names, defaults, ids and rules are those of the official provider (hashicorp/terraform-provider-random:
 * internal/provider; pulumi/pulumi-random: provider/resources.go), so that either plugin can take over a state.
 */

import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import type { CheckFailure } from '../framework/provider.ts';
import { isUnknown, type PropertyMap, type PropertyValue, Secret, UNKNOWN } from '../framework/values.ts';
import { petName } from './pets.ts';
import { bcryptHash, randomString, type StringRules, shuffle } from './strings.ts';

export interface Made {
  readonly id: string;
  /** Outputs beside the inputs; secret ones without their mark. */
  readonly outputs: PropertyMap;
}

export interface Imported extends Made {
  readonly inputs: PropertyMap;
}

export interface ResourceDefinition {
  /** Inputs beside `keepers`; the value is the default, or undefined for none. */
  readonly inputs: Readonly<Record<string, PropertyValue | undefined>>;
  readonly required: readonly string[];
  /** Outputs that are not inputs. */
  readonly computed: readonly string[];
  readonly secret: readonly string[];
  /** Version of the official provider's state schema, where it keeps one. @default 0, which is not written */
  readonly schemaVersion?: number;
  /** `inputs` without marks, defaults filled in, possibly with unknown values. */
  validate?(inputs: PropertyMap): CheckFailure[];
  /** `inputs` without marks, defaults filled in, all known. */
  make(inputs: PropertyMap): Promise<Made>;
  /** From the id given to an import. Throws when it cannot be read. Absent: the type cannot be imported. */
  import?(id: string): Promise<Imported>;
}

const STRING_INPUTS = {
  length: undefined,
  upper: true,
  lower: true,
  numeric: true,
  number: true,
  special: true,
  minUpper: 0,
  minLower: 0,
  minNumeric: 0,
  minSpecial: 0,
  overrideSpecial: undefined,
};
const MINIMUMS = ['minUpper', 'minLower', 'minNumeric', 'minSpecial'];

function validateString(inputs: PropertyMap): CheckFailure[] {
  const failures = integerFailures(inputs, 'length', 1);
  for (const name of MINIMUMS) failures.push(...integerFailures(inputs, name, 0));
  const { length } = inputs;
  const needed = MINIMUMS.reduce((sum, name) => sum + (typeof inputs[name] === 'number' ? inputs[name] : 0), 0);
  if (typeof length === 'number' && length < needed) {
    const reason = `length is ${length}, but ${MINIMUMS.join(', ')} together ask for ${needed} characters`;
    failures.push({ property: 'length', reason });
  }
  if (['upper', 'lower', 'numeric', 'special'].every((name) => inputs[name] === false)) {
    const reason = 'upper, lower, numeric and special are all false: there is no character to choose';
    failures.push({ property: 'numeric', reason });
  }
  return failures;
}

function rulesOf(inputs: PropertyMap): StringRules {
  return { ...inputs, overrideSpecial: inputs.overrideSpecial ?? '' } as unknown as StringRules;
}

async function importString(result: string): Promise<PropertyMap> {
  return { length: [...result].length };
}

const password: ResourceDefinition = {
  inputs: STRING_INPUTS,
  required: ['length'],
  computed: ['id', 'result', 'bcryptHash'],
  secret: ['result', 'bcryptHash'],
  schemaVersion: 3,
  validate: validateString,
  async make(inputs) {
    const result = randomString(rulesOf(inputs));
    return { id: 'none', outputs: { id: 'none', result, bcryptHash: await bcryptHash(result) } };
  },
  async import(result) {
    const outputs = { id: 'none', result, bcryptHash: await bcryptHash(result) };
    return { id: 'none', outputs, inputs: await importString(result) };
  },
};

const string: ResourceDefinition = {
  inputs: STRING_INPUTS,
  required: ['length'],
  computed: ['id', 'result'],
  secret: [],
  schemaVersion: 2,
  validate: validateString,
  async make(inputs) {
    const result = randomString(rulesOf(inputs));
    return { id: result, outputs: { id: result, result } };
  },
  async import(result) {
    return { id: result, outputs: { id: result, result }, inputs: await importString(result) };
  },
};

function idOutputs(bytes: Buffer, prefix: string): PropertyMap {
  return {
    id: bytes.toString('base64url'),
    b64Url: prefix + bytes.toString('base64url'),
    b64Std: prefix + bytes.toString('base64'),
    hex: prefix + bytes.toString('hex'),
    dec: prefix + (bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`)),
  };
}

const id: ResourceDefinition = {
  inputs: { byteLength: undefined, prefix: undefined },
  required: ['byteLength'],
  computed: ['id', 'b64Url', 'b64Std', 'hex', 'dec'],
  secret: [],
  validate: (inputs) => integerFailures(inputs, 'byteLength', 1),
  async make(inputs) {
    const bytes = randomBytes(Number(inputs.byteLength));
    return { id: bytes.toString('base64url'), outputs: idOutputs(bytes, String(inputs.prefix ?? '')) };
  },
  async import(text) {
    const comma = text.lastIndexOf(',');
    const prefix = text.slice(0, Math.max(comma, 0));
    const encoded = text.slice(comma + 1);
    const bytes = Buffer.from(encoded, 'base64url');
    if (bytes.toString('base64url') !== encoded) throw new Error(`"${encoded}" is not unpadded base64url`);
    const inputs = { byteLength: bytes.length, ...(prefix === '' ? {} : { prefix }) };
    return { id: encoded, outputs: idOutputs(bytes, prefix), inputs };
  },
};

const bytes: ResourceDefinition = {
  inputs: { length: undefined },
  required: ['length'],
  computed: ['base64', 'hex'],
  secret: ['base64', 'hex'],
  validate: (inputs) => integerFailures(inputs, 'length', 1),
  async make(inputs) {
    const value = randomBytes(Number(inputs.length));
    // The official provider's id is the value too, in plain text: ids cannot be secret, and states must be the same.
    const base64 = value.toString('base64');
    return { id: base64, outputs: { base64, hex: value.toString('hex') } };
  },
  async import(base64) {
    const value = Buffer.from(base64, 'base64');
    if (value.toString('base64') !== base64) throw new Error('the id to import is not padded base64');
    return { id: base64, outputs: { base64, hex: value.toString('hex') }, inputs: { length: value.length } };
  },
};

/** Seeded results come from Go's generator, which only the official plugin has. */
function seedFailures(inputs: PropertyMap): CheckFailure[] {
  const { seed } = inputs;
  if (seed === undefined || seed === null || seed === '') return [];
  const reason =
    'the built-in "random" plugin cannot reproduce seeded results; leave seed out, or install the official plugin ' +
    '(pulumi plugin install resource random)';
  return [{ property: 'seed', reason }];
}

const integer: ResourceDefinition = {
  inputs: { min: undefined, max: undefined, seed: undefined },
  required: ['min', 'max'],
  computed: ['id', 'result'],
  secret: [],
  validate(inputs) {
    const { min, max } = inputs;
    const failures = [...integerFailures(inputs, 'min'), ...integerFailures(inputs, 'max'), ...seedFailures(inputs)];
    if (typeof min === 'number' && typeof max === 'number') {
      if (max < min) failures.push({ property: 'max', reason: `max (${max}) is smaller than min (${min})` });
      else if (max - min >= 2 ** 48) failures.push({ property: 'max', reason: 'max - min must be below 2^48' });
    }
    return failures;
  },
  async make(inputs) {
    const min = Number(inputs.min);
    // One more than `max` may be beyond what `randomInt` takes; the distance from `min` never is.
    const result = min + randomInt(Number(inputs.max) - min + 1);
    return { id: String(result), outputs: { id: String(result), result } };
  },
  async import(text) {
    const parts = text.split(',');
    const [result, min, max] = parts.map(Number);
    if (parts.length < 3 || parts.length > 4 || ![result, min, max].every(Number.isSafeInteger)) {
      throw new Error(`"${text}" is not <result>,<min>,<max> or <result>,<min>,<max>,<seed>`);
    }
    const inputs = { min: min as number, max: max as number, ...(parts[3] ? { seed: parts[3] } : {}) };
    return { id: String(result), outputs: { id: String(result), result: result as number }, inputs };
  },
};

function uuidResource(generate: () => string): ResourceDefinition {
  return {
    inputs: {},
    required: [],
    computed: ['id', 'result'],
    secret: [],
    async make() {
      const result = generate();
      return { id: result, outputs: { id: result, result } };
    },
    async import(text) {
      if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) throw new Error(`"${text}" is not a UUID`);
      const result = text.toLowerCase();
      return { id: result, outputs: { id: result, result }, inputs: {} };
    },
  };
}

/** Version 7: 48 bits of milliseconds since 1970, then random bits (RFC 9562, section 5.7). */
function uuid7(): string {
  const time = Date.now().toString(16).padStart(12, '0');
  const random = randomUUID();
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(15)}`;
}

const pet: ResourceDefinition = {
  inputs: { length: 2, prefix: undefined, separator: '-' },
  required: [],
  computed: ['id'],
  secret: [],
  validate: (inputs) => integerFailures(inputs, 'length', 1),
  async make(inputs) {
    const separator = String(inputs.separator);
    const words = petName(Number(inputs.length));
    const name = (inputs.prefix ? [String(inputs.prefix), ...words] : words).join(separator);
    return { id: name, outputs: { id: name } };
  },
};

const shuffled: ResourceDefinition = {
  inputs: { inputs: undefined, resultCount: undefined, seed: undefined },
  required: ['inputs'],
  computed: ['id', 'results'],
  secret: [],
  validate: (inputs) => [...integerFailures(inputs, 'resultCount', 0), ...seedFailures(inputs)],
  async make(inputs) {
    const items = inputs.inputs as PropertyValue[];
    const count = items.length === 0 ? 0 : Number(inputs.resultCount ?? items.length);
    const results: PropertyValue[] = [];
    while (results.length < count) results.push(...shuffle(items).slice(0, count - results.length));
    return { id: '-', outputs: { id: '-', results } };
  },
};

export const RESOURCES: ReadonlyMap<string, ResourceDefinition> = new Map([
  ['random:index/randomPassword:RandomPassword', password],
  ['random:index/randomString:RandomString', string],
  ['random:index/randomId:RandomId', id],
  ['random:index/randomBytes:RandomBytes', bytes],
  ['random:index/randomInteger:RandomInteger', integer],
  ['random:index/randomUuid:RandomUuid', uuidResource(randomUUID)],
  ['random:index/randomUuid4:RandomUuid4', uuidResource(randomUUID)],
  ['random:index/randomUuid7:RandomUuid7', uuidResource(uuid7)],
  ['random:index/randomPet:RandomPet', pet],
  ['random:index/randomShuffle:RandomShuffle', shuffled],
]);

/** What a preview says of the outputs: they are there, and which of them are secret. */
export function unknownOutputs(definition: ResourceDefinition): PropertyMap {
  return Object.fromEntries(
    definition.computed.map((name) => [name, definition.secret.includes(name) ? new Secret(UNKNOWN) : UNKNOWN]),
  );
}

function integerFailures(inputs: PropertyMap, name: string, minimum = Number.MIN_SAFE_INTEGER): CheckFailure[] {
  const value = inputs[name];
  if (value === undefined || value === null || isUnknown(value)) return [];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= minimum) return [];
  const bound = minimum === Number.MIN_SAFE_INTEGER ? '' : ` of at least ${minimum}`;
  return [{ property: name, reason: `${name} must be a whole number${bound}` }];
}
