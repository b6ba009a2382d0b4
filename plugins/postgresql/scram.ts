/**
 * Password verifiers, made on this side so that a password in plain text never reaches the server or its log.
 * SCRAM-SHA-256: RFC 5802 section 3 and RFC 7677; the stored form is that of PostgreSQL documentation 52.8.
 */

import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);

/** PostgreSQL's own count (`scram_iterations`). RFC 7677 asks for at least 4096. */
const ITERATIONS = 4096;
const SALT_BYTES = 16;
const KEY_BYTES = 32;

const SCRAM_VERIFIER = /^SCRAM-SHA-256\$\d+:[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/;
const MD5_VERIFIER = /^md5[0-9a-f]{32}$/;

/** True for what `PASSWORD '…'` takes as it is. */
export function isVerifier(password: string): boolean {
  return SCRAM_VERIFIER.test(password) || MD5_VERIFIER.test(password);
}

/** Mapped to a space, and to nothing (RFC 3454, tables C.1.2 and B.1). */
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu;
// biome-ignore lint/suspicious/noMisleadingCharacterClass: single code points of the table, not graphemes
const NOTHING = /[\u00ad\u034f\u1806\u180b-\u180d\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]/gu;
/** Control, private use, surrogate, unassigned and tagging characters (RFC 3454, tables A.1, C.2 to C.9). */
const PROHIBITED = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u06dd\u070f\u180e\u2028\u2029\ufff9-\uffff\u{e0001}\u{e0020}-\u{e007f}]/u;
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;

/**
 * SASLprep (RFC 4013), and like PostgreSQL (`pg_saslprep`) the password as it is where SASLprep refuses it.
 * The tables are those of Unicode 3.2 as far as today's properties give them.
 */
export function saslPrep(password: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII needs no preparation
  if (/^[\x00-\x7f]*$/.test(password)) return password;
  const prepared = password.replace(SPACES, ' ').replace(NOTHING, '').normalize('NFKC');
  if (prepared === '' || PROHIBITED.test(prepared)) return password;
  if (RIGHT_TO_LEFT.test(prepared)) {
    const characters = [...prepared];
    const ends = [characters[0] ?? '', characters.at(-1) ?? ''];
    const mixed = /\p{L}/u.test(prepared.replace(new RegExp(RIGHT_TO_LEFT, 'gu'), ''));
    if (mixed || !ends.every((character) => RIGHT_TO_LEFT.test(character))) return password;
  }
  return prepared;
}

/**
 * `SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>`.
 * @param salt 16 random bytes unless given (tests, comparison)
 */
export async function scramVerifier(
  password: string,
  salt: Uint8Array = randomBytes(SALT_BYTES),
  iterations = ITERATIONS,
): Promise<string> {
  const salted = await derive(Buffer.from(saslPrep(password), 'utf8'), salt, iterations, KEY_BYTES, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString('base64')}$${storedKey}:${serverKey}`;
}

/** For servers whose `password_encryption` is md5: their roles may log in with nothing else. */
export function md5Verifier(password: string, role: string): string {
  return `md5${createHash('md5').update(`${password}${role}`, 'utf8').digest('hex')}`;
}

/** What is sent as a role's password; `encryption` is the server's `password_encryption`. */
export async function passwordVerifier(password: string, role: string, encryption: string): Promise<string> {
  if (isVerifier(password)) return password;
  return encryption === 'md5' ? md5Verifier(password, role) : scramVerifier(password);
}
