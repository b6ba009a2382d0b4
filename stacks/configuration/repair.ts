import type * as z from 'zod';

/**
 * The input without what the issues are about, so that the rules between keys can still be checked and all findings be
 * reported at once. A part that is missing cannot be left out: then its parent is.
 *
 * @returns the parsed remainder, and the paths that were left out; undefined when nothing useful is left.
 */
export function parseWithoutFaults<T>(
  schema: z.ZodType<T>,
  input: unknown,
): { value: T; removed: readonly (readonly PropertyKey[])[] } | undefined {
  const rest: unknown = structuredClone(input);
  const removed: (readonly PropertyKey[])[] = [];
  // Each turn removes something, so the depth of the schema bounds the turns; 20 is well above it.
  for (let turn = 0; turn < 20; turn++) {
    const result = schema.safeParse(rest);
    if (result.success) return { value: result.data, removed };
    for (const issue of result.error.issues) {
      const paths =
        issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [[...issue.path]];
      for (const path of paths) {
        const gone = removeNearest(rest, path);
        if (!gone) return undefined;
        removed.push(gone);
      }
    }
  }
  return undefined;
}

/** Removes the value at the path or, where there is none, the nearest one above; undefined when that is the root. */
function removeNearest(root: unknown, path: readonly PropertyKey[]): readonly PropertyKey[] | undefined {
  for (let length = path.length; length > 0; length--) {
    const parent = path.slice(0, length - 1).reduce<unknown>((value, part) => child(value, part), root);
    const key = path[length - 1] as PropertyKey;
    if (Array.isArray(parent) && Number(key) < parent.length) {
      parent.splice(Number(key), 1);
      return path.slice(0, length);
    }
    if (isObject(parent) && Object.hasOwn(parent, key)) {
      delete parent[key];
      return path.slice(0, length);
    }
  }
  return undefined;
}

function child(value: unknown, part: PropertyKey): unknown {
  return isObject(value) || Array.isArray(value) ? (value as Record<PropertyKey, unknown>)[part] : undefined;
}

function isObject(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
