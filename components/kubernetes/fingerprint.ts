import { createHash, createHmac } from 'node:crypto';

/** A JSON text of the value with the keys of every object sorted, so that equal values give equal texts. */
export function stableJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (item === null || typeof item !== 'object' || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/**
 * A short, stable digest of values that are not secret.
 *
 * @returns 10 hexadecimal digits: enough to tell the versions of one object apart.
 */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(stableJson(value)).digest('hex').slice(0, 10);
}

/**
 * A digest of secret values that may be shown: without the key nobody can test a guess against it, so that even a
 * weak secret does not leak through an annotation.
 *
 * @param key a secret of at least 128 bits that is kept as secret as the values; undefined when a targeted update
 *   leaves out what generates it.
 * @returns 16 hexadecimal digits, or nothing without a key.
 */
export function keyedDigestOf(key: string | undefined, values: Readonly<Record<string, string>>): string {
  if (key === undefined) return '';
  return createHmac('sha256', key).update(stableJson(values)).digest('hex').slice(0, 16);
}
