/** What changes an Image. Every change is an update (a new build): nothing forces a replacement. */

import { existsSync, readdirSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { DiffResult, PropertyDiff } from '../framework/provider.ts';
import { containsUnknown, isMap, type PropertyMap, type PropertyValue, unwrapMap } from '../framework/values.ts';
import { exportArgument } from './arguments.ts';
import { hashBuildContext } from './contextHash.ts';
import { fillInputs } from './inputs.ts';
import type { Union } from './model.ts';

/** Compared as wholes. Passwords, `exec` and `ignoreSecretsInDiffCalculation` never make a difference. */
const COMPARED = [
  'addHosts',
  'buildArgs',
  'buildOnPreview',
  'builder',
  'cacheFrom',
  'cacheTo',
  'dockerfile',
  'labels',
  'load',
  'network',
  'noCache',
  'platforms',
  'pull',
  'push',
  'ssh',
  'tags',
  'target',
] as const;

/** Compares a state with new inputs and the files of the build context. */
export async function diffImage(
  state: PropertyMap,
  newInputs: PropertyMap,
  ignoreChanges: readonly string[] = [],
): Promise<DiffResult> {
  // A state of another version of either provider may lack what has become a default.
  const olds = unwrapMap(fillInputs(state));
  const news = unwrapMap(fillInputs(newInputs));
  const changed: string[] = COMPARED.filter((key) => !isDeepStrictEqual(olds[key], news[key]));

  const oldContext = asMap(olds.context);
  const newContext = asMap(news.context);
  if (!isDeepStrictEqual(oldContext.location, newContext.location)) changed.push('context.location');
  if (!isDeepStrictEqual(oldContext.named, newContext.named)) changed.push('context.named');
  if (!isDeepStrictEqual(exportTexts(olds.exports), exportTexts(news.exports))) changed.push('exports');
  changed.push(...missingExports(news.exports));
  if (!isDeepStrictEqual(...comparableSecrets(olds, news))) changed.push('secrets');
  changed.push(...changedRegistries(olds.registries, news.registries));
  if (await contextChanged(state, news)) changed.push('contextHash');

  const kept = changed.filter(
    (path) => !ignoreChanges.some((ignored) => path === ignored || path.startsWith(`${ignored}.`)),
  );
  const update: PropertyDiff = { kind: 'update', inputDiff: false };
  return {
    changes: kept.length > 0,
    replaces: [],
    diffs: [...new Set(kept.map((path) => path.split(/[.[]/)[0] ?? path))],
    detailedDiff: Object.fromEntries(kept.map((path) => [path, update])),
  };
}

async function contextChanged(state: PropertyMap, news: PropertyMap): Promise<boolean> {
  const exported = news.push === true || news.load === true || (Array.isArray(news.exports) && news.exports.length > 0);
  // `pull` asks for newer base images, which only a build can find.
  if (news.pull === true && exported) return true;
  const context = asMap(news.context);
  if (containsUnknown(context) || containsUnknown(news.dockerfile ?? null)) return true;
  return (await hashInputs(news)) !== state.contextHash;
}

/** The context hash of inputs (without secret marks) whose context and Dockerfile are known. */
export function hashInputs(inputs: PropertyMap): Promise<string> {
  const context = asMap(inputs.context);
  const location = asMap(inputs.dockerfile).location;
  return hashBuildContext({
    context: typeof context.location === 'string' ? context.location : '',
    dockerfile: typeof location === 'string' ? location : '',
    named: Object.fromEntries(
      Object.entries(asMap(context.named)).map(([name, value]) => [name, String(asMap(value).location ?? '')]),
    ),
  });
}

function asMap(value: PropertyValue | undefined): PropertyMap {
  return isMap(value) ? value : {};
}

/** Exports are the same when their command-line forms are: defaults that are not passed on make no difference. */
function exportTexts(value: PropertyValue | undefined): unknown {
  if (value === undefined || containsUnknown(value)) return value;
  return Array.isArray(value) ? value.map((entry) => exportArgument(entry as Union)) : value;
}

/** Local exports that somebody has removed are made again. */
function missingExports(value: PropertyValue | undefined): string[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry, index) => {
    const fields = asMap(entry);
    const local = asMap(fields.local).dest;
    const tar = asMap(fields.tar).dest;
    const missing = (typeof local === 'string' && isEmpty(local)) || (typeof tar === 'string' && !existsSync(tar));
    return missing ? [`exports[${index}]`] : [];
  });
}

function isEmpty(directory: string): boolean {
  try {
    return readdirSync(directory).length === 0;
  } catch {
    return true;
  }
}

/** Both secret maps without the names that `ignoreSecretsInDiffCalculation` lists, where both have them. */
function comparableSecrets(olds: PropertyMap, news: PropertyMap): [unknown, unknown] {
  if (!isMap(olds.secrets) || !isMap(news.secrets)) return [olds.secrets, news.secrets];
  const ignored = Array.isArray(news.ignoreSecretsInDiffCalculation) ? news.ignoreSecretsInDiffCalculation : [];
  const before = { ...olds.secrets };
  const after = { ...news.secrets };
  for (const name of ignored) {
    if (typeof name !== 'string' || before[name] === undefined || after[name] === undefined) continue;
    delete before[name];
    delete after[name];
  }
  return [before, after];
}

/** Only address and user name count: a rotated password does not change an image. */
function changedRegistries(before: PropertyValue | undefined, after: PropertyValue | undefined): string[] {
  const olds = Array.isArray(before) ? before : [];
  const news = Array.isArray(after) ? after : [];
  if (olds.length !== news.length) return ['registries'];
  const index = olds.findIndex((old, position) => {
    const a = asMap(old);
    const b = asMap(news[position]);
    return a.address !== b.address || a.username !== b.username;
  });
  return index < 0 ? [] : [`registries[${index}]`];
}
