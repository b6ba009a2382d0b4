import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { LocalError } from './service.ts';
import { environmentOf } from './strays.ts';

export interface PortOwner {
  /** 0 when the process cannot be seen (another user's, without root). */
  readonly pid: number;
  readonly command: string;
}

/** The process that listens on a TCP port of any local address; undefined when nothing does. */
export function portOwner(port: number): PortOwner | undefined {
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    let lines: string[];
    try {
      lines = readFileSync(table, 'utf8').split('\n').slice(1);
    } catch {
      continue;
    }
    for (const line of lines) {
      const fields = line.trim().split(/\s+/);
      const local = fields[1]?.split(':')[1];
      // 0A is TCP_LISTEN (include/net/tcp_states.h).
      if (fields[3] === '0A' && local !== undefined && Number.parseInt(local, 16) === port) inodes.add(fields[9] ?? '');
    }
  }
  if (inodes.size === 0) return undefined;
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      for (const fd of readdirSync(`/proc/${entry}/fd`)) {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${entry}/fd/${fd}`))?.[1];
        if (inode !== undefined && inodes.has(inode)) {
          return { pid: Number(entry), command: readFileSync(`/proc/${entry}/comm`, 'utf8').trim() };
        }
      }
    } catch {
      // Ended meanwhile, or another user's.
    }
  }
  return { pid: 0, command: 'a process of another user' };
}

/**
 * Fails when a port that a service is about to listen on is taken.
 *
 * @param cure what to do beside stopping the other process, e.g. `or set …`
 */
export function assertPortFree(port: number, service: string, cure?: string): void {
  const owner = portOwner(port);
  if (owner === undefined) return;
  const who = owner.pid === 0 ? owner.command : `pid ${owner.pid} (${owner.command})`;
  const whose = environmentOf(owner.pid);
  const environment = whose === undefined ? '' : ` of the local environment in ${whose.root}`;
  throw new LocalError(
    `port ${port} (${service}) is taken by ${who}${environment}; stop it${cure ? `, ${cure}` : ''} and run it again`,
  );
}
