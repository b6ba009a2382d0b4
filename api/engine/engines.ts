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
    { command, stack, refresh }: Call,
    program: Program,
    signal: AbortSignal,
    onEvent: (event: EngineEvent) => void,
  ): Promise<CliResult> {
    if (command === 'up') {
      const result = await this.#runPrepared({ stack, refresh }, program, signal, onEvent);
      if (result) return result;
    }
    const call = new EngineCall(this.settings, COMMANDS[command], { stack, refresh });
    try {
      const result = await call.run({ stack, refresh }, program, signal, onEvent);
      if (!result) throw new Error('the engine ended before it began');
      return result;
    } finally {
      await this.#close(call);
    }
  }

  /** @returns undefined when there is none, or it has died while it waited. */
  async #runPrepared(
    target: Target,
    program: Program,
    signal: AbortSignal,
    onEvent: (event: EngineEvent) => void,
  ): Promise<CliResult | undefined> {
    const call = this.#next;
    this.#next = undefined;
    try {
      return await call?.run(target, program, signal, onEvent);
    } finally {
      if (call) await this.#close(call);
    }
  }

  async #close(call: EngineCall): Promise<void> {
    if (!(await call.close())) this.#spent = true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#next?.close();
  }
}
