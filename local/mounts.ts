import { readFileSync, realpathSync } from 'node:fs';
import { sep } from 'node:path';
import { isNodeOwner } from './facts.ts';
import { tryRun } from './run.ts';
import { LocalError } from './service.ts';

/** Mount points at and below a folder, the last mounted first (proc(5), mountinfo: field 5, octal escapes). */
export function mountPoints(mountinfo: string, directory: string): string[] {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((path) => path.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8))))
    .filter((path) => path === directory || path.startsWith(`${directory}${sep}`))
    .reverse();
}

/**
 * Unmounts everything at and below a folder, also what was mounted twice. Only root mounts anything.
 *
 * @throws LocalError naming what is still mounted
 */
export async function unmountBelow(directory: string): Promise<void> {
  if (!isNodeOwner()) return;
  const real = realPath(directory);
  const mounted = () => mountPoints(readFileSync('/proc/self/mountinfo', 'utf8'), real);
  // Shared mounts go together: the second of a pair is gone when its turn comes, which is no failure.
  for (const path of mounted()) {
    // Lazily where a process that is just ending still holds it.
    if ((await tryRun('umount', [path])) === undefined) await tryRun('umount', ['--lazy', path]);
  }
  const left = mounted();
  if (left.length > 0) throw new LocalError(`cannot be unmounted: ${left.join(', ')}; see: fuser -vm ${left[0]}`);
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
