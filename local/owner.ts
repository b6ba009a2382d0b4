import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import lockfile from 'proper-lockfile';
import { runtimeDirectory } from './facts.ts';
import { isRunning, processStartTime } from './process.ts';
import { type Context, LocalError } from './service.ts';

/** Whose environment is on this machine: addresses, ports and interfaces are fixed, so there is one at a time. */
interface Owner {
  /** The repository. */
  readonly path: string;
  /** The last `up`. */
  readonly pid: number;
  readonly started: string;
}

function ownerFile(): string {
  return join(runtimeDirectory(), 'owner.json');
}

export function readOwner(): Owner | undefined {
  try {
    return JSON.parse(readFileSync(ownerFile(), 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

/** Names of the services of a clone that have a live process. */
export function liveServices(root: string): string[] {
  const directory = join(root, '.local');
  const run = join(directory, 'run');
  if (!existsSync(run)) return [];
  return readdirSync(run)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .filter((name) => isRunning({ directory }, name));
}

/**
 * Makes this clone the owner of the machine's environment.
 *
 * @returns the former owner when its environment is dead: what it left behind is to be removed
 * @throws LocalError naming the other clone and how to stop it while its environment is alive
 */
export function takeOwnership(root: string): Owner | undefined {
  mkdirSync(runtimeDirectory(), { recursive: true, mode: 0o755 });
  const owner = readOwner();
  const foreign = owner !== undefined && owner.path !== root;
  if (foreign) {
    const live = liveServices(owner.path);
    if (live.length > 0) {
      throw new LocalError(
        `the local environment of ${owner.path} runs on this machine (since ${owner.started}: ${live.join(', ')}), ` +
          `and there can be one at a time; stop it: cd ${owner.path} && npm run down`,
      );
    }
  }
  const mine: Owner = { path: root, pid: process.pid, started: new Date().toISOString() };
  writeFileSync(ownerFile(), JSON.stringify(mine, undefined, 2), { mode: 0o644 });
  return foreign ? owner : undefined;
}

/** Gives the machine up, when it is this clone's. */
export function releaseOwnership(root: string): void {
  if (readOwner()?.path === root) rmSync(ownerFile(), { force: true });
}

/**
 * Runs `work` while no other command of this clone changes the environment; waits for one that does, saying whose it is.
 */
export async function withLock<T>(ctx: Context, command: string, work: () => Promise<T>): Promise<T> {
  const lock = join(ctx.directory, 'run', 'up.lock');
  const holderFile = join(ctx.directory, 'run', 'up.holder');
  mkdirSync(join(ctx.directory, 'run'), { recursive: true });
  const options = { realpath: false, lockfilePath: lock, stale: 15_000, update: 3000 };
  let release: () => Promise<void>;
  try {
    release = await lockfile.lock(ctx.directory, options);
  } catch {
    // A holder that was killed leaves its lock: it is taken over when it has not been touched for 15 seconds, at once
    // when its process is gone.
    const holder = readHolder(holderFile);
    if (holder !== undefined && processStartTime(holder.pid) !== holder.startTime) {
      rmSync(lock, { recursive: true, force: true });
    } else {
      ctx.progress.note(`waiting for "npm run ${holder?.command ?? 'up'}" (pid ${holder?.pid ?? 'unknown'}) to end`);
    }
    release = await lockfile.lock(ctx.directory, {
      ...options,
      retries: { forever: true, factor: 1, minTimeout: 500, maxTimeout: 500 },
    });
  }
  try {
    const holder: Holder = { pid: process.pid, startTime: processStartTime(process.pid) ?? '', command };
    writeFileSync(holderFile, JSON.stringify(holder));
    return await work();
  } finally {
    rmSync(holderFile, { force: true });
    await release().catch(() => undefined);
  }
}

interface Holder {
  readonly pid: number;
  readonly startTime: string;
  readonly command: string;
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}
