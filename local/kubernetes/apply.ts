import { run } from '../run.ts';
import type { Context } from '../service.ts';
import { OWN_NAME, userKubeconfig } from './facts.ts';
import type { Manifest } from './manifests.ts';

/** Server-side apply: what somebody changed by hand is put right. */
export async function applyManifests(ctx: Context, manifests: readonly Manifest[]): Promise<void> {
  await run(
    await ctx.tool('kubectl'),
    [
      `--kubeconfig=${userKubeconfig(ctx)}`,
      'apply',
      '--server-side',
      '--force-conflicts',
      `--field-manager=${OWN_NAME}-node`,
      '--filename=-',
    ],
    { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests }), timeoutMs: 30_000 },
  );
}
