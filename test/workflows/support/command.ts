/** A flow as it is called on a laptop: `npm run -s workflow -- NAME …` without npm around it. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { repositoryRoot } from '../../../local/context.ts';

export interface CommandOptions {
  /** Secrets and the like; added to PATH, HOME and what leads to certificates, nothing else of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** @default 300000 */
  readonly timeoutMs?: number;
}

export interface CommandResult {
  readonly exitCode: number;
  /** Standard output and errors. */
  readonly output: string;
  /** What it writes to the page of a run. */
  readonly summary: string;
  /** Its outputs by name. */
  readonly outputs: Readonly<Record<string, string>>;
}

const PASSED_ON = /^(PATH|HOME|TMPDIR|LANG|XDG_CACHE_HOME|NODE_EXTRA_CA_CERTS|SSL_CERT_\w+|\w+_proxy)$/i;

/** Runs `workflow NAME …args` with files for outputs and the summary, as a step of GitHub Actions has them. */
export async function runCommand(
  name: string,
  args: readonly string[],
  { environment = {}, timeoutMs = 300_000 }: CommandOptions = {},
): Promise<CommandResult> {
  const directory = await mkdtemp(join(tmpdir(), 'command-'));
  try {
    const [outputs, summary] = [join(directory, 'outputs'), join(directory, 'summary')];
    await writeFile(outputs, '');
    await writeFile(summary, '');
    const passed = Object.entries(process.env).filter(([key]) => PASSED_ON.test(key));
    const { exitCode, all } = await execa(process.execPath, ['--import', 'tsx', 'scripts/workflow.ts', name, ...args], {
      cwd: repositoryRoot(),
      extendEnv: false,
      env: { ...Object.fromEntries(passed), GITHUB_OUTPUT: outputs, GITHUB_STEP_SUMMARY: summary, ...environment },
      all: true,
      reject: false,
      stdin: 'ignore',
      timeout: timeoutMs,
    });
    return {
      exitCode: exitCode ?? 1,
      output: all ?? '',
      summary: await readFile(summary, 'utf8'),
      outputs: parseOutputs(await readFile(outputs, 'utf8')),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** `name<<mark`, the value, `mark`. */
function parseOutputs(text: string): Record<string, string> {
  const found = text.matchAll(/^(\S+)<<(\S+)\n([\s\S]*?)\n?\2$/gm);
  return Object.fromEntries([...found].map(([, name, , value]) => [name, value]));
}
