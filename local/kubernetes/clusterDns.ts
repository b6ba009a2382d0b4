import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { waitFor } from '../process.ts';
import { tryRun } from '../run.ts';
import { type Context, type Health, LocalError, type Service } from '../service.ts';
import { applyManifests } from './apply.ts';
import { CLUSTER_DOMAIN, DNS_ADDRESS, userKubeconfig } from './facts.ts';
import { digest } from './imageArchive.ts';
import { ensureImage } from './images.ts';
import { dnsManifests } from './manifests.ts';
import { upstreamNameservers } from './resolver.ts';

/** A question that goes through kube-proxy to a pod and from there to the API server: the whole node in one. */
async function health(): Promise<Health> {
  const resolver = new Resolver({ timeout: 1000, tries: 1 });
  resolver.setServers([DNS_ADDRESS]);
  const name = `kubernetes.default.svc.${CLUSTER_DOMAIN}`;
  try {
    const [address] = await resolver.resolve4(name);
    return { healthy: address !== undefined, detail: `${name} is ${address}` };
  } catch (error) {
    return { healthy: false, detail: `does not answer for ${name} (${(error as NodeJS.ErrnoException).code})` };
  }
}

async function start(ctx: Context): Promise<void> {
  const content = readFileSync(await ctx.tool('coredns'));
  // Named by content: another version is another image, and the Deployment rolls over to it.
  const image = `localhost/development-operations/coredns:${digest(content).slice('sha256:'.length, 'sha256:'.length + 12)}`;
  await ensureImage(ctx, image, [{ name: 'coredns', mode: 0o755, content }], ['/coredns']);
  await applyManifests(ctx, dnsManifests(image, upstreamNameservers()));
  try {
    await waitFor(health, { timeoutMs: 90_000, what: 'cluster-dns' });
  } catch (error) {
    const warning = await lastWarning(ctx);
    if (warning === undefined || !(error instanceof LocalError)) throw error;
    throw new LocalError(`${error.message}; the cluster says: ${warning}`, { cause: error });
  }
}

/** Why a pod does not start is said in an event, not in a log. */
async function lastWarning(ctx: Context): Promise<string | undefined> {
  const answer = await tryRun(
    await ctx.tool('kubectl'),
    [
      `--kubeconfig=${userKubeconfig(ctx)}`,
      '--namespace=kube-system',
      '--request-timeout=5s',
      'get',
      'events',
      '--field-selector=type=Warning',
      '--sort-by=.lastTimestamp',
      '--output=jsonpath={.items[-1:].message}',
    ],
    { timeoutMs: 10_000 },
  );
  return answer?.stdout.trim() || undefined;
}

/** CoreDNS as a Deployment in the cluster. */
export const clusterDns: Service = {
  name: 'cluster-dns',
  url: `dns://${DNS_ADDRESS}`,
  dependsOn: ['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'],
  start,
  // Its pod goes with the node's.
  stop: async () => undefined,
  health,
};
