import { existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, join, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNodeOwner, runtimeDirectory } from '../facts.ts';
import { liveServices, readOwner, releaseOwnership, withLock } from '../owner.ts';
import { run } from '../run.ts';
import { type Context, LocalError } from '../service.ts';
import { services, stopAll } from '../services.ts';

/** Stops everything and removes `.local`, the interfaces, mounts and rules that belong to it. Keeps the toolchain. */
export async function clean(ctx: Context): Promise<void> {
  await withLock(ctx, 'clean', async () => {
    await stopAll(ctx, services());
    const owner = readOwner();
    // Another clone's environment uses the same interfaces: only this clone's files are removed then.
    const foreign = owner !== undefined && owner.path !== ctx.root && liveServices(owner.path).length > 0;
    if (!foreign) await removeOutside(ctx);
    await unmountBelow(ctx.directory);
  });
  await removeDirectory(ctx.directory);
  releaseOwnership(ctx.root);
}

/** What lives outside `.local`. */
export async function removeOutside(ctx: Context): Promise<void> {
  for (const service of services().reverse()) await service.clean?.(ctx);
  const runtime = runtimeDirectory();
  await unmountBelow(runtime);
  await removeDirectory(runtime);
}

/** Mount points below a folder, the deepest first (proc(5), mountinfo: field 5, octal escapes). */
export function mountsBelow(directory: string, mountinfo: string): string[] {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((path) => path.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8))))
    .filter((path) => path === directory || path.startsWith(`${directory}${sep}`))
    .sort((a, b) => b.length - a.length);
}

async function unmountBelow(directory: string): Promise<void> {
  if (!isNodeOwner()) return;
  const mounts = () => mountsBelow(directory, readFileSync('/proc/self/mountinfo', 'utf8'));
  for (const path of mounts()) await run('umount', ['--lazy', path]);
  const left = mounts();
  if (left.length > 0) throw new LocalError(`still mounted: ${left.join(', ')}`);
}

/** Only folders that this project makes: a wrong path here would remove somebody's files. */
async function removeDirectory(path: string): Promise<void> {
  if (basename(path) !== '.local' && path !== runtimeDirectory()) throw new Error(`${path} is not the environment's`);
  for (let attempt = 0; existsSync(path); attempt++) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch (error) {
      // Mounts that were detached lazily, and logs of processes that are just ending.
      if (attempt === 10) throw error;
      await sleep(200);
    }
  }
  if (existsSync(join(path, '.'))) throw new LocalError(`${path} could not be removed`);
}
