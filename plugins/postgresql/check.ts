/** Check: validation, defaults and generated names, with the bookkeeping (`__defaults`) of the official plugin. */

import { createHash } from 'node:crypto';
import type { CheckFailure, CheckRequest, CheckResult } from '../framework/provider.ts';
import { isUnknown, type PropertyMap, type PropertyValue, Secret, unwrap, unwrapMap } from '../framework/values.ts';
import { type Definition, type Field, isAutonamed, privilegeProblem } from './definitions.ts';
import { boolean, isZero, text, texts } from './plain.ts';
import { identifierProblem } from './sql/quote.ts';

export const DEFAULTS_KEY = '__defaults';

/** As the official plugin's autonaming: the resource's name, a dash and random hexadecimal digits. */
const RANDOM_DIGITS = 7;

/** Checks one resource's inputs. Pure: it never connects. */
export function check(definition: Definition, request: CheckRequest): CheckResult {
  const news = unwrapMap(request.news);
  const olds = unwrapMap(request.olds);
  const inputs: PropertyMap = {};
  const failures: CheckFailure[] = [];
  for (const [name, given] of Object.entries(news)) {
    if (given === null || name.startsWith('__')) continue;
    const field = definition.fields[name];
    if (!field) {
      const known = Object.keys(definition.fields).join(', ');
      failures.push({ property: name, reason: `there is no such property; the type has ${known}` });
      continue;
    }
    inputs[name] = coerce(field, given);
    failures.push(...fieldFailures(name, field, inputs[name] ?? null));
  }
  const defaulted = fillDefaults(definition, inputs, olds, request);
  for (const [name, field] of Object.entries(definition.fields)) {
    if (field.required && inputs[name] === undefined) {
      failures.push({ property: name, reason: 'is required' });
    }
  }
  failures.push(...combinationFailures(inputs));
  inputs[DEFAULTS_KEY] = defaulted.sort();
  return { inputs: markSecrets(definition, inputs), failures };
}

/** Marks what the SDK says is secret, whatever the program said. */
export function markSecrets(definition: Definition, map: PropertyMap): PropertyMap {
  const marked = { ...map };
  for (const [name, field] of Object.entries(definition.fields)) {
    const value = marked[name];
    if (field.secret && value !== undefined && value !== null) marked[name] = new Secret(unwrap(value));
  }
  return marked;
}

