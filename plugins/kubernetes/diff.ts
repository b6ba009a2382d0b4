/** Property-by-property comparison of what was deployed with what is wanted. Pure. */

import type { DiffKind, PropertyDiff } from '../framework/provider.ts';
import type { PropertyMap, PropertyValue } from '../framework/values.ts';
import { isMap, isUnknown } from '../framework/values.ts';

type Step = string | number;
type Path = readonly Step[];

export interface DiffOptions {
  /** Paths whose change replaces the object, `spec.containers[*].image`. */
  readonly forceNew: readonly string[];
  /**
   * True for typed (built-in) objects: the server leaves out false, 0, '', [] and {}, so that a new value of that kind
   * where there was none is no difference.
   */
  readonly typed: boolean;
}

/** Property path to change; empty when nothing differs. */
export function detailedDiff(old: PropertyMap, next: PropertyMap, options: DiffOptions): Record<string, PropertyDiff> {
  const forced = options.forceNew.map(parsePath);
  const found: Record<string, PropertyDiff> = {};
  const add = (path: Path, kind: 'add' | 'delete' | 'update', value: PropertyValue | undefined): void => {
    const replace = forced.some((pattern) => touches(pattern, path, value));
    found[formatPath(path)] = { kind: (replace ? `${kind}-replace` : kind) as DiffKind, inputDiff: kind === 'delete' };
  };
  const compare = (path: Path, before: PropertyValue | undefined, after: PropertyValue | undefined): void => {
    const gone = before === undefined || before === null;
    if (after === undefined || after === null) {
      if (!gone) add(path, 'delete', undefined);
    } else if (isUnknown(after)) add(path, gone ? 'add' : 'update', after);
    else if (gone) {
      if (!(options.typed && isZero(after))) add(path, 'add', after);
    } else if (isMap(before) && isMap(after)) {
      for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
        compare([...path, key], before[key], after[key]);
      }
    } else if (Array.isArray(before) && Array.isArray(after)) {
      for (let index = 0; index < Math.max(before.length, after.length); index += 1) {
        compare([...path, index], before[index], after[index]);
      }
    } else if (before !== after) add(path, 'update', after);
  };
  compare([], old, next);
  return found;
}

function isZero(value: PropertyValue): boolean {
  if (value === false || value === 0 || value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  return isMap(value) && Object.values(value).every((item) => item === null || isZero(item));
}

/** True when the change at `path` is inside `pattern`, or its new value holds `pattern`. */
function touches(pattern: Path, path: Path, value: PropertyValue | undefined): boolean {
  const shared = Math.min(pattern.length, path.length);
  for (let index = 0; index < shared; index += 1) if (!stepMatches(pattern[index], path[index])) return false;
  return path.length >= pattern.length || holds(value, pattern.slice(path.length));
}

const stepMatches = (pattern: Step | undefined, step: Step | undefined): boolean =>
  pattern === '*' ? typeof step === 'number' : pattern === step;

function holds(value: PropertyValue | undefined, rest: Path): boolean {
  const [step, ...more] = rest;
  if (step === undefined) return value !== undefined && value !== null;
  if (Array.isArray(value)) return step === '*' && value.some((item) => holds(item, more));
  return isMap(value) && typeof step === 'string' && holds(value[step], more);
}

/** `a.b["x.y"][0]` to its steps; `[*]` becomes '*'. */
export function parsePath(text: string): Step[] {
  const steps: Step[] = [];
  for (const match of text.matchAll(/\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|\[\*\]|[^.[\]]+/g)) {
    if (match[1] !== undefined) steps.push(match[1].replaceAll('\\"', '"'));
    else if (match[2] !== undefined) steps.push(Number(match[2]));
    else steps.push(match[0] === '[*]' ? '*' : match[0]);
  }
  return steps;
}

export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/[."[\]]/.test(step)) text += `["${step.replaceAll('"', '\\"')}"]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** True when `path` is `pattern` or inside it (for ignoreChanges; `*` stands for any key or index). */
export function isWithin(path: string, pattern: string): boolean {
  const steps = parsePath(path);
  const wanted = parsePath(pattern);
  return wanted.length <= steps.length && wanted.every((step, index) => step === '*' || step === steps[index]);
}
