/** Which environment of which application a flow works on, and what the engine needs for it. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import { pulumiEnvironment } from '../../local/pulumiEnvironment.ts';
import { needed, WorkflowError } from '../failure.ts';
import { mask } from '../github/report.ts';

/** Lines `NAME=value` that a caller hands over in one secret: what `{ env: NAME }` in the configuration refers to. */
export const VARIABLES = 'OPERATIONS_VARIABLES';

export interface Target {
  /** This repository: where the program is. */
  readonly project: string;
  /** The application's repository: where the configuration is, and what its paths start from. */
  readonly root: string;
  /** Name of the environment, and of its stack. */
  readonly stack: string;
  /** Absolute path of `Pulumi.<environment>.yaml`. */
  readonly configFile: string;
  /** Environment of the engine's process. */
  readonly env: Readonly<Record<string, string>>;
  /** Values that must never be shown. */
  readonly secrets: readonly string[];
}

const PREFIX = 'Pulumi.';
const SUFFIX = '.yaml';
/** What the images are built by, and the template of review environments. */
const NO_ENVIRONMENTS: ReadonlySet<string> = new Set(['images', 'review']);

/** The names of the environments that a repository configures, sorted. */
export function environmentsOf(root: string): string[] {
  return readdirSync(root)
    .filter((file) => file.startsWith(PREFIX) && file.endsWith(SUFFIX) && file !== 'Pulumi.yaml')
    .map((file) => file.slice(PREFIX.length, -SUFFIX.length))
    .filter((name) => name !== '' && !NO_ENVIRONMENTS.has(name))
    .sort();
}

/**
 * @param root folder of the application's repository
 * @param stack name of the environment
 * @param configFile another file than `Pulumi.<stack>.yaml`, for a stack that is made from a template
 * @throws WorkflowError when the configuration, the backend or the passphrase is missing
 */
export async function readTarget(
  root: string,
  stack: string,
  { configFile, environment = process.env }: { configFile?: string; environment?: NodeJS.ProcessEnv } = {},
): Promise<Target> {
  const project = resolve(import.meta.dirname, '../..');
  const folder = resolve(root);
  const file = configFile ?? join(folder, `${PREFIX}${stack}${SUFFIX}`);
  if (!existsSync(file)) {
    const known = existsSync(folder) ? environmentsOf(folder) : [];
    throw new WorkflowError(
      `there is no environment "${stack}": ${file} does not exist`,
      known.length > 0
        ? `choose one of ${known.join(', ')}, or add ${PREFIX}${stack}${SUFFIX}`
        : `add ${PREFIX}${stack}${SUFFIX} to the application's repository (docs/configuration.md), or name its folder with --application`,
    );
  }
  needed(environment, 'PULUMI_BACKEND_URL', "the address of the stacks' state");
  const passphrase = readPassphrase(environment);
  const variables = parseDotenv(environment[VARIABLES] ?? '');
  for (const value of Object.values(variables)) mask(value);
  mask(passphrase);
  const { [VARIABLES]: _, GITHUB_TOKEN: __, ...rest } = environment;
  return {
    project,
    root: folder,
    stack,
    configFile: file,
    env: {
      ...defined(rest),
      ...variables,
      ...(await pulumiEnvironment(project, stack)),
      DEVELOPMENT_OPERATIONS_ROOT: folder,
    },
    secrets: [passphrase, ...Object.values(variables)].filter((value) => value.length >= 4),
  };
}

function readPassphrase(environment: NodeJS.ProcessEnv): string {
  const file = environment.PULUMI_CONFIG_PASSPHRASE_FILE;
  if (file) {
    if (existsSync(file)) return readFileSync(file, 'utf8').trim();
    throw new WorkflowError(
      `PULUMI_CONFIG_PASSPHRASE_FILE names ${file}, which does not exist`,
      'name a file that holds the passphrase',
    );
  }
  return needed(environment, 'PULUMI_CONFIG_PASSPHRASE', "the passphrase of the stack's secrets");
}

function defined(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
