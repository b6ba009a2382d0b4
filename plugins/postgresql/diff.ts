/**
 * Diff: the state (what was last seen on the server) against the wanted values. Pure: it never connects. As with the
 * official plugin, drift that a refresh wrote into the state is a difference.
 */

import type { DiffKind, DiffRequest, DiffResult, PropertyDiff } from '../framework/provider.ts';
import {
  containsUnknown,
  isUnknown,
  type PropertyMap,
  type PropertyValue,
  UNKNOWN,
  unwrap,
  unwrapMap,
} from '../framework/values.ts';
import { DEFAULTS_KEY } from './check.ts';
import type { Definition, Field } from './definitions.ts';
import { isZero, text, texts } from './plain.ts';
import { samePrivileges } from './sql/privileges.ts';

/**
 * Every property as it shall be: given, else the default, else (computed) what it was, else nothing. Where a computed
 * property was not known before, it is UNKNOWN; one that is managed only while it is given (`unmanagedWhenAbsent`) is
 * null when it never was.
 */
export function planned(
  definition: Definition,
  olds: PropertyMap,
  inputs: PropertyMap,
  oldInputs: PropertyMap = {},
): PropertyMap {
  const state: PropertyMap = {};
  for (const [name, field] of Object.entries(definition.fields)) {
    const given = inputs[name];
    if (given !== undefined && given !== null && !(field.computed && given === '')) state[name] = given;
    else if (field.default !== undefined) state[name] = field.default;
    else if (field.computed) state[name] = olds[name] ?? UNKNOWN;
    else if (field.unmanagedWhenAbsent) state[name] = isZero(oldInputs[name]) ? null : [];
    else state[name] = null;
  }
  return state;
}

/** The names in `ignoreChanges` that are whole properties. */
function ignores(request: DiffRequest, name: string): boolean {
  return request.ignoreChanges.some((path) => path === name || path.startsWith(`${name}[`));
}

export function diff(definition: Definition, request: DiffRequest): DiffResult {
  const olds = unwrapMap(request.olds);
  const oldInputs = unwrapMap(request.oldInputs);
  const news = unwrapMap(request.news);
  const detailedDiff: Record<string, PropertyDiff> = {};
  const diffs: string[] = [];
  const replaces: string[] = [];
  for (const [name, field] of Object.entries(definition.fields)) {
    if (ignores(request, name)) continue;
    const before = field.writeOnly ? null : (olds[name] ?? null);
    const after = wanted(field, before, oldInputs[name] ?? null, news[name] ?? null);
    if (after === undefined || equal(name, field, before, after, olds)) continue;
    diffs.push(name);
    if (field.forceNew) replaces.push(name);
    Object.assign(detailedDiff, details(name, field, before, after));
  }
  const named = news.name !== undefined && !(Array.isArray(news[DEFAULTS_KEY]) && news[DEFAULTS_KEY].includes('name'));
  return {
    changes: diffs.length > 0,
    diffs,
    replaces,
    stables: Object.keys(definition.fields).filter(
      (name) => definition.fields[name]?.forceNew && !replaces.includes(name),
    ),
    // A name that was chosen cannot be taken twice.
    deleteBeforeReplace: replaces.length > 0 && (definition.deleteBeforeReplace || named),
    detailedDiff,
  };
}

/** The value that a property shall have, or undefined when it is none of ours. */
function wanted(
  field: Field,
  before: PropertyValue,
  oldInput: PropertyValue,
  input: PropertyValue,
): PropertyValue | undefined {
  // A write-only value is set again when its version changes, which is a property of its own.
  if (field.writeOnly) return undefined;
  if (input !== null && !(field.computed && input === '')) return input;
  if (field.default !== undefined) return field.default;
  if (field.computed) return undefined;
  if (field.unmanagedWhenAbsent && isZero(oldInput)) return undefined;
  return isZero(before) ? undefined : null;
}

function equal(name: string, field: Field, before: PropertyValue, after: PropertyValue, olds: PropertyMap): boolean {
  if (containsUnknown(after)) return false;
  if (isZero(before) && isZero(after)) return true;
  if (name === 'privileges') {
    return samePrivileges(text(olds, 'objectType'), texts({ before }, 'before'), texts({ after }, 'after'));
  }
  if (name === 'validUntil') return sameTime(before, after);
  if (field.type === 'set' || field.type === 'objects') {
    return JSON.stringify(sorted(before)) === JSON.stringify(sorted(after));
  }
  // Names of encodings are the same in any case; the server writes UTF8.
  if (name === 'encoding') return normalEncoding(before) === normalEncoding(after) || isServerDefault(after);
  if (name === 'template' || name === 'lcCollate' || name === 'lcCtype' || name === 'tablespaceName') {
    return before === after || (isServerDefault(after) && !isZero(before));
  }
  if (field.type === 'boolean' || field.type === 'integer') return String(before ?? '') === String(after ?? '');
  return JSON.stringify(before) === JSON.stringify(after);
}

function isServerDefault(value: PropertyValue): boolean {
  return typeof value === 'string' && value.toUpperCase() === 'DEFAULT';
}

function normalEncoding(value: PropertyValue): string {
  return String(value).toUpperCase().replace(/[-_]/g, '');
}

function sameTime(before: PropertyValue, after: PropertyValue): boolean {
  const left = String(before ?? 'infinity').toLowerCase() || 'infinity';
  const right = String(after ?? 'infinity').toLowerCase() || 'infinity';
  if (left === right) return true;
  // The server writes 2030-01-01 00:00:00+00 for what was given as 2030-01-01T00:00:00Z.
  const [a, b] = [left, right].map((value) => Date.parse(value.replace(/([+-]\d\d)$/, '$1:00')));
  return a !== undefined && !Number.isNaN(a) && a === b;
}

/** Elements in one order, each object's keys too, without what is false or empty. */
function sorted(value: PropertyValue): string[] {
  if (!Array.isArray(value)) return [];
  const elements = value.map((item) =>
    JSON.stringify(item, (key, inner: unknown) => {
      if (key === DEFAULTS_KEY) return undefined;
      if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
      const entries = Object.entries(inner).filter(([, field]) => !isZero(field as PropertyValue));
      return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
    }),
  );
  return [...new Set(elements)].sort();
}

/** Element by element for sets and lists, so that a preview shows what is added and what goes. */
function details(
  name: string,
  field: Field,
  before: PropertyValue,
  after: PropertyValue,
): Record<string, PropertyDiff> {
  const result: Record<string, PropertyDiff> = {};
  const note = (path: string, kind: 'add' | 'delete' | 'update') => {
    result[path] = { kind: (field.forceNew ? `${kind}-replace` : kind) as DiffKind, inputDiff: false };
  };
  const elements = field.type === 'set' && Array.isArray(before) && Array.isArray(after);
  if (elements) {
    const has = (list: PropertyValue[], item: PropertyValue) => list.some((other) => unwrap(other) === unwrap(item));
    for (const [index, item] of before.entries()) if (!has(after, item)) note(`${name}[${index}]`, 'delete');
    for (const [index, item] of after.entries()) {
      if (isUnknown(item) || !has(before, item)) note(`${name}[${index}]`, 'add');
    }
  }
  if (Object.keys(result).length > 0) return result;
  note(name, isZero(before) && before !== false ? 'add' : after === null ? 'delete' : 'update');
  return result;
}
