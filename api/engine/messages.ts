import type { TenantArguments } from '../../stacks/database.ts';
import type { Credentials, Step } from '../model.ts';

export type Command = 'preview' | 'up' | 'preview-destroy' | 'destroy' | 'recover';

/** What the runner is asked for: one run of the engine. */
export interface RunMessage {
  readonly type: 'run';
  readonly id: number;
  readonly command: Command;
  readonly stack: string;
  /** Whether the live state is read before the program's wishes are compared with it. */
  readonly refresh: boolean;
  readonly program: TenantArguments;
  /** For `recover`: what a dead run had begun to make; `id` where it can be looked up by its name. */
  readonly pending: readonly { readonly urn: string; readonly id: string | null }[];
}

export interface AbortMessage {
  readonly type: 'abort';
  readonly id: number;
}

export type ToRunner = RunMessage | AbortMessage;

export interface RunResult {
  readonly steps: readonly Step[];
  readonly credentials: Credentials;
  /** Texts of errors, scrubbed; empty when the run succeeded. */
  readonly errors: readonly string[];
  readonly aborted: boolean;
  /** Whether the CLI was ended by a signal that this service did not send. */
  readonly killed: boolean;
  /** Whether the runner must not run another program. */
  readonly spent: boolean;
}

export type FromRunner =
  | { readonly type: 'ready' }
  | { readonly type: 'step'; readonly id: number; readonly step: Step }
  | { readonly type: 'result'; readonly id: number; readonly result: RunResult };
