/** Quoting of identifiers, literals and argument lists; every statement of this plugin is built with these only. */

import pg from 'pg';

/** Bytes of an identifier that the server keeps; it cuts a longer one in silence (PostgreSQL documentation 4.1.1). */
export const MAX_IDENTIFIER_BYTES = 63;

/** What the grantee "everyone" is called in inputs; the server reserves the name, so no role can have it. */
export const PUBLIC = 'public';

/** An input from which no statement can be built; the message says which and why. */
export class InputError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InputError';
  }
}

/** Why `name` cannot be an identifier, or undefined when it can. */
export function identifierProblem(name: string): string | undefined {
  if (name === '') return 'must not be empty';
  if (name.includes('\0')) return 'must not contain a NUL character';
  // Half a surrogate pair is sent as U+FFFD: two names would become one.
  if (!name.isWellFormed()) return 'must not contain half of a surrogate pair: it has no form in UTF-8';
  const bytes = Buffer.byteLength(name, 'utf8');
  if (bytes > MAX_IDENTIFIER_BYTES) {
    return `has ${bytes} bytes; PostgreSQL keeps only the first ${MAX_IDENTIFIER_BYTES}: choose a shorter name`;
  }
  return undefined;
}

/** `name` as a quoted identifier. Throws InputError where the server would cut or refuse it. */
export function identifier(name: string): string {
  const problem = identifierProblem(name);
  if (problem !== undefined) throw new InputError(`the name ${JSON.stringify(name)} ${problem}`);
  return pg.escapeIdentifier(name);
}

/** `schema.name`, both quoted. */
export function qualified(schema: string, name: string): string {
  return `${identifier(schema)}.${identifier(name)}`;
}

/** A role to which something is granted: PUBLIC, or a quoted identifier. */
export function grantee(role: string): string {
  return role === PUBLIC ? 'PUBLIC' : identifier(role);
}

/** `value` as a string literal that reads the same whatever `standard_conforming_strings` is. */
export function literal(value: string): string {
  if (value.includes('\0')) throw new InputError('a text must not contain a NUL character');
  if (!value.isWellFormed()) throw new InputError('a text must not contain half of a surrogate pair');
  return pg.escapeLiteral(value).trimStart();
}

/** An integer as it is written in SQL. */
export function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new InputError(`${value} is not an integer`);
  return String(value);
}

/** Type names of an overloaded function: words, quoted words, dots, commas, brackets; nothing that ends the list. */
const ARGUMENT_TYPES = /^(?:[\w\s,.[\]]|"(?:[^"\0]|"")*")*$/;

/** `f` or `f(integer, text)` in a schema: the name quoted, the argument types checked. */
export function routine(schema: string, signature: string): string {
  const open = signature.indexOf('(');
  if (open < 0) return qualified(schema, signature);
  const types = signature.slice(open + 1, signature.endsWith(')') ? -1 : undefined);
  if (!signature.endsWith(')') || !ARGUMENT_TYPES.test(types)) {
    throw new InputError(
      `${JSON.stringify(signature)} is not a function with its argument types, such as f(integer, text)`,
    );
  }
  return `${qualified(schema, signature.slice(0, open))}(${types})`;
}
