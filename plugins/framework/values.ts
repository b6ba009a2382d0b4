/**
 * Property values as plugins see them: JSON values, plus a wrapper for secrets and a marker for values that are
 * not known during a preview. Conversion from and to the engine's protobuf structs is in `wire.ts`.
 */

/** A value that the engine encrypts in the state and hides in its output. Never nested directly in another Secret. */
export class Secret {
  constructor(readonly value: PropertyValue) {}

  /** Never the value: a secret that is logged by accident shows nothing. */
  toJSON(): string {
    return '[secret]';
  }

  toString(): string {
    return '[secret]';
  }
}

class UnknownValue {
  toJSON(): string {
    return '[unknown]';
  }

  toString(): string {
    return '[unknown]';
  }
}

/** A value that is only known after the update (an output of a resource that is not there yet). */
export const UNKNOWN = new UnknownValue();
export type Unknown = typeof UNKNOWN;

/** An asset or archive (`@pulumi/pulumi/asset`), kept as the wire form without its signature key. */
export class AssetValue {
  constructor(readonly fields: Readonly<Record<string, unknown>>) {}
}

export type PropertyValue =
  | null
  | boolean
  | number
  | string
  | PropertyValue[]
  | PropertyMap
  | Secret
  | Unknown
  | AssetValue;

export interface PropertyMap {
  [key: string]: PropertyValue;
}

export function isUnknown(value: unknown): value is Unknown {
  return value === UNKNOWN;
}

export function isSecret(value: unknown): value is Secret {
  return value instanceof Secret;
}

/** True for a plain object (not an array, secret, unknown or asset). */
export function isMap(value: unknown): value is PropertyMap {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Secret) &&
    !(value instanceof AssetValue) &&
    value !== UNKNOWN
  );
}

/** True when the value, or anything in it, is not known. */
export function containsUnknown(value: PropertyValue): boolean {
  if (isUnknown(value)) return true;
  if (isSecret(value)) return containsUnknown(value.value);
  if (Array.isArray(value)) return value.some(containsUnknown);
  return isMap(value) && Object.values(value).some(containsUnknown);
}

/** True when the value, or anything in it, is secret. */
export function containsSecret(value: PropertyValue): boolean {
  if (isSecret(value)) return true;
  if (Array.isArray(value)) return value.some(containsSecret);
  return isMap(value) && Object.values(value).some(containsSecret);
}

/** The same value without secret marks. UNKNOWN stays. */
export function unwrap(value: PropertyValue): PropertyValue {
  if (isSecret(value)) return unwrap(value.value);
  if (Array.isArray(value)) return value.map(unwrap);
  if (isMap(value)) return unwrapMap(value);
  return value;
}

export function unwrapMap(map: PropertyMap): PropertyMap {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, unwrap(value)]));
}

/** `value` (without marks) with the secret marks that `like` has at the same paths. */
export function markLike(value: PropertyValue, like: PropertyValue | undefined): PropertyValue {
  if (like === undefined || isSecret(value)) return value;
  if (isSecret(like)) return new Secret(unwrap(value));
  if (Array.isArray(value) && Array.isArray(like)) return value.map((item, index) => markLike(item, like[index]));
  if (isMap(value) && isMap(like)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, markLike(item, like[key])]));
  }
  return value;
}
