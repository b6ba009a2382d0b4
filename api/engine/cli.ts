import { type ChildProcess, spawn } from 'node:child_process';

export interface CliResult {
  readonly code: number;
  /** Whether a signal ended it. */
  readonly killed: boolean;
  readonly stderr: string;
  readonly stdout: string;
}

export interface CliOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Longest output that is kept: an error says what matters at its end. */
const KEPT = 64 * 1024;
/** Time between the polite and the final end, in milliseconds: a provider call may run to its end. */
const GRACE = 10_000;

const running = new Set<ChildProcess>();

/** Ends every call at once: when the process that asked for them is gone. */
export function killAll(): void {
  for (const child of running) endGroup(child, 'SIGKILL');
}

/** One call of the Pulumi CLI in a process group of its own. */
export class Cli {
  readonly #child: ChildProcess;
  readonly #result: Promise<CliResult>;
  #ended = false;

  constructor(binary: string, args: readonly string[], { cwd, env }: CliOptions) {
    const child = spawn(binary, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#child = child;
    running.add(child);
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] = (output[name] + text).slice(-KEPT);
      });
    }
    this.#result = new Promise<CliResult>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code: code ?? 255, killed: code === null, ...output }));
    }).finally(() => {
      this.#ended = true;
      running.delete(child);
    });
    // Whoever waits for it is told; one that is started ahead may have nobody who waits yet.
    this.#result.catch(() => undefined);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Waits for the end. An abort interrupts it (the engine then finishes what it is at and saves), and after ten seconds
   * ends the whole group.
   *
   * @throws when it could not be started.
   */
  async end(signal: AbortSignal): Promise<CliResult> {
    let timer: NodeJS.Timeout | undefined;
    const abort = () => {
      endGroup(this.#child, 'SIGINT');
      timer = setTimeout(() => this.kill(), GRACE);
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    try {
      return await this.#result;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  kill(): void {
    endGroup(this.#child, 'SIGKILL');
  }
}

/** Runs the CLI to its end; see `Cli.end`. */
export async function runCli(
  binary: string,
  args: readonly string[],
  { signal, ...options }: CliOptions & { readonly signal: AbortSignal },
): Promise<CliResult> {
  return await new Cli(binary, args, options).end(signal);
}

function endGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It ended in between.
  }
}
