import { spawn } from 'node:child_process';

/**
 * Runs a command on this process's terminal and returns its exit code. Signals reach it: those of the terminal by
 * themselves, others are forwarded; this process stays until it has ended.
 */
export async function runOnTerminal(
  command: string,
  args: readonly string[],
  options: { readonly env: NodeJS.ProcessEnv; readonly cwd: string },
): Promise<number> {
  const child = spawn(command, [...args], { ...options, stdio: 'inherit' });
  const forward = (signal: NodeJS.Signals) => {
    // Ctrl-C reaches the whole process group: a second one would be "stop at once" to the Pulumi CLI.
    if (!(signal === 'SIGINT' && process.stdin.isTTY)) child.kill(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, forward);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
    });
  } finally {
    for (const signal of signals) process.off(signal, forward);
  }
}
