/** Pulumi commands on a stack, for scripts and tests that need what the command printed. */

import { execa } from 'execa';
import { pulumiEnvironment } from './environment.ts';

/** One resource of an exported state, as far as it is read here. */
export interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly custom?: boolean;
  readonly parent?: string;
  readonly provider?: string;
  readonly dependencies?: readonly string[];
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
  readonly id?: string;
}

export interface StackState {
  readonly resources: readonly StateResource[];
}

/**
 * Exports a stack's state.
 *
 * @param secrets whether secrets are decrypted; they then exist in this process's memory only. Default false.
 * @throws when the stack does not exist, with the CLI's message
 */
export async function exportStack(root: string, stack: string, secrets = false): Promise<StackState> {
  const args = ['stack', 'export', '--stack', stack, ...(secrets ? ['--show-secrets'] : [])];
  const { stdout } = await execa('pulumi', args, { cwd: root, env: await pulumiEnvironment(root, stack) });
  const { deployment } = JSON.parse(stdout) as { deployment: { resources?: StateResource[] } };
  return { resources: deployment.resources ?? [] };
}
