import * as pulumi from '@pulumi/pulumi';
import * as z from 'zod';

/** The process environment that references are read from. */
export type Environment = Readonly<Record<string, string | undefined>>;

const ENVIRONMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A rule: what is wrong with a value, or undefined. */
export type Rule<T> = (value: T) => string | undefined;

/** A secret of the configuration. Neither printing nor serialising it shows the value. */
export class SecretText {
  readonly #value: string;

  /** @param source `literal` when it stands in the configuration itself, where it must be encrypted. */
  constructor(
    value: string,
    readonly source: 'literal' | 'environment',
  ) {
    this.#value = value;
  }

  /** The value as a secret output: for the arguments of resources. */
  output(): pulumi.Output<string> {
    return pulumi.secret(this.#value);
  }

  /** Whether this is its value: to find out whether a file holds it in plain text. */
  is(text: unknown): boolean {
    return text === this.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }
}

/** What an invalid value is instead, without showing it. */
export function describe(input: unknown): string {
  if (input === undefined) return 'is missing';
  if (input === null) return 'is null';
  if (Array.isArray(input)) return 'is a list';
  if (typeof input === 'object') return 'is a mapping';
  return `is a ${typeof input === 'string' ? 'text' : typeof input}`;
}

/** The message of a value with the wrong type: what it is, and what is expected. */
function wrong(expected: string): { error: (issue: { input?: unknown }) => string } {
  return { error: (issue) => `${describe(issue.input)}: expected ${expected}` };
}

/** A text that stands in the configuration. */
export function text(expected: string, rule?: Rule<string>) {
  return z.string(wrong(expected)).superRefine(check(rule, expected));
}

/** A text, or `{env: NAME, default?: …}`: the value of an environment variable. */
export function reference(environment: Environment, expected: string, rule?: Rule<string>) {
  const variable = z.strictObject(
    { env: z.string().regex(ENVIRONMENT_NAME), default: z.string().optional() },
    wrong(expected),
  );
  return z
    .union([z.string(), variable], wrong(`${expected}, or {env: NAME}`))
    .transform((value, context) => {
      if (typeof value === 'string') return value;
      const found = environment[value.env] || value.default;
      if (found !== undefined) return found;
      context.addIssue(`the environment variable ${value.env} is not set: set it to ${expected}`);
      return z.NEVER;
    })
    .superRefine(check(rule, expected));
}

/** A secret: `{env: NAME}`, or a text that `pulumi config set --secret --path` has encrypted. */
export function secret(environment: Environment, expected: string) {
  const how = `${expected} as {env: NAME}, or encrypted with "pulumi config set --secret --path"`;
  const variable = z.strictObject({ env: z.string().regex(ENVIRONMENT_NAME) }, wrong(how));
  return z.union([z.string(), variable], wrong(how)).transform((value, context) => {
    const fromEnvironment = typeof value !== 'string';
    const found = fromEnvironment ? environment[value.env] : value;
    if (found) return new SecretText(found, fromEnvironment ? 'environment' : 'literal');
    context.addIssue(
      fromEnvironment
        ? `the secret is missing: set the environment variable ${value.env} to ${expected}`
        : `the secret is empty: expected ${how}`,
    );
    return z.NEVER;
  });
}

/** A whole number within limits. */
export function integer(expected: string, least: number, most: number) {
  const message = wrong(`${expected}, a whole number from ${least} to ${most}`);
  return z.number(message).int(message).min(least, message).max(most, message);
}

/** One of a few words. */
export function oneOf<const T extends readonly [string, ...string[]]>(words: T) {
  return z.enum(words, wrong(`one of ${words.map((word) => `"${word}"`).join(', ')}`));
}

/** A switch. */
export function flag() {
  return z.boolean(wrong('true or false'));
}

/** A mapping with these keys and no other; the message of an unknown key lists the known ones. */
export function section<T extends z.ZodRawShape>(shape: T) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    // Read again by unknownKey in findings.ts, which makes one finding of each key.
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? known.join(' ') : `${describe(issue.input)}: expected a mapping`,
  });
}

/** A mapping with names that the user chooses, each of which must keep the rule. */
export function named<T extends z.ZodType>(value: T, rule: Rule<string>) {
  return z
    .record(z.string(), value, { error: (issue) => `${describe(issue.input)}: expected a mapping of names` })
    .superRefine((record, context) => {
      for (const name of Object.keys(record)) {
        const problem = rule(name);
        if (problem) context.addIssue({ code: 'custom', path: [name], message: `the name ${problem}` });
      }
    });
}

/** A list. */
export function list<T extends z.ZodType>(item: T, expected: string) {
  return z.array(item, wrong(expected));
}

function check(rule: Rule<string> | undefined, expected: string) {
  return (value: string, context: z.RefinementCtx): void => {
    const problem = value.trim() === '' ? `is empty: expected ${expected}` : rule?.(value);
    if (problem) context.addIssue({ code: 'custom', message: problem });
  };
}
