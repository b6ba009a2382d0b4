/** One run of the engine on a target: what it prints goes on, scrubbed; what it did is read from its events. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { scrub, withoutSecrets } from '../../engineEvents/errorTexts.ts';
import { EventLog } from '../../engineEvents/eventLog.ts';
import type { Step, StepOperation } from '../../engineEvents/model.ts';
import { type EngineEvent, stepOf } from '../../engineEvents/steps.ts';
import { plannedStatements } from '../../plugins/postgresql/statements.ts';
import { failureOf } from './failures.ts';
import type { Target } from './target.ts';

/** `look` is a refresh that writes nothing down. */
export type EngineCommand = 'preview' | 'up' | 'look' | 'destroy';

export interface EngineOptions {
  /** Reads what is live before it is compared with the program's wishes. Default false. */
  readonly refresh?: boolean;
  /** Further arguments of the CLI; never a secret. */
  readonly args?: readonly string[];
  /** Told of each step that was made, as it is made. */
  readonly onStep?: (step: Step) => void;
  /** Told of every event of the engine, as it is read. Its values are not scrubbed. */
  readonly onEvent?: (event: EngineEvent) => void;
}

export interface EngineRun {
  readonly exitCode: number;
  /** What was planned or done, without what stays the same, in the engine's order. */
  readonly steps: readonly Step[];
  readonly counts: Readonly<Partial<Record<StepOperation, number>>>;
  /** Texts of errors, scrubbed; empty when the run succeeded. */
  readonly errors: readonly string[];
  /** Texts of warnings, scrubbed. */
  readonly warnings: readonly string[];
}

const COMMANDS: Readonly<Record<EngineCommand, readonly string[]>> = {
  preview: ['preview'],
  up: ['up', '--yes', '--skip-preview'],
  // With the program, so that clusters and servers are reached as the configuration says today.
  look: ['refresh', '--preview-only', '--run-program'],
  destroy: ['destroy', '--yes', '--skip-preview'],
};

/** How often the event log is looked at while the engine runs, in milliseconds. */
const TAIL = 200;

/** Texts of the engine that tell nothing about the environment. */
const UNIMPORTANT = /using pulumi-(resource|language)-\S+ from|new version of Pulumi|PULUMI_DEBUG_COMMANDS/;

/**
 * Runs one command of the engine.
 *
 * @throws WorkflowError with the cure when it could not be tried at all: no stack, a wrong passphrase, a cluster that does
 * not answer, a configuration that is not valid. A change that failed is returned, with its errors.
 */
export async function runEngine(
  target: Target,
  command: EngineCommand,
  options: EngineOptions = {},
): Promise<EngineRun> {
  const directory = await mkdtemp(join(tmpdir(), 'workflow-'));
  const log = join(directory, 'events.jsonl');
  const events = new Events(target.secrets, options.onStep);
  try {
    const refresh = options.refresh ? ['--refresh'] : [];
    const args = [
      ...COMMANDS[command],
      ...refresh,
      '--suppress-outputs',
      ...(options.args ?? []),
      `--event-log=${log}`,
    ];
    const reader = new EventLog(log, (event) => {
      events.take(event);
      options.onEvent?.(event);
    });
    const result = await reader.follow(TAIL, async () => await pulumi(target, args, { show: true }));
    const run = events.result(result.exitCode ?? 255, `${result.stderr}\n${result.stdout}`);
    const impossible = run.exitCode === 0 ? undefined : failureOf(run, target);
    if (impossible) throw impossible;
    return run;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * Any other command of the CLI on the target's stack.
 *
 * @param show whether its output is printed, scrubbed, as it comes. Default false.
 */
export function pulumi(target: Target, args: readonly string[], { show = false, config = true } = {}) {
  const stack = ['--stack', target.stack, '--non-interactive', '--color=never'];
  const file = config ? ['--config-file', target.configFile] : [];
  const line = function* (text: unknown) {
    yield withoutSecrets(String(text), target.secrets);
  };
  return execa('pulumi', [...args, ...stack, ...file], {
    cwd: target.project,
    // Without it the CLI knows no --event-log.
    env: { ...target.env, PULUMI_DEBUG_COMMANDS: 'true' },
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
    stdout: show ? [line, 'pipe', 'inherit'] : 'pipe',
    stderr: show ? [line, 'pipe', 'inherit'] : 'pipe',
  });
}

class Events {
  readonly #steps = new Map<string, Step>();
  readonly #errors: string[] = [];
  readonly #warnings: string[] = [];

  constructor(
    private readonly secrets: readonly string[],
    private readonly onStep: ((step: Step) => void) | undefined,
  ) {}

  take(event: EngineEvent): void {
    const metadata = event.resourcePreEvent?.metadata ?? event.resOutputsEvent?.metadata;
    const step = metadata && stepOf(metadata, plannedStatements);
    if (step) this.#take(step, event.resOutputsEvent !== undefined);
    const { diagnosticEvent } = event;
    if (!diagnosticEvent || diagnosticEvent.ephemeral) return;
    const name = diagnosticEvent.urn?.split('::').at(-1);
    const text = name ? `${name}: ${diagnosticEvent.message}` : diagnosticEvent.message;
    if (diagnosticEvent.severity === 'error') this.#errors.push(text);
    if (diagnosticEvent.severity === 'warning' && !UNIMPORTANT.test(text)) this.#warnings.push(text);
  }

  #take(step: Step, done: boolean): void {
    const known = this.#steps.get(step.urn);
    // A replacement is told in several events: its deletion is no step of its own.
    if (known?.operation === 'replace' && step.operation !== 'replace') return;
    // With a refresh the first event of a resource is what was read.
    this.#steps.set(step.urn, known && done && step.operation === known.operation ? known : step);
    if (done && step.operation !== 'same') this.onStep?.(this.#steps.get(step.urn) ?? step);
  }

  result(exitCode: number, output: string): EngineRun {
    const steps = [...this.#steps.values()].filter(({ operation }) => operation !== 'same' && operation !== 'read');
    const counts: Partial<Record<StepOperation, number>> = {};
    for (const { operation } of this.#steps.values()) counts[operation] = (counts[operation] ?? 0) + 1;
    const errors = scrub(this.#errors, this.secrets);
    if (exitCode !== 0 && errors.length === 0) errors.push(...scrub([output.trim().slice(-2000)], this.secrets));
    return {
      exitCode,
      steps,
      counts,
      errors: exitCode === 0 ? [] : errors,
      warnings: scrub(this.#warnings, this.secrets),
    };
  }
}
