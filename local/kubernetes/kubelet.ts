import { mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { NODE_ADDRESS } from '../facts.ts';
import type { Context, Health } from '../service.ts';
import { clientCertificate, componentKubeconfig, servingCertificate } from './certificates.ts';
import { makeCgroups } from './cgroups.ts';
import { component } from './component.ts';
import {
  API_URL,
  CLUSTER_DOMAIN,
  containerdSocket,
  DNS_ADDRESS,
  dataDirectory,
  KUBELET_HEALTH_PORT,
  KUBELET_PORT,
  kubeletRoot,
  NODE_NAME,
  OWN_NAME,
  podLogDirectory,
} from './facts.ts';
import { writeConfiguration } from './files.ts';
import { answersOk, get } from './request.ts';
import { renderResolvConf, upstreamNameservers } from './resolver.ts';

export interface KubeletOptions {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  readonly resolvConf: string;
  readonly podLogs: string;
  readonly volumePlugins: string;
}

/** The kubelet's configuration (Kubernetes documentation, "Kubelet Configuration (v1beta1)"). */
export function renderKubelet(options: KubeletOptions): string {
  return stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: NODE_ADDRESS,
    port: KUBELET_PORT,
    healthzBindAddress: '127.0.0.1',
    healthzPort: KUBELET_HEALTH_PORT,
    tlsCertFile: options.certFile,
    tlsPrivateKeyFile: options.keyFile,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: options.caFile },
    },
    authorization: { mode: 'Webhook' },
    containerRuntimeEndpoint: `unix://${containerdSocket()}`,
    // Needs no systemd, and containerd says the same.
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${OWN_NAME}`,
    clusterDomain: CLUSTER_DOMAIN,
    clusterDNS: [DNS_ADDRESS],
    resolvConf: options.resolvConf,
    podLogsDir: options.podLogs,
    volumePluginDir: options.volumePlugins,
    maxPods: 110,
    serializeImagePulls: false,
    // Laptops swap.
    failSwapOn: false,
    makeIPTablesUtilChains: false,
    // Negative scores need a capability that not every machine gives to root.
    oomScoreAdj: 0,
    // Disks of laptops are full as a rule: a pod must not be evicted at 85 percent.
    evictionHard: {
      'memory.available': '100Mi',
      'nodefs.available': '1%',
      'nodefs.inodesFree': '1%',
      'imagefs.available': '1%',
      'imagefs.inodesFree': '1%',
    },
    // By age, not by how full the disk is: our own images cannot be pulled again.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    imageMaximumGCAge: '336h0m0s',
    enableDebuggingHandlers: true,
  });
}

/** The short path that the kubelet is given for its folder. */
function linkRoot(target: string): void {
  const link = kubeletRoot();
  try {
    if (readlinkSync(link) === target) return;
  } catch {
    // Not there, or no link.
  }
  rmSync(link, { recursive: true, force: true });
  symlinkSync(target, link);
}

async function health(ctx: Context): Promise<Health> {
  const alive = await answersOk(`http://127.0.0.1:${KUBELET_HEALTH_PORT}/healthz`);
  if (!alive.healthy) return alive;
  try {
    const client = await clientCertificate(ctx, 'kubelet');
    const { status, body } = await get(`${API_URL}/api/v1/nodes/${NODE_NAME}`, { caFile: client.caFile, client });
    return status === 200 ? nodeHealth(body) : { healthy: false, detail: `the node is not registered (${status})` };
  } catch {
    return { healthy: false, detail: 'the node cannot be read: kube-apiserver does not answer' };
  }
}

/** What a Node says of itself in its condition `Ready`. */
export function nodeHealth(node: string): Health {
  const conditions = (
    JSON.parse(node) as { status?: { conditions?: { type: string; status: string; message?: string }[] } }
  ).status?.conditions;
  const ready = conditions?.find((condition) => condition.type === 'Ready');
  if (ready?.status === 'True') return { healthy: true, detail: `node ${NODE_NAME} is ready` };
  return {
    healthy: false,
    detail: `node ${NODE_NAME} is not ready: ${ready?.message ?? 'it has not said anything yet'}`,
  };
}

export const kubelet = component({
  name: 'kubelet',
  url: `https://${NODE_ADDRESS}:${KUBELET_PORT}`,
  dependsOn: ['kube-apiserver', 'containerd'],
  ports: [KUBELET_PORT, KUBELET_HEALTH_PORT],
  readyMs: 90_000,
  async prepare(ctx) {
    const node = dataDirectory(ctx, 'node');
    const root = dataDirectory(ctx, 'kubelet');
    mkdirSync(root, { recursive: true, mode: 0o750 });
    mkdirSync(podLogDirectory(ctx), { recursive: true, mode: 0o700 });
    linkRoot(root);
    makeCgroups();
    const kubeconfig = await componentKubeconfig(ctx, 'kubelet');
    const serving = await servingCertificate(ctx, 'kubelet');
    const resolvConf = join(node, 'resolv.conf');
    // Read for each pod anew.
    writeConfiguration(resolvConf, renderResolvConf(upstreamNameservers()), 0o644);
    const configuration = join(node, 'kubelet.yaml');
    const changed = writeConfiguration(
      configuration,
      renderKubelet({
        ...serving,
        resolvConf,
        podLogs: podLogDirectory(ctx),
        volumePlugins: join(node, 'volume-plugins'),
      }),
    );
    return {
      command: await ctx.tool('kubelet'),
      changed: changed || kubeconfig.changed,
      args: [
        `--config=${configuration}`,
        `--kubeconfig=${kubeconfig.path}`,
        `--root-dir=${kubeletRoot()}`,
        `--cert-dir=${join(node, 'kubelet-pki')}`,
        `--hostname-override=${NODE_NAME}`,
        `--node-ip=${NODE_ADDRESS}`,
      ],
    };
  },
  health,
});
