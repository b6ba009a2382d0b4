/** What the program makes of one configuration, without an engine: in a process that has no credential and no network. */

import { realpathSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { execa } from 'execa';
import { parse } from 'yaml';
import { bundledProgram } from '../../scripts/bundle.mjs';
import { WorkflowError } from '../failure.ts';
import type { GraphResource } from '../graph/model.ts';
import { assume } from './assumptions.ts';

export interface EvaluatedResource extends GraphResource {
  readonly name: string;
  readonly protect: boolean;
  /** As they were sent: secrets and unknown values with the engine's marks. */
  readonly inputs: Readonly<Record<string, unknown>>;
}

export interface Evaluation {
  readonly resources: readonly EvaluatedResource[];
  /** Names of the environment variables that the process had. */
  readonly variables: readonly string[];
}

type Answer = { readonly variables: string[] } & (
  | { readonly resources: EvaluatedResource[] }
  | { readonly error: string; readonly resources?: undefined }
);

const PROJECT = resolve(import.meta.dirname, '../..');
const TIMEOUT_MS = 300_000;

/**
 * Evaluates the environment that a folder configures.
 *
 * @param root folder with `Pulumi.<stack>.yaml` and the files that it names; files that are assumed are added to it
 * @param content hash of what images are built from
 * @throws WorkflowError with all that is wrong with the configuration
 */
export async function evaluate(root: string, stack: string, content: string): Promise<Evaluation> {
  const folder = realpathSync(root);
  const { variables, files, secretKeys, values } = assume(await configOf(folder, stack));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  // By its real path, which is below that of the modules: a link to them could not be read.
  const [file, version] = (await bundledProgram(PROJECT)).split('?');
  const program = `${pathToFileURL(realpathSync(fileURLToPath(file ?? ''))).href}?${version ?? ''}`;
  const request = { program, stack, values, secretKeys, content, root: folder };
  const { exitCode, stdout, stderr, timedOut } = await execa(
    process.execPath,
    limits(folder, realpathSync(join(PROJECT, 'node_modules'))),
    {
      cwd: folder,
      extendEnv: false,
      env: { ...variables, DEVELOPMENT_OPERATIONS_ROOT: folder, DEVELOPMENT_OPERATIONS_CONFINED: 'true' },
      input: JSON.stringify(request),
      reject: false,
      maxBuffer: 256 << 20,
      timeout: TIMEOUT_MS,
    },
  );
  const answer = answerOf(stdout);
  if (!answer) {
    const why = timedOut ? `no answer in ${TIMEOUT_MS / 1000} seconds` : stderr.trim().slice(-2000);
    throw new WorkflowError(
      `the configuration of "${stack}" cannot be evaluated (exit code ${exitCode ?? 'none'}): ${why}`,
      'run the same command where the configuration can be changed, and take back what was changed last',
    );
  }
  if (answer.resources === undefined) throw new WorkflowError(answer.error, 'mend the configuration');
  return { resources: answer.resources, variables: answer.variables };
}

/**
 * Node's permissions: no process, no thread, nothing written, and of files only the program and the configuration
 * (https://nodejs.org/api/permissions.html).
 */
function limits(folder: string, modules: string): string[] {
  const flag = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission';
  const readable = [folder, modules, import.meta.dirname].map((path) => `--allow-fs-read=${path}`);
  return [flag, '--no-warnings', ...readable, join(import.meta.dirname, 'child.mjs')];
}

async function configOf(folder: string, stack: string): Promise<Record<string, unknown>> {
  const file = `Pulumi.${stack}.yaml`;
  try {
    const { config } = (parse(await readFile(join(folder, file), 'utf8')) ?? {}) as { config?: unknown };
    if (config === undefined || config === null) return {};
    if (typeof config === 'object' && !Array.isArray(config)) return config as Record<string, unknown>;
    throw new Error('the key "config" is not a mapping');
  } catch (error) {
    throw new WorkflowError(
      `${file} cannot be read: ${(error as Error).message}`,
      'write valid YAML (docs/configuration.md)',
    );
  }
}

/** The last line; what the program prints comes before. */
function answerOf(stdout: string): Answer | undefined {
  try {
    return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Answer;
  } catch {
    return undefined;
  }
}
