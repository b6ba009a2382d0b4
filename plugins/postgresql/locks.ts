/** Advisory locks, by which operations of this plugin wait for each other, in other processes as well. */

import { createHash } from 'node:crypto';

/** A lock's name as the number that advisory locks take. */
export function lockKey(name: string): string {
  return createHash('sha256').update(`development-operations/${name}`).digest().readBigInt64BE(0).toString();
}

/** Every change of privileges in a database waits for the one before: they meet in the same catalog rows. */
export function databaseLock(database: string): string {
  return `database/${database}`;
}

export function roleLock(role: string): string {
  return `role/${role}`;
}
