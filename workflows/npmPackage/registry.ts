/** Questions to a registry, and what its refusals mean. */

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT, WorkflowError } from '../failure.ts';
import { type NpmResult, npm, TOKEN_VARIABLE } from './npm.ts';

export interface RegistryAccess {
  readonly url: string;
  /** From `withRegistry`. */
  readonly userconfig: string;
}

const UNREACHABLE =
  /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ERR_SOCKET_TIMEOUT|EHOSTUNREACH|ENETUNREACH|CERT_\w+|DEPTH_\w+|UNABLE_\w+|SELF_\w+|E5\d\d|FETCH_ERROR)$/;

/** npm's own code of what went wrong (`E404`), from its JSON or its messages. */
export function codeOf({ stdout, stderr }: Pick<NpmResult, 'stdout' | 'stderr'>): string {
  return /"code":\s*"(\w+)"/.exec(stdout)?.[1] ?? /npm (?:error|ERR!) code (\w+)/.exec(stderr)?.[1] ?? '';
}

/** The refusal with its cure. `doing`: "publish @example/client". */
export function refusal(doing: string, { url }: RegistryAccess, result: NpmResult): WorkflowError {
  const code = codeOf(result);
  const said = lastLines(result);
  const text = `cannot ${doing}: the registry ${url}`;
  if (UNREACHABLE.test(code)) {
    return new WorkflowError(
      `${text} cannot be reached (${code})`,
      'see whether it runs and whether this machine may reach it; the input registry names it',
    );
  }
  if (code === 'E401' || code === 'ENEEDAUTH') {
    return new WorkflowError(
      `${text} does not take the token (${code}): ${said}`,
      `hand over a token that is valid (${TOKEN_VARIABLE}; in a workflow the secret publish-token or install-token)`,
    );
  }
  if (code === 'E403' || code === 'E404') {
    return new WorkflowError(
      `${text} says that this token may not do it (${code}): ${said}`,
      'give the token the right: on GitHub "packages: write" for the job, and under the package\'s settings ' +
        '"Manage Actions access" the repository with the role Write',
    );
  }
  return new WorkflowError(
    `${text} refuses it (${code || `exit code ${result.exitCode}`}): ${said}`,
    'see above',
    EXIT.refused,
  );
}

function lastLines({ stdout, stderr }: NpmResult): string {
  const lines = (stderr.trim() || stdout.trim()).split('\n').map((line) => line.replace(/^npm (error|ERR!) ?/, ''));
  return lines
    .filter((line) => line !== '' && !/^code |A complete log of this run/.test(line))
    .slice(0, 3)
    .join(' ');
}

/**
 * Whether a version is published.
 *
 * @throws WorkflowError when the registry does not answer or does not let the token read
 */
export async function isPublished(access: RegistryAccess, name: string, version: string): Promise<boolean> {
  const args = ['view', `${name}@${version}`, 'version', '--json', '--prefer-online', `--registry=${access.url}`];
  const result = await npm(args, { cwd: tmpdir(), userconfig: access.userconfig });
  // Without that version npm prints nothing, or (since 11) E404; without the package it is E404.
  if (result.exitCode === 0) return result.stdout.trim() !== '';
  if (codeOf(result) === 'E404') return false;
  throw refusal(`read ${name}`, access, result);
}

/** Downloads a version, and does `work` with the file. */
export async function withPublished<T>(
  access: RegistryAccess,
  name: string,
  version: string,
  work: (file: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'published-'));
  try {
    const args = ['pack', `${name}@${version}`, '--prefer-online', `--registry=${access.url}`];
    const result = await npm([...args, `--pack-destination=${directory}`], {
      cwd: directory,
      userconfig: access.userconfig,
    });
    const [file] = (await readdir(directory)).filter((entry) => entry.endsWith('.tgz'));
    if (result.exitCode !== 0 || file === undefined) throw refusal(`read ${name}@${version}`, access, result);
    return await work(join(directory, file));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
