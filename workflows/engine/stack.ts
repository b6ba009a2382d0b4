/** An environment's stack, ready for the engine: the application's checkout is never written to. */

import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { WorkflowError } from '../failure.ts';
import { readState, type State } from './deployed.ts';
import { failureOf } from './failures.ts';
import { pulumi } from './run.ts';
import type { Target } from './target.ts';

export interface Stack {
  /** With a copy of the configuration that the CLI may write to. */
  readonly target: Target;
  /** What was deployed; undefined for an environment that was never deployed. */
  readonly state: State | undefined;
}

export type Absent =
  /** Made in the backend. */
  | 'create'
  /** Made in a folder that is removed with the copy: a preview of it shows everything as to be created. */
  | 'pretend'
  /** WorkflowError. */
  | 'refuse';

/**
 * Does `work` with the environment's stack.
 *
 * @param absent what happens when it is not in the backend
 */
export async function withStack<T>(target: Target, absent: Absent, work: (stack: Stack) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'stack-'));
  try {
    const configFile = join(directory, `Pulumi.${target.stack}.yaml`);
    await copyFile(target.configFile, configFile);
    const state = await readState(target);
    const copied = { ...target, configFile };
    if (state !== undefined) {
      await addSalt(configFile, state);
      return await work({ target: copied, state });
    }
    if (absent === 'refuse') {
      throw new WorkflowError(
        `the environment "${target.stack}" was never deployed: its state is not in the backend`,
        'deploy it first, or correct the address of the state (PULUMI_BACKEND_URL, the secret backend)',
      );
    }
    const own = absent === 'create' ? copied : await pretended(copied, directory);
    await initialise(own, directory);
    return await work({ target: own, state: undefined });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Without the salt of its state, the CLI would make another one each time, and write all secrets anew. */
async function addSalt(configFile: string, { salt }: State): Promise<void> {
  const text = await readFile(configFile, 'utf8');
  const known = (parse(text) as { encryptionsalt?: string } | null)?.encryptionsalt;
  if (known !== undefined || salt === undefined) return;
  await writeFile(configFile, `${text.trimEnd()}\nencryptionsalt: ${salt}\n`);
}

async function pretended(target: Target, directory: string): Promise<Target> {
  const state = join(directory, 'state');
  await mkdir(state);
  return { ...target, env: { ...target.env, PULUMI_BACKEND_URL: `file://${state}` } };
}

/** In a project of the same name, into whose folder the CLI may write the salt. */
async function initialise(target: Target, directory: string): Promise<void> {
  await copyFile(join(target.project, 'Pulumi.yaml'), join(directory, 'Pulumi.yaml'));
  const args = ['stack', 'init', '--no-select', '--secrets-provider', 'passphrase'];
  const { exitCode, stderr } = await pulumi({ ...target, project: directory }, args, { config: false });
  if (exitCode === 0) return;
  const text = String(stderr).trim();
  const run = { exitCode: exitCode ?? 255, steps: [], counts: {}, errors: [text], warnings: [] };
  throw (
    failureOf(run, target) ??
    new WorkflowError(
      `the stack of the environment "${target.stack}" cannot be made: ${text}`,
      'correct the address of the state (PULUMI_BACKEND_URL, the secret backend), or let this machine write to it',
    )
  );
}
