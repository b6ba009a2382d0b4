/** What a flow is called with on the command line. */

import { parseArgs } from 'node:util';
import { WorkflowError } from './failure.ts';

export interface OptionDescription {
  readonly description: string;
  /** Value when it is not given. Default: it must be given. */
  readonly default?: string;
}

export type OptionDescriptions = Readonly<Record<string, OptionDescription>>;

/** One flow as `npm run workflow` knows it. */
export interface Flow<Names extends string = string> {
  readonly name: string;
  readonly description: string;
  readonly options: Readonly<Record<Names, OptionDescription>>;
  /** @returns the exit code of the process; undefined for 0 */
  run(options: Readonly<Record<Names, string>>): Promise<number | undefined>;
}

/** Keeps the names of the options, so that `run` knows them. */
export function flow<const Names extends string>(description: Flow<Names>): Flow {
  return description as unknown as Flow;
}

/** @throws WorkflowError for an option that is not known, has no value, or is missing */
export function parseOptions({ name, options }: Flow, args: readonly string[]): Record<string, string> {
  const known = Object.fromEntries(Object.keys(options).map((option) => [option, { type: 'string' as const }]));
  let values: Record<string, string | undefined>;
  try {
    values = parseArgs({ args: [...args], options: known, allowPositionals: false }).values as typeof values;
  } catch (error) {
    throw new WorkflowError(`${name}: ${(error as Error).message}`, optionList(options));
  }
  // A workflow hands on an input that was left out as an empty text.
  const given = Object.entries(options).map(
    ([option, { default: value }]) => [option, values[option] || value] as const,
  );
  const missing = given.filter(([, value]) => value === undefined).map(([option]) => `--${option}`);
  if (missing.length > 0) throw new WorkflowError(`${name}: ${missing.join(', ')} is missing`, optionList(options));
  return Object.fromEntries(given) as Record<string, string>;
}

/**
 * The value of an option that is a switch.
 *
 * @throws WorkflowError for anything but `true` and `false`
 */
export function flag(name: string, value: string): boolean {
  if (value === 'true' || value === 'false') return value === 'true';
  throw new WorkflowError(`--${name} is ${JSON.stringify(value)}`, 'use true or false');
}

function optionList(options: OptionDescriptions): string {
  const lines = Object.entries(options).map(
    ([option, { description, default: value }]) => `  --${option}: ${description}${value ? ` (default ${value})` : ''}`,
  );
  return `its options:\n${lines.join('\n')}`;
}

export function usage(flows: readonly Flow[]): string {
  const lines = flows.map(({ name, description }) => `  ${name.padEnd(22)} ${description}`);
  return `npm run -s workflow -- NAME --option value …\n${lines.join('\n')}`;
}
