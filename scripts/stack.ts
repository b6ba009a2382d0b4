/** Pulumi commands on a stack, for scripts and tests that need what the command printed. */

import { execa } from 'execa';
import { pulumiEnvironment } from '../local/pulumiEnvironment.ts';

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

/** Marks a special value in a state; this signature says "secret" (sdk/go/common/resource/sig). */
const SIGNATURE_KEY = '4dabf18193072939515e22adb298388d';
const SECRET_SIGNATURE = '1b47061264138c4ac30d75fd1eb44270';

/** A decrypted secret is an object around the JSON of its value: the value alone is of use here. */
function withoutMarks(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { [SIGNATURE_KEY]: signature, plaintext } = value as Record<string, unknown>;
  return signature === SECRET_SIGNATURE && typeof plaintext === 'string' ? JSON.parse(plaintext, withoutMarks) : value;
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
  const { deployment } = JSON.parse(stdout, withoutMarks) as { deployment: { resources?: StateResource[] } };
  return { resources: deployment.resources ?? [] };
}
