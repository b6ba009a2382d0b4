import { parseCidr } from '../../cidr.ts';

/** A Service of type LoadBalancer that is ours to serve. */
export interface Claimant {
  /** `namespace/name`. */
  readonly key: string;
  /** The address in its status. */
  readonly current?: string;
  /** Seconds since 1970; the elder keeps an address that two have. */
  readonly created: number;
}

/** All addresses of a network but the first (the network) and the last (broadcast). */
export function hostAddresses(cidr: string): string[] {
  const { first, prefix } = parseCidr(cidr);
  const count = 2 ** (32 - prefix) - 2;
  return Array.from({ length: Math.max(count, 0) }, (_, index) => dotted(first + index + 1));
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

/**
 * Gives each claimant an address of the pool. One that has an address keeps it; new ones get the lowest that is free,
 * in the order of their age, then their key. When the pool is used up, the rest get none.
 */
export function assignAddresses(claimants: readonly Claimant[], pool: readonly string[]): Map<string, string> {
  const sorted = [...claimants].sort((a, b) => a.created - b.created || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const free = new Set(pool);
  const assigned = new Map<string, string>();
  for (const { key, current } of sorted) {
    if (current !== undefined && free.delete(current)) assigned.set(key, current);
  }
  for (const { key } of sorted) {
    if (assigned.has(key)) continue;
    const next = free.values().next();
    if (next.done) break;
    free.delete(next.value);
    assigned.set(key, next.value);
  }
  return assigned;
}
