import { POD_CIDR } from '../facts.ts';
import { caFilePath } from '../pki.ts';
import { serviceAccountKeys } from './apiServer.ts';
import { componentKubeconfig, servingCertificate } from './certificates.ts';
import { component } from './component.ts';
import { CONTROLLER_MANAGER_PORT, SCHEDULER_PORT } from './facts.ts';
import { answersOk } from './request.ts';

/** Flags that both share: own certificate, own user, loopback; alone, so without an election that costs seconds. */
function commonArguments(
  kubeconfig: string,
  serving: { readonly certFile: string; readonly keyFile: string },
  port: number,
): string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--tls-cert-file=${serving.certFile}`,
    `--tls-private-key-file=${serving.keyFile}`,
    '--leader-elect=false',
    '--profiling=false',
  ];
}

export const controllerManager = component({
  name: 'kube-controller-manager',
  url: `https://127.0.0.1:${CONTROLLER_MANAGER_PORT}`,
  dependsOn: ['kube-apiserver'],
  ports: [CONTROLLER_MANAGER_PORT],
  async prepare(ctx) {
    const kubeconfig = await componentKubeconfig(ctx, 'kube-controller-manager');
    const serving = await servingCertificate(ctx, 'kube-controller-manager');
    return {
      command: await ctx.tool('kube-controller-manager'),
      changed: kubeconfig.changed,
      args: [
        ...commonArguments(kubeconfig.path, serving, CONTROLLER_MANAGER_PORT),
        `--root-ca-file=${serving.caFile}`,
        `--service-account-private-key-file=${serviceAccountKeys(ctx).privateFile}`,
        // Each controller has the rights of its own service account only.
        '--use-service-account-credentials=true',
        `--cluster-cidr=${POD_CIDR}`,
        // One node has the whole network: the CNI plugin gives addresses, no controller splits it.
        '--allocate-node-cidrs=false',
        // There is no other node for the pods of one whose kubelet is being healed: they go on to be served.
        '--node-monitor-grace-period=3m',
      ],
    };
  },
  health: (ctx) =>
    answersOk(`https://127.0.0.1:${CONTROLLER_MANAGER_PORT}/healthz`, async () => ({ caFile: caFilePath(ctx) })),
});

export const scheduler = component({
  name: 'kube-scheduler',
  url: `https://127.0.0.1:${SCHEDULER_PORT}`,
  dependsOn: ['kube-apiserver'],
  ports: [SCHEDULER_PORT],
  async prepare(ctx) {
    const kubeconfig = await componentKubeconfig(ctx, 'kube-scheduler');
    const serving = await servingCertificate(ctx, 'kube-scheduler');
    return {
      command: await ctx.tool('kube-scheduler'),
      changed: kubeconfig.changed,
      args: commonArguments(kubeconfig.path, serving, SCHEDULER_PORT),
    };
  },
  health: (ctx) => answersOk(`https://127.0.0.1:${SCHEDULER_PORT}/healthz`, async () => ({ caFile: caFilePath(ctx) })),
});
