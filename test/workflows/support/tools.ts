/** The programs that the tests of the workflows run; fetched at the first call and kept in the project's cache. */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createContext } from '../../../local/context.ts';
import { run } from '../../../local/run.ts';
import { LocalError } from '../../../local/service.ts';
import { which } from '../../../local/toolchain/machine.ts';
import { cacheDirectory } from '../../../local/toolchain.ts';

const context = createContext();
const REQUIREMENTS = join(import.meta.dirname, 'requirements.txt');

/** act (https://nektosact.com), which runs workflows on this machine: its absolute path. */
export const act = (): Promise<string> => context.tool('act');

/** actionlint (https://github.com/rhysd/actionlint), which checks workflows: its absolute path. */
export const actionlint = (): Promise<string> => context.tool('actionlint');

/**
 * zizmor (https://docs.zizmor.sh), which looks for weaknesses in workflows: its absolute path, in a virtual environment
 * of the project's cache in the version of `requirements.txt`.
 *
 * @throws LocalError when Python is missing, or with pip's message
 */
export async function zizmor(): Promise<string> {
  const version = /^zizmor==(\S+)$/m.exec(readFileSync(REQUIREMENTS, 'utf8'))?.[1];
  if (version === undefined) throw new LocalError(`${REQUIREMENTS} pins no version: write "zizmor==VERSION" into it`);
  const directory = join(cacheDirectory(), 'zizmor', version);
  const program = join(directory, 'bin', 'zizmor');
  const done = join(directory, 'installed');
  if (existsSync(done)) return program;
  if (which('python3') === undefined) {
    throw new LocalError(
      'zizmor, which checks the workflows, needs python3, and it is not on PATH: apt-get install python3-venv',
    );
  }
  // The scripts of a virtual environment name its place: it is made where it stays.
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  await run('python3', ['-m', 'venv', directory], { timeoutMs: 180_000 });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:'];
  await run(join(directory, 'bin', 'python'), [...pip, '-r', REQUIREMENTS], { timeoutMs: 600_000 });
  writeFileSync(done, '');
  return program;
}
