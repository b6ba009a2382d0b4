import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LOAD_BALANCER_CIDR } from '../facts.ts';
import { isRunning } from '../process.ts';
import type { Context, Health } from '../service.ts';
import { applyManifests } from './apply.ts';
import { componentKubeconfig } from './certificates.ts';
import { component } from './component.ts';
import { dataDirectory } from './facts.ts';
import { nodeManifests } from './manifests.ts';

const NAME = 'load-balancer';
/** It beats every 5 seconds. */
const SILENCE_MS = 16_000;

function heartbeat(ctx: Pick<Context, 'directory'>): string {
  return join(ctx.directory, 'run', `${NAME}.heartbeat`);
}

async function health(ctx: Context): Promise<Health> {
  if (!isRunning(ctx, NAME)) return { healthy: false, detail: 'does not run' };
  const last = statSync(heartbeat(ctx), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const started = statSync(join(ctx.directory, 'run', `${NAME}.json`), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  // A beat of a former process does not count.
  if (last < started || Date.now() - last > SILENCE_MS) return { healthy: false, detail: 'does not reach the cluster' };
  return { healthy: true, detail: `addresses of ${LOAD_BALANCER_CIDR}` };
}

/** Addresses for Services of type LoadBalancer, and volumes for claims: what a cloud's controllers do. */
export const loadBalancer = component({
  name: NAME,
  url: LOAD_BALANCER_CIDR,
  dependsOn: ['network', 'kube-apiserver'],
  ports: [],
  async prepare(ctx) {
    const kubeconfig = await componentKubeconfig(ctx, 'load-balancer');
    const volumes = dataDirectory(ctx, 'volumes');
    mkdirSync(volumes, { recursive: true, mode: 0o711 });
    await applyManifests(ctx, nodeManifests());
    return {
      command: process.execPath,
      args: [
        '--import',
        import.meta.resolve('tsx'),
        fileURLToPath(new URL('controller/main.ts', import.meta.url)),
        kubeconfig.path,
        volumes,
        heartbeat(ctx),
      ],
      changed: kubeconfig.changed,
    };
  },
  health,
});