/** Numbers and booleans may arrive as texts (configuration, YAML). */
function coerce(field: Field, value: PropertyValue): PropertyValue {
  if (field.type === 'integer' && typeof value === 'string' && /^-?\d+$/.test(value)) return Number(value);
  if (field.type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true';
  if (field.type === 'string' && typeof value === 'number') return String(value);
  return value;
}

function fillDefaults(definition: Definition, inputs: PropertyMap, olds: PropertyMap, request: CheckRequest): string[] {
  const known = olds[DEFAULTS_KEY];
  const usable = (name: string) => !Array.isArray(known) || known.includes(name);
  const defaulted: string[] = [];
  for (const [name, field] of Object.entries(definition.fields)) {
    if (inputs[name] !== undefined) continue;
    const old = olds[name];
    const kept = old !== undefined && old !== null && usable(name) ? old : undefined;
    let value: PropertyValue | undefined;
    if (name === 'name' && isAutonamed(definition)) value = kept ?? generateName(request);
    else if (field.default !== undefined) value = kept ?? (isZero(field.default) ? undefined : field.default);
    if (value === undefined) continue;
    inputs[name] = value;
    defaulted.push(name);
  }
  return defaulted;
}

function generateName(request: CheckRequest): string {
  const seed = Buffer.from(request.randomSeed);
  const digits = createHash('sha256').update(seed).update(request.urn).digest('hex').slice(0, RANDOM_DIGITS);
  return `${request.name}-${digits}`;
}

function fieldFailures(property: string, field: Field, value: PropertyValue): CheckFailure[] {
  if (isUnknown(value)) return [];
  const wrong = (reason: string) => [{ property, reason }];
  switch (field.type) {
    case 'boolean':
      return typeof value === 'boolean' ? [] : wrong(`must be a boolean, not ${JSON.stringify(value)}`);
    case 'integer':
      if (!Number.isSafeInteger(value)) return wrong(`must be an integer, not ${JSON.stringify(value)}`);
      return Number(value) < (field.minimum ?? Number(value)) ? wrong(`must be at least ${field.minimum}`) : [];
    case 'string': {
      if (typeof value !== 'string') return wrong('must be a text');
      if (field.oneOf && !field.oneOf.includes(value)) {
        return wrong(`${JSON.stringify(value)} is none of ${field.oneOf.join(', ')}`);
      }
      if (!field.identifier || (value === '' && !field.required)) return [];
      const problem = identifierProblem(value);
      if (problem !== undefined) return wrong(`${JSON.stringify(value)} ${problem}`);
      return [];
    }
    case 'list':
    case 'set':
      return Array.isArray(value) && value.every((item) => typeof item === 'string' || isUnknown(item))
        ? []
        : wrong('must be a list of texts');
    case 'objects':
      return Array.isArray(value) ? [] : wrong('must be a list');
  }
}

/** What the official plugin says only when it runs. */
function combinationFailures(inputs: PropertyMap): CheckFailure[] {
  return [...roleFailures(inputs), ...privilegeFailures(inputs), ...grantFailures(inputs)];
}

function roleFailures(inputs: PropertyMap): CheckFailure[] {
  const failures: CheckFailure[] = [];
  if (inputs.encryptedPassword === false) {
    const reason = 'PostgreSQL stores no password in plain text since version 10: leave it out';
    failures.push({ property: 'encryptedPassword', reason });
  }
  if (inputs.passwordWo !== undefined && inputs.password !== undefined) {
    failures.push({ property: 'passwordWo', reason: 'give either password or passwordWo' });
  }
  if ((inputs.passwordWo === undefined) !== (inputs.passwordWoVersion === undefined)) {
    failures.push({ property: 'passwordWoVersion', reason: 'passwordWo and passwordWoVersion go together' });
  }
  return failures;
}

function privilegeFailures(inputs: PropertyMap): CheckFailure[] {
  const objectType = text(inputs, 'objectType');
  return texts(inputs, 'privileges').flatMap((privilege) => {
    const reason = privilegeProblem(objectType, privilege);
    return reason === undefined ? [] : [{ property: 'privileges', reason }];
  });
}

function grantFailures(inputs: PropertyMap): CheckFailure[] {
  const failures: CheckFailure[] = [];
  const fail = (property: string, reason: string) => failures.push({ property, reason });
  const objectType = text(inputs, 'objectType');
  if (objectType === '') return [];
  const known = (key: string) => !isUnknown(inputs[key]);
  const count = (key: string) => (Array.isArray(inputs[key]) ? inputs[key].length : 0);
  const role = text(inputs, 'role');
  if (role !== 'public' && role.toLowerCase() === 'public') fail('role', 'write "public" for everyone');
  if (role === 'public' && boolean(inputs, 'withGrantOption')) {
    fail('withGrantOption', 'PostgreSQL gives no grant option to public');
  }
  if (inputs.owner !== undefined) {
    if (objectType === 'schema' && inputs.schema) fail('schema', 'leave it out with objectType "schema"');
    return failures;
  }
  const foreign = objectType.startsWith('foreign_');
  if (!inputs.schema && objectType !== 'database' && !foreign) {
    fail('schema', `is required with objectType "${objectType}"`);
  }
  if (count('objects') > 0 && (objectType === 'database' || objectType === 'schema')) {
    fail('objects', `leave it out with objectType "${objectType}"`);
  }
  if ((foreign || objectType === 'column') && known('objects') && count('objects') !== 1) {
    fail('objects', `name exactly one with objectType "${objectType}"`);
  }
  if (objectType === 'column') {
    if (known('columns') && count('columns') === 0) fail('columns', 'name at least one column');
    if (known('privileges') && count('privileges') !== 1) fail('privileges', 'give exactly one for columns');
  } else if (count('columns') > 0) fail('columns', 'are for objectType "column"');
  return failures;
}
