import { join } from 'node:path';
import { stringify } from 'yaml';
import { NODE_ADDRESS, POD_CIDR } from '../facts.ts';
import { componentKubeconfig } from './certificates.ts';
import { component } from './component.ts';
import { dataDirectory, NODE_NAME, PROXY_HEALTH_PORT, PROXY_METRICS_PORT } from './facts.ts';
import { writeConfiguration } from './files.ts';
import { removeProxyTables } from './podNetwork.ts';
import { answersOk } from './request.ts';

/** kube-proxy's configuration (Kubernetes documentation, "kube-proxy Configuration (v1alpha1)"). */
export function renderProxy(kubeconfig: string): string {
  return stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig },
    hostnameOverride: NODE_NAME,
    bindAddress: NODE_ADDRESS,
    healthzBindAddress: `127.0.0.1:${PROXY_HEALTH_PORT}`,
    metricsBindAddress: `127.0.0.1:${PROXY_METRICS_PORT}`,
    mode: 'nftables',
    clusterCIDR: POD_CIDR,
    detectLocalMode: 'ClusterCIDR',
    oomScoreAdj: 0,
    // 0 leaves the machine's own limits: they need rights that not every root has.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  });
}

export const kubeProxy = component({
  name: 'kube-proxy',
  url: `http://127.0.0.1:${PROXY_HEALTH_PORT}/livez`,
  dependsOn: ['kube-apiserver', 'network'],
  ports: [PROXY_HEALTH_PORT, PROXY_METRICS_PORT],
  async prepare(ctx) {
    const kubeconfig = await componentKubeconfig(ctx, 'kube-proxy');
    const configuration = join(dataDirectory(ctx, 'node'), 'kube-proxy.yaml');
    const changed = writeConfiguration(configuration, renderProxy(kubeconfig.path));
    return {
      command: await ctx.tool('kube-proxy'),
      changed: changed || kubeconfig.changed,
      args: [`--config=${configuration}`],
    };
  },
  // Not /healthz: that is for load balancers outside, and waits for the kubelet to register the node.
  health: () => answersOk(`http://127.0.0.1:${PROXY_HEALTH_PORT}/livez`),
  afterStop: removeProxyTables,
});
