import { readFileSync, realpathSync } from 'node:fs';
import { sep } from 'node:path';
import { run, tryRun } from '../run.ts';

/** Mount points at and below a folder, the last mounted first (proc(5), mountinfo: field 5, octal escapes). */
export function mountPoints(mountinfo: string, directory: string): string[] {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((path) => path.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8))))
    .filter((path) => path === directory || path.startsWith(`${directory}${sep}`))
    .reverse();
}

/** Unmounts everything at and below a folder, also what was mounted twice. */
export async function unmountBelow(directory: string): Promise<void> {
  const real = realPath(directory);
  for (const path of mountPoints(readFileSync('/proc/self/mountinfo', 'utf8'), real)) {
    // Lazily where a process that is just ending still holds it.
    if ((await tryRun('umount', [path])) === undefined) await run('umount', ['--lazy', path]);
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
