import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Step } from '../model.ts';
import { EngineEnded } from './engine.ts';
import type { FromRunner, RunMessage, RunResult, ToRunner } from './messages.ts';

/** After this time an aborted run is ended with its process, in milliseconds. */
const ABORT_LIMIT = 15_000;
/** A runner that has done so many runs is replaced: what the SDK or a plugin may leave behind must not add up. */
const MOST_RUNS = 150;
/** Pause before a runner that ended by itself is replaced, in milliseconds: one that cannot start must not spin. */
const PAUSE = 200;

export interface RunnersOptions {
  /** Module of the runner. */
  readonly file: URL;
  /** Folder for what the runners write; gone with them. */
  readonly folder: string;
  readonly size: number;
  readonly environment: NodeJS.ProcessEnv;
  /** @default 150 */
  readonly mostRuns?: number;
  readonly log?: { error(fields: object, text: string): void };
}

interface Runner {
  readonly process: ChildProcess;
  readonly ready: Promise<void>;
  /** Also until it is ready, and when it is worn, until it is gone. */
  busy: boolean;
  runs: number;
  /** Said by the runner itself. */
  spent: boolean;
}

/** The runner processes: as many as runs are allowed at once; one that ends is replaced. */
export class Runners {
  readonly #runners: Runner[] = [];
  readonly #waiting = new Set<(runner: Runner) => void>();
  #started = 0;
  #next = 1;
  #closed = false;

  constructor(private readonly options: RunnersOptions) {}

  /** @throws when a runner ends before it is ready. */
  async start(): Promise<void> {
    for (let count = 0; count < this.options.size; count += 1) this.#start();
    await Promise.all(this.#runners.map(({ ready }) => ready));
  }

  get connected(): number {
    return this.#runners.filter(({ process: child }) => child.connected).length;
  }

  /**
   * Has a free runner do it; waits for one.
   *
   * @throws the signal's reason while it waits; EngineEnded when the runner ends in the middle.
   */
  async run(message: Omit<RunMessage, 'type' | 'id'>, signal: AbortSignal, onStep?: (step: Step) => void) {
    const runner = await this.#take(signal);
    try {
      const result = await this.#ask(runner, { ...message, type: 'run', id: this.#next++ }, signal, onStep);
      this.#done(runner, result);
      return result;
    } catch (error) {
      runner.process.kill('SIGKILL');
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const ended = this.#runners.map(
      ({ process: child }) => new Promise<void>((resolve) => child.once('exit', () => resolve())),
    );
    for (const { process: child } of this.#runners) if (child.connected) child.disconnect();
    await Promise.all(ended);
  }

  #start(): void {
    const { file, environment, log } = this.options;
    const folder = join(this.options.folder, `runner-${this.#started++}`);
    const home = join(folder, 'home');
    mkdirSync(home, { recursive: true });
    // The CLI writes all that it does into a folder of this name, a tenth of its time; where it cannot, it does without.
    writeFileSync(join(home, 'logs'), '');
    const child = fork(file, {
      env: { ...environment, TMPDIR: folder, PULUMI_HOME: home },
      serialization: 'advanced',
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    const ready = new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('error', reject);
      child.once('exit', (code, signal) =>
        reject(new Error(`a runner ended with ${code ?? signal} before it was ready`)),
      );
    });
    const runner: Runner = { process: child, ready, busy: true, runs: 0, spent: false };
    this.#runners.push(runner);
    ready.then(
      () => this.#free(runner),
      () => undefined,
    );
    child.once('exit', () => {
      this.#runners.splice(this.#runners.indexOf(runner), 1);
      rm(folder, { recursive: true, force: true }).catch(() => undefined);
      if (this.#closed) return;
      if (this.#worn(runner)) {
        this.#start();
        return;
      }
      log?.error({ pid: child.pid }, 'a runner ended; another one is started');
      setTimeout(() => this.#closed || this.#start(), PAUSE).unref();
    });
  }

  #worn({ runs, spent }: Runner): boolean {
    return spent || runs >= (this.options.mostRuns ?? MOST_RUNS);
  }

  #done(runner: Runner, { spent }: RunResult): void {
    runner.runs += 1;
    runner.spent ||= spent;
    if (!runner.process.connected) return;
    // It stays busy until it is gone.
    if (this.#worn(runner)) runner.process.disconnect();
    else this.#free(runner);
  }

  #free(runner: Runner): void {
    runner.busy = false;
    const [waiting] = this.#waiting;
    if (!waiting) return;
    this.#waiting.delete(waiting);
    runner.busy = true;
    waiting(runner);
  }

  async #take(signal: AbortSignal): Promise<Runner> {
    signal.throwIfAborted();
    const free = this.#runners.find(({ busy, process: child }) => !busy && child.connected);
    if (free) {
      free.busy = true;
      return free;
    }
    return await new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting.delete(take);
        reject(signal.reason);
      };
      const take = (runner: Runner) => {
        signal.removeEventListener('abort', abort);
        resolve(runner);
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.add(take);
    });
  }

  async #ask(
    { process: child }: Runner,
    message: RunMessage,
    signal: AbortSignal,
    onStep?: (step: Step) => void,
  ): Promise<RunResult> {
    return await new Promise<RunResult>((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const onMessage = (answer: FromRunner) => {
        if (answer.type === 'ready' || answer.id !== message.id) return;
        if (answer.type === 'step') onStep?.(answer.step);
        else end(() => resolve(answer.result));
      };
      const onExit = () => end(() => reject(new EngineEnded('a runner ended in the middle of its work')));
      const tell = (text: ToRunner) => {
        // One that has gone is heard of by its exit.
        if (child.connected) child.send(text, () => undefined);
      };
      const onAbort = () => {
        // Another replica may begin at once: nothing of this run may go on. The runner's end ends its engine.
        if ((signal.reason as { why?: string } | undefined)?.why === 'lost') {
          if (child.connected) child.disconnect();
          return;
        }
        tell({ type: 'abort', id: message.id });
        timer = setTimeout(() => child.kill('SIGKILL'), ABORT_LIMIT);
      };
      const end = (settle: () => void) => {
        clearTimeout(timer);
        child.off('message', onMessage);
        child.off('exit', onExit);
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      child.on('message', onMessage);
      child.once('exit', onExit);
      tell(message);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
