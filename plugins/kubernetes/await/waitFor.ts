/**
 * The annotation pulumi.com/waitFor: `condition=Ready`, `condition=Ready=False`, `jsonpath={.status.phase}=Running`,
 * `jsonpath={.status.address}` (any value), or a JSON list of such, all of which must hold.
 */

import type { PropertyValue } from '../../framework/values.ts';
import { isMap } from '../../framework/values.ts';
import type { KubernetesObject } from '../object.ts';
import { getNumber, getString } from '../object.ts';
import type { Awaiter, Verdict } from './awaiter.ts';
import { condition } from './pods.ts';

/** @throws Error naming the expression that cannot be read. */
export function waitFor(annotation: string): Awaiter {
  const tests = expressionsOf(annotation).map(parse);
  return {
    onRead: false,
    check: (live: KubernetesObject): Verdict => {
      const observed = getNumber(live, 'status', 'observedGeneration');
      const stale = observed !== undefined && observed < (getNumber(live, 'metadata', 'generation') ?? 0);
      const open = tests.filter((test) => stale || !test.holds(live)).map((test) => test.text);
      return {
        ready: open.length === 0,
        status: `waiting for ${open.join(', ')}`,
        reasons: open.map((text) => `${text} does not hold.`),
      };
    },
  };
}

interface Test {
  readonly text: string;
  readonly holds: (live: KubernetesObject) => boolean;
}

function expressionsOf(annotation: string): string[] {
  if (!annotation.trim().startsWith('[')) return [annotation];
  const parsed: unknown = JSON.parse(annotation);
  if (!Array.isArray(parsed) || parsed.length === 0) throw new Error('pulumi.com/waitFor is an empty list.');
  return parsed.map(String);
}

function parse(text: string): Test {
  if (text.startsWith('condition=')) {
    const [type = '', status = 'True'] = text.slice('condition='.length).split('=');
    const wanted = status.toLowerCase();
    return { text, holds: (live) => getString(condition(live, type), 'status').toLowerCase() === wanted };
  }
  const match = /^jsonpath=(?:'|")?\{(\..+?)\}(?:'|")?(?:=(.*))?$/.exec(text);
  if (match?.[1] === undefined) {
    throw new Error(`pulumi.com/waitFor: "${text}" is neither condition=TYPE[=STATUS] nor jsonpath={.path}[=VALUE].`);
  }
  const steps = stepsOf(match[1], text);
  const wanted = match[2]?.replace(/^(['"])(.*)\1$/, '$2');
  return {
    text,
    holds: (live) => {
      const found = evaluate([live], steps).filter((value) => value !== null && value !== undefined && value !== '');
      return wanted === undefined ? found.length > 0 : found.some((value) => asText(value) === wanted);
    },
  };
}

type Step =
  | { readonly key: string }
  | { readonly index: number | '*' }
  | { readonly path: string; readonly equals: string };

function stepsOf(path: string, text: string): Step[] {
  const steps: Step[] = [];
  const pattern = /\.([A-Za-z0-9_\-/]+)|\['([^']+)'\]|\[(\d+|\*)\]|\[\?\(@\.([\w-]+)\s*==\s*["']([^"']*)["']\)\]/y;
  while (pattern.lastIndex < path.length) {
    const match = pattern.exec(path);
    if (match === null) throw new Error(`pulumi.com/waitFor: "${text}" uses JSONPath that is not supported here.`);
    if (match[3] !== undefined) steps.push({ index: match[3] === '*' ? '*' : Number(match[3]) });
    else if (match[4] !== undefined) steps.push({ path: match[4], equals: match[5] ?? '' });
    else steps.push({ key: match[1] ?? match[2] ?? '' });
  }
  return steps;
}

function evaluate(values: (PropertyValue | undefined)[], steps: readonly Step[]): (PropertyValue | undefined)[] {
  return steps.reduce<(PropertyValue | undefined)[]>(
    (current, step) =>
      current.flatMap((value) => {
        if ('key' in step) return isMap(value) ? [value[step.key]] : [];
        if (!Array.isArray(value)) return [];
        if ('index' in step) return step.index === '*' ? value : [value[step.index]];
        return value.filter((item) => asText(isMap(item) ? item[step.path] : undefined) === step.equals);
      }),
    values,
  );
}

const asText = (value: PropertyValue | undefined): string =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
