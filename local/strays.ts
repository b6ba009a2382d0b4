import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { processStartTime, runningPid } from './process.ts';
import { LocalError } from './service.ts';

/** A process of a local environment, as the kernel knows it: run files may be gone. */
export interface EnvironmentProcess {
  readonly pid: number;
  /** The clone that started it; it need not exist any more. */
  readonly root: string;
  /** The service that it, or an ancestor, was started as. */
  readonly service: string;
  readonly startTime: string;
  /** Its log file was deleted, most likely with its data. */
  readonly deleted: boolean;
}

const LOG = /^(\/.+)\/\.local\/log\/([a-z0-9-]+)\.log( \(deleted\))?$/;

/**
 * Whose environment a process belongs to: `startProcess` sends what it prints to `.local/log/<service>.log`, and the
 * open file marks the process and its children as long as they live, also after the clone was deleted or moved.
 */
export function environmentOf(pid: number): EnvironmentProcess | undefined {
  try {
    // A pipe or a socket does not match.
    const match = LOG.exec(readlinkSync(`/proc/${pid}/fd/1`));
    const startTime = processStartTime(pid);
    if (match?.[1] === undefined || match[2] === undefined || startTime === undefined) return undefined;
    return { pid, root: match[1], service: match[2], startTime, deleted: match[3] !== undefined };
  } catch {
    // Ended, or another user's.
    return undefined;
  }
}

/**
 * Every process of this user's local environments, of this clone and of others. Empty where there is no /proc.
 *
 * @param services names that count: another program may write to a file in such a place, too
 */
export function environmentProcesses(services: ReadonlySet<string>): EnvironmentProcess[] {
  const ignored = new Set([process.pid, ...ancestors(process.pid)]);
  return processIds()
    .filter((pid) => !ignored.has(pid))
    .map(environmentOf)
    .filter((found) => found !== undefined)
    .filter((found) => services.has(found.service) && isOurs(found));
}

/**
 * Processes of one clone that cannot go on: none of its run files accounts for them (those were lost, or their parent
 * was killed), or their files were deleted under them.
 */
export function strays(root: string, services: ReadonlySet<string>): EnvironmentProcess[] {
  const directory = `${root}/.local`;
  const known = new Set([...services].flatMap((name) => runningPid({ directory }, name) ?? []));
  return environmentProcesses(services).filter(
    (found) =>
      found.root === root && (found.deleted || ![found.pid, ...ancestors(found.pid)].some((pid) => known.has(pid))),
  );
}

/**
 * Ends processes: each gets the time to write its data, then SIGKILL.
 *
 * @param list with the children that end with them
 * @param graceMs @default 20000
 * @throws LocalError naming those that do not end
 */
export async function endProcesses(list: readonly EnvironmentProcess[], graceMs = 20_000): Promise<void> {
  const alive = () => list.filter(({ pid, startTime }) => processStartTime(pid) === startTime);
  const asked = new Set<number>();
  const ask = () => {
    const left = alive();
    const pids = new Set(left.map(({ pid }) => pid));
    for (const { pid, service } of left) {
      // Children are ended by their parent, in its order; those that it left behind are asked after it.
      if (asked.has(pid) || pids.has(parentOf(pid) ?? 0)) continue;
      asked.add(pid);
      // PostgreSQL's fast shutdown.
      signal(pid, service === 'postgres' ? 'SIGINT' : 'SIGTERM');
    }
    return left;
  };
  if (await emptyWithin(ask, graceMs)) return;
  for (const { pid } of alive()) signal(pid, 'SIGKILL');
  if (await emptyWithin(alive, 10_000)) return;
  throw new LocalError(`these do not end: ${describe(alive())}; see what holds them: ps -o pid,stat,wchan,args`);
}

/** `etcd (pid 12), kubelet (pid 14)`: one entry for each service. */
export function describe(list: readonly EnvironmentProcess[]): string {
  const first = new Map<string, number>();
  for (const { pid, service } of list) if (!first.has(service)) first.set(service, pid);
  return [...first].map(([service, pid]) => `${service} (pid ${pid})`).join(', ');
}

async function emptyWithin(list: () => readonly unknown[], timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (list().length > 0) {
    if (Date.now() > deadline) return false;
    await sleep(50);
  }
  return true;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function processIds(): number[] {
  try {
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number);
  } catch {
    return [];
  }
}

function parentOf(pid: number): number | undefined {
  try {
    const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return parent === undefined || parent === '0' ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}

function ancestors(pid: number): number[] {
  const found: number[] = [];
  for (let next = parentOf(pid); next !== undefined && !found.includes(next); next = parentOf(next)) found.push(next);
  return found;
}

const UNPRIVILEGED: ReadonlySet<string> = new Set(['postgres', 'outer-nginx']);

/** Another user has an environment of their own. */
function isOurs({ pid, service }: EnvironmentProcess): boolean {
  try {
    const { uid } = statSync(`/proc/${pid}`);
    // As root these run as system users of their own; `useradd --system` takes numbers below 1000 (login.defs).
    return uid === process.getuid?.() || (process.getuid?.() === 0 && UNPRIVILEGED.has(service) && uid < 1000);
  } catch {
    // Ended meanwhile.
    return false;
  }
}
