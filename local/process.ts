import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Context, type Health, LocalError } from './service.ts';

/** What the functions here need of a context. */
export type ProcessContext = Pick<Context, 'directory'>;

export interface ProcessSpec {
  /** Names the run file and the log file. */
  readonly name: string;
  /** Absolute path, or a name on PATH. */
  readonly command: string;
  /** Seen by every user of the machine (`ps`): never a secret. */
  readonly args: readonly string[];
  /** The whole environment of the process. @default the environment of this process */
  readonly env?: NodeJS.ProcessEnv;
  /** @default `.local` */
  readonly cwd?: string;
}

interface RunFile {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat (proc(5)), in clock ticks since boot: tells a process from a later one of the same pid. */
  readonly startTime: string;
  /** /proc/sys/kernel/random/boot_id: start times repeat after a reboot. */
  readonly bootId: string;
}

export function runFilePath(ctx: ProcessContext, name: string): string {
  return join(ctx.directory, 'run', `${name}.json`);
}

export function logFilePath(ctx: ProcessContext, name: string): string {
  return join(ctx.directory, 'log', `${name}.log`);
}

export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** The start time of a live process in clock ticks since boot; undefined for one that is dead or a zombie. */
export function processStartTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command (field 2) is in parentheses and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** The pid of the service's process when it is alive, and still the process that was started. */
export function runningPid(ctx: ProcessContext, name: string): number | undefined {
  try {
    const run = JSON.parse(readFileSync(runFilePath(ctx, name), 'utf8')) as RunFile;
    return run.bootId === bootId() && processStartTime(run.pid) === run.startTime ? run.pid : undefined;
  } catch {
    return undefined;
  }
}

export function isRunning(ctx: ProcessContext, name: string): boolean {
  return runningPid(ctx, name) !== undefined;
}

/**
 * Starts a process that outlives this one: own session, output appended to `.local/log/<name>.log`, pid and start time
 * in `.local/run/<name>.json`. Does nothing when it is already running.
 *
 * @returns its pid
 * @throws LocalError when the command cannot be started
 */
export async function startProcess(ctx: ProcessContext, spec: ProcessSpec): Promise<number> {
  const existing = runningPid(ctx, spec.name);
  if (existing !== undefined) return existing;
  mkdirSync(join(ctx.directory, 'run'), { recursive: true });
  mkdirSync(join(ctx.directory, 'log'), { recursive: true, mode: 0o700 });
  const log = openSync(logFilePath(ctx, spec.name), 'a', 0o600);
  try {
    const child = spawn(spec.command, [...spec.args], {
      detached: true,
      stdio: ['ignore', log, log],
      env: spec.env ?? process.env,
      cwd: spec.cwd ?? ctx.directory,
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) =>
        reject(new LocalError(`${spec.name} cannot be started: ${spec.command}: ${error.message}`, { cause: error })),
      );
    });
    child.unref();
    const pid = child.pid as number;
    // A process that ended at once has no start time any more: the run file then never matches.
    writeAtomically(
      runFilePath(ctx, spec.name),
      JSON.stringify({ pid, startTime: processStartTime(pid) ?? 'ended', bootId: bootId() } satisfies RunFile),
    );
    return pid;
  } finally {
    closeSync(log);
  }
}

function writeAtomically(path: string, text: string): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, path);
}

/**
 * Ends a service's process: SIGTERM (or `signal`), then SIGKILL to its session's process group after `timeoutMs`.
 * Returns when it is gone; does nothing when it is not running.
 */
export async function stopProcess(
  ctx: ProcessContext,
  name: string,
  timeoutMs = 20_000,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<void> {
  const pid = runningPid(ctx, name);
  if (pid !== undefined) {
    kill(pid, signal);
    if (!(await gone(ctx, name, timeoutMs))) {
      kill(-pid, 'SIGKILL');
      kill(pid, 'SIGKILL');
      if (!(await gone(ctx, name, 10_000))) {
        throw new LocalError(`${name} (pid ${pid}) does not end, even by SIGKILL; see ${logFilePath(ctx, name)}`);
      }
    }
  }
  rmSync(runFilePath(ctx, name), { force: true });
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function gone(ctx: ProcessContext, name: string, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isRunning(ctx, name)) {
    if (Date.now() > deadline) return false;
    await sleep(50);
  }
  return true;
}

export interface WaitOptions {
  readonly timeoutMs: number;
  /** What is waited for, e.g. `postgres`. */
  readonly what: string;
  /** Its last lines are part of the error. */
  readonly logFile?: string;
  /** @default 200 */
  readonly intervalMs?: number;
  /** False ends the wait at once: the process has died. */
  readonly alive?: () => boolean;
}

/**
 * Polls until `check` is healthy.
 *
 * @throws LocalError after `timeoutMs`, or when `alive` says that the process has ended
 */
export async function waitFor(check: () => Promise<Health | boolean>, options: WaitOptions): Promise<void> {
  const deadline = Date.now() + options.timeoutMs;
  let detail = '';
  for (;;) {
    try {
      const result = await check();
      if (typeof result === 'boolean' ? result : result.healthy) return;
      if (typeof result !== 'boolean') detail = result.detail;
    } catch (error) {
      detail = error instanceof Error ? error.message : String(error);
    }
    const dead = options.alive !== undefined && !options.alive();
    if (dead || Date.now() > deadline) {
      const how = dead ? 'ended while it was starting' : `was not ready in ${Math.round(options.timeoutMs / 1000)} s`;
      const log =
        options.logFile === undefined ? '' : `\nlast lines of ${options.logFile}:\n${await tail(options.logFile, 8)}`;
      throw new LocalError(`${options.what} ${how}${detail ? `: ${detail}` : ''}${log}`);
    }
    await sleep(options.intervalMs ?? 200);
  }
}

/** The last lines of a file, indented; reads 8 KiB at most. */
export async function tail(path: string, lines: number): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const length = Math.min(size, 8192);
      const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
      const all = buffer.toString('utf8').trimEnd().split('\n');
      return all
        .slice(-lines)
        .map((line) => `  ${line}`)
        .join('\n');
    } finally {
      await file.close();
    }
  } catch {
    return '  (nothing was logged)';
  }
}
