import { mkdirSync } from 'node:fs';
import { takeOwnership, withLock } from '../owner.ts';
import { ensureRequirements } from '../requirements.ts';
import type { Context } from '../service.ts';
import { services, startAll } from '../services.ts';
import { removeOutside } from './clean.ts';
import { collectStatus, statusTable } from './status.ts';

export interface UpOptions {
  /** Stops before the Pulumi program. */
  readonly servicesOnly: boolean;
}

/** Brings the environment up, heals what was killed, and deploys the `local` stack. */
export async function up(ctx: Context, options: UpOptions): Promise<void> {
  await withLock(ctx, 'up', async () => {
    const former = takeOwnership(ctx.root);
    if (former !== undefined) {
      ctx.progress.note(`removing what the environment of ${former.path} left behind`);
      await removeOutside(ctx);
      takeOwnership(ctx.root);
    }
    mkdirSync(ctx.directory, { recursive: true });
    await ensureRequirements(ctx.progress);
    await startAll(ctx, services());
    if (!options.servicesOnly) {
      const { deploy } = await import('../deploy.ts');
      await deploy(ctx);
    }
  });
  process.stdout.write(`${statusTable(await collectStatus(ctx))}\n`);
}
