import type { EngineEvent } from '../../engineEvents/steps.ts';
import { type CallSettings, EngineCall, type Target } from './call.ts';
import type { CliResult } from './cli.ts';
import type { Command } from './messages.ts';
import type { Program } from './program.ts';

type ProgramCommand = Exclude<Command, 'recover'>;

const COMMANDS: Readonly<Record<ProgramCommand, readonly string[]>> = {
  preview: ['preview'],
  up: ['up', '--yes', '--skip-preview'],
  'preview-destroy': ['destroy', '--preview-only', '--run-program=true'],
  destroy: ['destroy', '--yes', '--skip-preview', '--remove', '--run-program=true'],
};

export interface Call extends Target {
  readonly command: ProgramCommand;
}

/**
 * The engines of one runner. One for the next `up` is always started ahead and waits for the name of its stack: to load
 * the CLI and to connect it to its state is a third of a run's time.
 */
export class Engines {
  #next: EngineCall | undefined;
  #closed = false;
  #spent = false;

  constructor(private readonly settings: CallSettings) {}

  /** Whether a program goes on whose engine is gone. */
  get spent(): boolean {
    return this.#spent;
  }

  /** Starts the engine for the next `up`, unless there is one. */
  prepare(): void {
    if (this.#closed || this.#spent) return;
    this.#next ??= new EngineCall(this.settings, COMMANDS.up);
  }

  async run(
    { command, ...target }: Call,
    program: Program,
    signal: AbortSignal,
    onEvent: (event: EngineEvent) => void,
  ): Promise<CliResult> {
    const use = async (call: EngineCall) => {
      try {
        return await call.run(target, program, signal, onEvent);
      } finally {
        if (!(await call.close())) this.#spent = true;
      }
    };
    const waiting = command === 'up' ? this.#next : undefined;
    if (waiting) this.#next = undefined;
    const result =
      // It may have died while it waited.
      (waiting && (await use(waiting))) ?? (await use(new EngineCall(this.settings, COMMANDS[command], target)));
    if (!result) throw new Error('the engine ended before it began');
    return result;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#next?.close();
  }
}
