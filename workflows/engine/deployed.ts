/** An environment's state as its backend has it: what the last deployment left. Nothing is decrypted. */

import { WorkflowError } from '../failure.ts';
import { failureOf } from './failures.ts';
import { pulumi } from './run.ts';
import type { Target } from './target.ts';

export interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly id?: string;
  /** When it was made, or taken over, as RFC 3339; unknown for what older engines made. */
  readonly created?: string;
  readonly parent?: string;
  /** URNs by the input that takes something from them. */
  readonly propertyDependencies?: Readonly<Record<string, readonly string[] | null>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

export interface State {
  readonly resources: readonly StateResource[];
  /** Outputs of the stack; secret ones as the engine keeps them, encrypted. */
  readonly outputs: Readonly<Record<string, unknown>>;
  /** What the passphrase is checked against; undefined for other providers of secrets. */
  readonly salt: string | undefined;
  /** When it was written: another time is another state. */
  readonly time: string;
  /** Names of resources whose change has begun and not ended: a deployment is at work, or died. */
  readonly pending: readonly string[];
}

interface Export {
  readonly deployment?: {
    readonly manifest?: { readonly time?: string };
    readonly resources?: readonly StateResource[] | null;
    readonly pending_operations?: readonly { readonly resource: { readonly urn: string } }[] | null;
    readonly secrets_providers?: { readonly type?: string; readonly state?: { readonly salt?: string } } | null;
  };
}

/**
 * @returns undefined when the environment's stack is not in the backend: it was never deployed
 * @throws WorkflowError when the backend cannot be used
 */
export async function readState(target: Target): Promise<State | undefined> {
  const { exitCode, stdout, stderr } = await pulumi(target, ['stack', 'export'], { config: false });
  if (exitCode === 0) {
    const { deployment = {} } = JSON.parse(String(stdout)) as Export;
    const resources = deployment.resources ?? [];
    const stack = resources.find(({ type }) => type === 'pulumi:pulumi:Stack');
    const pending = deployment.pending_operations ?? [];
    return {
      resources,
      outputs: stack?.outputs ?? {},
      salt: deployment.secrets_providers?.state?.salt,
      time: deployment.manifest?.time ?? '',
      pending: pending.map(({ resource: { urn } }) => urn.split('::').at(-1) ?? urn),
    };
  }
  const text = String(stderr);
  if (/no stack named/i.test(text)) return undefined;
  const run = { exitCode: exitCode ?? 255, steps: [], counts: {}, errors: [text.trim()], warnings: [] };
  throw (
    failureOf(run, target) ??
    new WorkflowError(
      `the state of the environment "${target.stack}" cannot be read: ${text.trim()}`,
      'correct the address of the state (PULUMI_BACKEND_URL, the secret backend), or let this machine reach it',
    )
  );
}
