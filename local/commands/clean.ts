import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNodeOwner, runtimeDirectory } from '../facts.ts';
import { cleanLeftovers } from '../kubernetes/leftovers.ts';
import { unmountBelow } from '../mounts.ts';
import { OWNER_FILE, releaseOwnership, withLock } from '../owner.ts';
import { type Context, LocalError } from '../service.ts';
import { serviceNames, services } from '../services.ts';
import { endProcesses, environmentProcesses } from '../strays.ts';
import { stopEnvironment } from './down.ts';

/** Stops everything and removes `.local`, the interfaces, mounts and rules that belong to it. Keeps the toolchain. */
export async function clean(ctx: Context): Promise<void> {
  await withLock(ctx, 'clean', async () => {
    // While another clone's environment is alive only this clone's files are removed.
    if (await stopEnvironment(ctx)) {
      await removeOutside(ctx);
      releaseOwnership(ctx.root);
      await removeDirectory(runtimeDirectory());
    }
    await unmountBelow(ctx.directory);
  });
  await removeDirectory(ctx.directory);
}

/** Ends and removes what another clone's environment left on this machine. None of its services runs any more. */
export async function removeFormer(ctx: Context, path: string): Promise<void> {
  // Processes whose run files are gone: that clone was deleted under them, or moved to where this one is.
  await endProcesses(environmentProcesses(serviceNames()).filter(({ root }) => root === path || root === ctx.root));
  if (isNodeOwner()) await cleanLeftovers(path);
  for (const root of [path, ctx.root]) await unmountBelow(join(root, '.local'));
  await removeOutside(ctx);
}

/** What lives outside `.local`, but for the folder with the file that says whose environment is on this machine. */
async function removeOutside(ctx: Context): Promise<void> {
  const list = services().reverse();
  for (const service of list) await service.clean?.(ctx);
  // The user's own cluster was chosen after a node had been made.
  if (isNodeOwner() && !list.some(({ name }) => name === 'containerd')) await cleanLeftovers(ctx.root);
  const runtime = runtimeDirectory();
  await unmountBelow(runtime);
  if (!existsSync(runtime)) return;
  for (const entry of readdirSync(runtime)) {
    if (entry !== OWNER_FILE) rmSync(join(runtime, entry), { recursive: true, force: true });
  }
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
