import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import lockfile from 'proper-lockfile';
import { runtimeDirectory } from './facts.ts';
import { isRunning, processStartTime } from './process.ts';
import { type Context, LocalError } from './service.ts';
import { describe, environmentProcesses } from './strays.ts';

/** Whose environment is on this machine: addresses, ports and interfaces are fixed, so there is one at a time. */
export interface Owner {
  /** The repository. */
  readonly path: string;
  /** The last `up`. */
  readonly pid: number;
  /** Of that process, see `processStartTime`. */
  readonly startTime?: string;
  readonly started: string;
  /** The clone whose dead environment is being removed; it was not yet when this is here. */
  readonly former?: string;
}

function ownerFile(runtime: string): string {
  return join(runtime, OWNER_FILE);
}

export const OWNER_FILE = 'owner.json';

export function readOwner(runtime: string = runtimeDirectory()): Owner | undefined {
  try {
    return JSON.parse(readFileSync(ownerFile(runtime), 'utf8')) as Owner;
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

/** What runs of an owner's environment; undefined when it is dead. */
export function activity(owner: Owner): string | undefined {
  const live = liveServices(owner.path);
  if (live.length > 0) return live.join(', ');
  // It has started nothing yet, but is about to.
  const working = owner.startTime !== undefined && processStartTime(owner.pid) === owner.startTime;
  return working ? `npm run up, pid ${owner.pid}` : undefined;
}

/**
 * Makes this clone the owner of the machine's environment.
 *
 * @returns the path of the former owner when its environment is dead: what it left behind is to be removed, and then
 *   `confirmOwnership` to be called
 * @throws LocalError naming the other clone and how to stop it while its environment is alive
 */
export async function takeOwnership(root: string, runtime: string = runtimeDirectory()): Promise<string | undefined> {
  mkdirSync(runtime, { recursive: true, mode: 0o755 });
  // Two clones may come at the same moment.
  const release = await lockfile.lock(runtime, {
    realpath: false,
    lockfilePath: join(runtime, 'owner.lock'),
    stale: 5000,
    retries: { retries: 100, factor: 1, minTimeout: 100, maxTimeout: 100 },
  });
  try {
    const owner = readOwner(runtime);
    const foreign = owner !== undefined && owner.path !== root;
    const live = foreign ? activity(owner) : undefined;
    if (foreign && live !== undefined) {
      throw new LocalError(
        `the local environment of ${owner.path} runs on this machine (since ${owner.started}: ${live}), ` +
          `and there can be one at a time; stop it: cd ${owner.path} && npm run down`,
      );
    }
    const former = foreign ? owner.path : owner?.former;
    writeOwner(root, runtime, former);
    return former;
  } finally {
    await release().catch(() => undefined);
  }
}

/** What the former owner left behind is removed. */
export function confirmOwnership(root: string, runtime: string = runtimeDirectory()): void {
  mkdirSync(runtime, { recursive: true, mode: 0o755 });
  writeOwner(root, runtime, undefined);
}

function writeOwner(root: string, runtime: string, former: string | undefined): void {
  const startTime = processStartTime(process.pid);
  const owner: Owner = { path: root, pid: process.pid, startTime, started: new Date().toISOString(), former };
  const temporary = `${ownerFile(runtime)}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify(owner, undefined, 2), { mode: 0o644 });
  renameSync(temporary, ownerFile(runtime));
}

/** Gives the machine up, when it is this clone's. */
export function releaseOwnership(root: string, runtime: string = runtimeDirectory()): void {
  if (readOwner(runtime)?.path === root) rmSync(ownerFile(runtime), { force: true });
}

/** Another clone's environment that is alive on this machine. */
export interface OtherEnvironment {
  readonly path: string;
  readonly live: string;
  /** How to end it. */
  readonly cure: string;
}

/**
 * The environment of another clone that is alive: shared interfaces, tables, sockets and containers are then its own.
 *
 * @param services names of all services
 */
export function otherEnvironment(root: string, services: ReadonlySet<string>): OtherEnvironment | undefined {
  const owner = readOwner();
  const live = owner === undefined || owner.path === root ? undefined : activity(owner);
  if (owner !== undefined && live !== undefined) {
    return { path: owner.path, live, cure: `cd ${owner.path} && npm run down` };
  }
  const processes = environmentProcesses(services).filter((found) => found.root !== root);
  const path = processes[0]?.root;
  if (path === undefined) return undefined;
  const own = processes.filter((found) => found.root === path);
  return { path, live: describe(own), cure: `kill ${own.map(({ pid }) => pid).join(' ')}` };
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
