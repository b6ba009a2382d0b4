import { type ChildProcess, spawn } from 'node:child_process';

export interface CliResult {
  readonly code: number;
  /** Whether a signal ended it. */
  readonly killed: boolean;
  readonly stderr: string;
  readonly stdout: string;
}

/** Longest output that is kept: an error says what matters at its end. */
const KEPT = 64 * 1024;
/** Time between the polite and the final end, in milliseconds: a provider call may run to its end. */
const GRACE = 10_000;

/**
 * One call of the Pulumi CLI in a process group of its own. An abort interrupts it (the engine then finishes what it is
 * at and saves), and after ten seconds ends the whole group.
 */
export async function runCli(
  binary: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv; readonly signal: AbortSignal },
): Promise<CliResult> {
  const child = spawn(binary, args, {
    cwd: options.cwd,
    env: options.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout = (stdout + text).slice(-KEPT);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-KEPT);
  });
  let timer: NodeJS.Timeout | undefined;
  const abort = () => {
    endGroup(child, 'SIGINT');
    timer = setTimeout(() => endGroup(child, 'SIGKILL'), GRACE);
  };
  if (options.signal.aborted) abort();
  else options.signal.addEventListener('abort', abort, { once: true });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    return { code: code ?? 255, killed: code === null, stdout, stderr };
  } finally {
    running.delete(child);
    clearTimeout(timer);
    options.signal.removeEventListener('abort', abort);
  }
}

const running = new Set<ChildProcess>();

/** Ends every call at once: when the process that asked for them is gone. */
export function killAll(): void {
  for (const child of running) endGroup(child, 'SIGKILL');
}

function endGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It ended in between.
  }
}
