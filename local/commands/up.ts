import { mkdirSync } from 'node:fs';
import { applications } from '../applications.ts';
import { chooseCluster } from '../kubernetes/choose.ts';
import { kubernetesServices } from '../kubernetes/services.ts';
import { confirmOwnership, liveServices, takeOwnership, withLock } from '../owner.ts';
import { waitFor } from '../process.ts';
import { ensureRequirements } from '../requirements.ts';
import type { Context } from '../service.ts';
import { serviceNames, services, startAll, stopAll } from '../services.ts';
import { describe, endProcesses, strays } from '../strays.ts';
import { removeFormer } from './clean.ts';
import { collectStatus, statusTable } from './status.ts';

export interface UpOptions {
  /** Stops before the Pulumi program. */
  readonly servicesOnly: boolean;
}

/** Brings the environment up, heals what was killed, and deploys the `local` stack. */
export async function up(ctx: Context, options: UpOptions): Promise<void> {
  await withLock(ctx, 'up', async () => {
    const former = await takeOwnership(ctx.root);
    if (former !== undefined) {
      await ctx.progress.step(`removing what the environment of ${former} left behind`, () =>
        removeFormer(ctx, former),
      );
      confirmOwnership(ctx.root);
    }
    await endStrays(ctx);
    mkdirSync(ctx.directory, { recursive: true });
    await ensureRequirements(ctx.progress);
    await choose(ctx);
    await startAll(ctx, services());
    if (!options.servicesOnly) {
      const { deploy } = await import('../deploy.ts');
      await deploy(ctx);
      await ctx.progress.step('applications', () => applicationsAnswer(ctx));
    }
  });
  process.stdout.write(`${statusTable(await collectStatus(ctx))}\n`);
}

/**
 * Waits until every application answers. A node whose kubelet was away for a while counts its pods as ready again only
 * some seconds after it is back.
 *
 * @throws LocalError with those that do not answer after two minutes
 */
async function applicationsAnswer(ctx: Context): Promise<void> {
  await waitFor(
    async () => {
      const silent = (await applications(ctx)).filter(({ healthy }) => !healthy);
      const detail = silent.map(({ name, url, detail }) => `${name} (${url}) ${detail}`).join('; ');
      return { healthy: silent.length === 0, detail: `${detail}: see npm run kubectl -- get pods -A` };
    },
    { timeoutMs: 120_000, intervalMs: 500, what: 'an application' },
  );
}

/** After `.local` was removed under a running environment its processes hold the ports, but have lost their files. */
async function endStrays(ctx: Context): Promise<void> {
  const list = strays(ctx.root, serviceNames());
  if (list.length === 0) return;
  await ctx.progress.step(`ending what has lost its files: ${describe(list)}`, () => endProcesses(list));
}

/** The node of before is stopped when the user's own cluster takes its place. */
async function choose(ctx: Context): Promise<void> {
  const before = kubernetesServices();
  await chooseCluster(ctx);
  const after = new Set(services().map(({ name }) => name));
  const live = new Set(liveServices(ctx.root));
  const replaced = before.filter(({ name }) => !after.has(name));
  if (!replaced.some(({ name }) => live.has(name))) return;
  const kept = services().filter(({ name }) => replaced.some(({ dependsOn }) => dependsOn.includes(name)));
  await stopAll(ctx, [...replaced, ...kept.map((service) => ({ ...service, stop: async () => undefined }))]);
}
