import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { get } from '../kubernetes/request.ts';
import { runningPid, waitFor } from '../process.ts';
import { type Context, LocalError } from '../service.ts';
import type { SystemUser } from '../systemUser.ts';
import { type Instance, LISTEN_ADDRESS } from './facts.ts';
import { give, testConfiguration } from './nginx.ts';
import { NOT_DEPLOYED } from './placeholder.ts';

type RunContext = Pick<Context, 'directory'>;

export const CONFIGURATION_FILE = 'nginx.conf';
const CANDIDATE_FILE = 'candidate.conf';
/** An access log of this size is set aside, taking the place of the one before. */
const LOG_LIMIT = 10 * 1024 * 1024;

/** The first word of what `/healthz` answers while this text is live. */
function identity(text: string): string | undefined {
  return /return 200 "([^"\\]+)\\n";/.exec(text)?.[1];
}

/** What the running nginx says that it is. */
export async function liveIdentity({ httpPort }: Instance): Promise<string> {
  const { status, body } = await get(`http://${LISTEN_ADDRESS}:${httpPort}/healthz`);
  if (status !== 200) throw new LocalError(`/healthz answers ${status}`);
  return body.trim();
}

/** Whether the file holds a configuration that was generated for a deployment. */
export function isGenerated({ directory }: Instance): boolean {
  const path = join(directory, CONFIGURATION_FILE);
  return existsSync(path) && identity(readFileSync(path, 'utf8')) !== NOT_DEPLOYED;
}

/**
 * Puts a configuration in place of the present one, once nginx has found it valid, and has a running nginx read it:
 * connections go on, new ones follow the new configuration.
 *
 * @returns whether it was another one
 * @throws LocalError when it is not valid, or does not become live; the present one is then still used
 */
export async function install(ctx: RunContext, instance: Instance, user: SystemUser, text: string): Promise<boolean> {
  const path = join(instance.directory, CONFIGURATION_FILE);
  const expected = identity(text);
  if (expected === undefined) throw new LocalError(`${instance.name}: the configuration has no /healthz`);
  const former = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  const pid = runningPid(ctx, instance.name);
  const live = pid === undefined ? undefined : await liveIdentity(instance).catch(() => undefined);
  if (former === text && (pid === undefined || live === expected)) return false;
  const candidate = join(instance.directory, CANDIDATE_FILE);
  writeFileSync(candidate, text, { mode: 0o600 });
  give(candidate, user);
  try {
    await testConfiguration(instance, user, CANDIDATE_FILE);
    renameSync(candidate, path);
  } finally {
    rmSync(candidate, { force: true });
  }
  if (pid === undefined) return true;
  process.kill(pid, 'SIGHUP');
  // Workers of before still take connections for a moment: nginx ends them once the new ones have started.
  let seen = 0;
  const settled = async () => {
    seen = (await liveIdentity(instance)) === expected ? seen + 1 : 0;
    return seen >= 5;
  };
  try {
    await waitFor(settled, {
      timeoutMs: 10_000,
      what: `${instance.name}: the new configuration`,
      intervalMs: 50,
    });
  } catch (error) {
    // A port that is taken shows only now. nginx itself has gone on with what it had.
    if (former !== undefined) {
      writeFileSync(candidate, former, { mode: 0o600 });
      give(candidate, user);
      renameSync(candidate, path);
    }
    throw error;
  }
  return true;
}

/** Keeps the access log small. `SIGUSR1` has nginx open it anew (nginx documentation, "Controlling nginx"). */
export async function rotateLog(ctx: RunContext, instance: Instance): Promise<void> {
  const path = join(instance.directory, 'log', 'access.log');
  if (!existsSync(path) || statSync(path).size < LOG_LIMIT) return;
  renameSync(path, `${path}.1`);
  const pid = runningPid(ctx, instance.name);
  if (pid === undefined) return;
  process.kill(pid, 'SIGUSR1');
  await sleep(100);
}
