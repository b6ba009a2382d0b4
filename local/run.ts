import { execa } from 'execa';
import { LocalError } from './service.ts';

export interface RunOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Written to standard input: the place for secrets. */
  readonly input?: string;
  /** @default 60000 */
  readonly timeoutMs?: number;
  /** Exit codes that are no error. @default [0] */
  readonly accept?: readonly number[];
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a command to its end and returns its output.
 *
 * @throws LocalError naming the command, how it ended and the last lines of its errors
 */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const result = await execa(command, [...args], {
    cwd: options.cwd,
    env: options.env,
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    timeout: options.timeoutMs ?? 60_000,
    reject: false,
  });
  const stdout = result.stdout ?? '';
  const stderr = result.stderr ?? '';
  if (result.exitCode !== undefined && (options.accept ?? [0]).includes(result.exitCode)) {
    return { exitCode: result.exitCode, stdout, stderr };
  }
  const how = result.timedOut
    ? `did not end in ${(options.timeoutMs ?? 60_000) / 1000} s`
    : result.exitCode === undefined
      ? `could not be run (${result.code ?? result.signal ?? 'unknown'})`
      : `failed with exit code ${result.exitCode}`;
  const lines = (stderr.trim() || stdout.trim()).split('\n').slice(-8).join('\n  ');
  throw new LocalError(`${[command, ...args].join(' ')} ${how}${lines === '' ? '' : `:\n  ${lines}`}`);
}

/** Like `run`, but any failure is `undefined`: for questions such as "is it there". */
export async function tryRun(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult | undefined> {
  try {
    return await run(command, args, options);
  } catch {
    return undefined;
  }
}
