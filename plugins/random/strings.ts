/**
 * Random strings from character classes, as the official provider makes them (hashicorp/terraform-provider-random:
 * internal/random/string.go): the minimum of each class first, the rest from all enabled classes, then shuffled.
 */

import { randomInt } from 'node:crypto';
import bcrypt from 'bcryptjs';

export interface StringRules {
  /** Characters (Unicode code points) of the result. */
  readonly length: number;
  readonly upper: boolean;
  readonly lower: boolean;
  readonly numeric: boolean;
  readonly special: boolean;
  readonly minUpper: number;
  readonly minLower: number;
  readonly minNumeric: number;
  readonly minSpecial: number;
  /** Instead of the usual special characters; '' for the usual ones. */
  readonly overrideSpecial: string;
}

const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const NUMERIC = '0123456789';
const SPECIAL = '!@#$%&*()-_=+[]{}<>:?';

/** Cost of the official provider's hashes (golang.org/x/crypto/bcrypt: DefaultCost). */
let bcryptCost = 10;

/**
 * Another cost, from 4 to 31: each more doubles the time (10 takes some 90 ms of a core here). For passwords that are
 * generated and long, no cost makes guessing possible, so who makes many may take the least.
 */
export function setBcryptCost(cost: number): void {
  bcryptCost = cost;
}

/** Throws when every class is switched off. The minimums must not exceed the length. */
export function randomString(rules: StringRules): string {
  const special = rules.overrideSpecial === '' ? SPECIAL : rules.overrideSpecial;
  const all = [
    rules.upper ? UPPER : '',
    rules.lower ? LOWER : '',
    rules.numeric ? NUMERIC : '',
    rules.special ? special : '',
  ].join('');
  if (all === '') throw new Error('upper, lower, numeric and special are all false: there is no character to choose');

  const characters = [
    ...pick(UPPER, rules.minUpper),
    ...pick(LOWER, rules.minLower),
    ...pick(NUMERIC, rules.minNumeric),
    ...pick(special, rules.minSpecial),
  ];
  const rest = pick(all, rules.length - characters.length);
  return shuffle([...characters, ...rest]).join('');
}

// `randomInt` rejects numbers beyond the last whole multiple of the range, so every character is equally likely.
function pick(alphabet: string, count: number): string[] {
  const characters = [...alphabet];
  return Array.from({ length: Math.max(count, 0) }, () => characters[randomInt(characters.length)] ?? '');
}

/** A new list in random order, every order equally likely (Fisher and Yates). */
export function shuffle<T>(items: readonly T[]): T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const other = randomInt(last + 1);
    [result[last], result[other]] = [result[other] as T, result[last] as T];
  }
  return result;
}

/** bcrypt hash of the first 72 bytes, marked 2a as Go's implementation marks it. */
export async function bcryptHash(text: string): Promise<string> {
  const salt = await bcrypt.genSalt(bcryptCost);
  return bcrypt.hash(text, salt.replace(/^\$2[by]\$/, '$2a$'));
}
