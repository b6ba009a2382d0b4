import { liveServices, otherEnvironment, withLock } from '../owner.ts';
import { stopProcess } from '../process.ts';
import type { Context } from '../service.ts';
import { serviceNames, services, stopAll } from '../services.ts';
import { endProcesses, strays } from '../strays.ts';

/** Stops everything; data stays. */
export async function down(ctx: Context): Promise<void> {
  await withLock(ctx, 'down', () => stopEnvironment(ctx));
}

/**
 * Stops this clone's environment. While another clone's is alive nothing that both would use is touched.
 *
 * @returns whether nothing on this machine is another clone's
 */
export async function stopEnvironment(ctx: Context): Promise<boolean> {
  const other = otherEnvironment(ctx.root, serviceNames());
  if (other !== undefined) {
    ctx.progress.note(
      `the environment of ${other.path} on this machine is left alone (${other.live}); to stop it: ${other.cure}`,
    );
    for (const name of liveServices(ctx.root)) await stopProcess(ctx, name);
    return false;
  }
  await stopAll(ctx, services());
  await endProcesses(strays(ctx.root, serviceNames()));
  return true;
}
