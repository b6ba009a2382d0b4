import { readFileSync } from 'node:fs';
import { isNodeOwner } from './facts.ts';
import { program } from './requirements.ts';
import { run, tryRun } from './run.ts';

export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** As root: a system user of this name without a home or a shell, made when it is missing. Otherwise the present user. */
export async function ensureSystemUser(name: string): Promise<SystemUser> {
  if (!isNodeOwner()) return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const existing = lookUp(name);
  if (existing !== undefined) return existing;
  const options = ['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent'];
  await run(program('useradd'), [...options, '--shell', '/usr/sbin/nologin', name]);
  const made = lookUp(name);
  if (made === undefined) throw new Error(`useradd made no user ${name}`);
  return made;
}

export async function removeSystemUser(name: string): Promise<void> {
  if (isNodeOwner() && lookUp(name) !== undefined) await tryRun('userdel', [name]);
}

function lookUp(name: string): SystemUser | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const fields = line?.split(':');
  return fields === undefined ? undefined : { uid: Number(fields[2]), gid: Number(fields[3]) };
}
