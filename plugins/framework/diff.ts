/**
 * Property-by-property comparison of a resource's old and new inputs, with the paths that the engine prints in a
 * preview. Plugins use it for Diff; what is a replacement and what is a set is theirs to say.
 */

import type { DiffResult, PropertyDiff } from './provider.ts';
import { containsUnknown, isMap, isSecret, isUnknown, type PropertyMap, type PropertyValue, unwrap } from './values.ts';

export interface DetailedDiffOptions {
  /**
   * Property paths that are left out of the comparison, with everything below them (`ignoreChanges` of the request).
   * `[*]` and `.*` match any element. @default none
   */
  readonly ignore?: readonly string[];
  /** True where a change of the property at this path forces a replacement. @default nothing does */
  readonly replaceOn?: (path: string) => boolean;
  /** True where the list at this path is a set: order and repetition do not count. @default every list is ordered */
  readonly setsAt?: (path: string) => boolean;
}

/** What `detailedDiff` finds: a `DiffResult` with every list filled in. */
export interface DetailedDiff extends DiffResult {
  readonly diffs: readonly string[];
  readonly replaces: readonly string[];
  readonly detailedDiff: Readonly<Record<string, PropertyDiff>>;
}

type Segment = string | number;

/** Keys of bookkeeping that the bridge stores beside real inputs; a change there is never a change of the resource. */
const BOOKKEEPING = new Set(['__defaults']);

/** A key that may stand after a dot; any other is quoted (pulumi/pulumi: sdk/go/common/resource/properties_path.go). */
const PLAIN_KEY = /^\w+$/;

/** `['spec', 'ports', 0, 'a.b']` as `spec.ports[0]["a.b"]`. */
export function formatPath(path: readonly Segment[]): string {
  let text = '';
  for (const segment of path) {
    if (typeof segment === 'number') text += `[${segment}]`;
    else if (!PLAIN_KEY.test(segment)) text += `["${segment.replaceAll('"', '\\"')}"]`;
    else text += text === '' ? segment : `.${segment}`;
  }
  return text;
}

/** `spec.ports[0]["a.b"]` as `['spec', 'ports', 0, 'a.b']`; `*` stays as it is. Throws on an unclosed bracket. */
export function parsePath(path: string): Segment[] {
  const segments: Segment[] = [];
  const token = /\.?(?:([^.[\]]+)|\[(\d+|\*)\]|\["((?:\\"|[^"])*)"\])/y;
  while (token.lastIndex < path.length) {
    const at = token.lastIndex;
    const match = token.exec(path);
    if (!match) throw new Error(`"${path}" is not a property path: cannot read "${path.slice(at)}"`);
    if (match[1] !== undefined) segments.push(match[1]);
    else if (match[2] !== undefined) segments.push(match[2] === '*' ? '*' : Number(match[2]));
    else segments.push((match[3] ?? '').replaceAll('\\"', '"'));
  }
  return segments;
}

/** True when `path` is the property that `pattern` names, or lies below it. */
function covers(pattern: readonly Segment[], path: readonly Segment[]): boolean {
  return pattern.length <= path.length && pattern.every((segment, index) => segment === '*' || segment === path[index]);
}

/**
 * Compares inputs with inputs. Secret marks do not count, a value that is not known counts as changed, bookkeeping
 * keys (`__defaults`) are left out at every level, and null equals absent (the engine drops null inputs).
 */
export function detailedDiff(
  oldInputs: PropertyMap,
  newInputs: PropertyMap,
  options: DetailedDiffOptions = {},
): DetailedDiff {
  const ignored = (options.ignore ?? []).map(parsePath);
  const found: Record<string, PropertyDiff> = {};
  const diffs = new Set<string>();
  const replaces = new Set<string>();

  const note = (path: readonly Segment[], kind: 'add' | 'delete' | 'update') => {
    const text = formatPath(path);
    const top = String(path[0]);
    const replace = options.replaceOn?.(text) ?? false;
    found[text] = { kind: replace ? `${kind}-replace` : kind, inputDiff: true };
    diffs.add(top);
    if (replace) replaces.add(top);
  };

  const compare = (path: readonly Segment[], left: PropertyValue | undefined, right: PropertyValue | undefined) => {
    if (ignored.some((pattern) => covers(pattern, path))) return;
    const before = isSecret(left) ? unwrap(left) : left;
    const after = isSecret(right) ? unwrap(right) : right;
    if (isUnknown(after)) note(path, isAbsent(before) ? 'add' : 'update');
    else if (isAbsent(before) && isAbsent(after)) return;
    else if (isAbsent(before)) note(path, 'add');
    else if (isAbsent(after)) note(path, 'delete');
    else if (isMap(before) && isMap(after)) compareMaps(path, before, after);
    else if (Array.isArray(before) && Array.isArray(after)) {
      if (options.setsAt?.(formatPath(path))) compareSets(path, before, after);
      else compareLists(path, before, after);
    } else if (!equalValues(before, after)) note(path, 'update');
  };

  const compareMaps = (path: readonly Segment[], before: PropertyMap, after: PropertyMap) => {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      if (!BOOKKEEPING.has(key)) compare([...path, key], own(before, key), own(after, key));
    }
  };

  const compareLists = (path: readonly Segment[], before: PropertyValue[], after: PropertyValue[]) => {
    for (let index = 0; index < Math.max(before.length, after.length); index++) {
      compare([...path, index], before[index], after[index]);
    }
  };

  // An element that left is reported at its old index and one that came at its new index.
  const compareSets = (path: readonly Segment[], before: PropertyValue[], after: PropertyValue[]) => {
    const inOld = new Set(before.map(canonical));
    const inNew = new Set(after.map(canonical));
    const removed = [...before.keys()].filter((index) => !inNew.has(canonical(before[index] ?? null)));
    const added = [...after.keys()].filter((index) => {
      const item = after[index] ?? null;
      return containsUnknown(item) || !inOld.has(canonical(item));
    });
    for (const index of removed) note([...path, index], added.includes(index) ? 'update' : 'delete');
    for (const index of added) if (!removed.includes(index)) note([...path, index], 'add');
  };

  compareMaps([], oldInputs, newInputs);
  return { changes: diffs.size > 0, diffs: [...diffs], replaces: [...replaces], detailedDiff: found };
}

/** Deep equality without secret marks; a value that is not known equals nothing, null equals an absent key. */
export function equalValues(left: PropertyValue | undefined, right: PropertyValue | undefined): boolean {
  if (left !== undefined && containsUnknown(left)) return false;
  if (right !== undefined && containsUnknown(right)) return false;
  return canonical(left ?? null) === canonical(right ?? null);
}

/** One text for equal values: keys sorted, null keys and bookkeeping dropped, secret marks removed. */
function canonical(value: PropertyValue): string {
  return JSON.stringify(unwrap(value), (key, item: unknown) => {
    if (BOOKKEEPING.has(key)) return undefined;
    if (!isMap(item)) return item;
    const entries = Object.entries(item).filter(([, inner]) => inner !== null);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
}

function isAbsent(value: PropertyValue | undefined): value is null | undefined {
  return value === null || value === undefined;
}

function own(map: PropertyMap, key: string): PropertyValue | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}
