import { join } from 'node:path';
import { NODE_ADDRESS } from '../facts.ts';
import { type CertificateFiles, issue } from '../pki.ts';
import type { Context } from '../service.ts';
import { API_SERVICE_ADDRESS, API_URL, CLUSTER_DOMAIN, NODE_NAME, OWN_NAME, userKubeconfig } from './facts.ts';
import { writeConfiguration } from './files.ts';
import { kubeconfigOf } from './kubeconfig.ts';

type PkiContext = Pick<Context, 'directory'>;

/** etcd lets in only the client whose certificate carries this name: every other client's authority is the same. */
export const ETCD_CLIENT_NAME = 'etcd-client.development-operations.internal';

/** User names that RBAC binds (Kubernetes documentation, "Using RBAC Authorization", core component roles). */
export const USERS = {
  admin: { commonName: `${OWN_NAME}:admin`, organization: 'system:masters' },
  'kube-controller-manager': { commonName: 'system:kube-controller-manager' },
  'kube-scheduler': { commonName: 'system:kube-scheduler' },
  'kube-proxy': { commonName: 'system:kube-proxy' },
  // Node authorizer: the name of the node, in this group.
  kubelet: { commonName: `system:node:${NODE_NAME}`, organization: 'system:nodes' },
  'load-balancer': { commonName: `${OWN_NAME}:load-balancer` },
  'apiserver-kubelet-client': { commonName: `${OWN_NAME}:apiserver` },
} as const;

export type UserName = keyof typeof USERS;

export async function clientCertificate(ctx: PkiContext, user: UserName): Promise<CertificateFiles> {
  return await issue(ctx, { name: `kubernetes-${user}`, ...USERS[user], usages: ['client'] });
}

/** For a component that serves on the node itself. */
export async function servingCertificate(ctx: PkiContext, component: string): Promise<CertificateFiles> {
  return await issue(ctx, {
    name: `kubernetes-${component}-serving`,
    commonName: component,
    sans: ['127.0.0.1', NODE_ADDRESS, NODE_NAME, 'localhost'],
    usages: ['server'],
  });
}

export async function apiServerCertificate(ctx: PkiContext): Promise<CertificateFiles> {
  return await issue(ctx, {
    name: 'kubernetes-apiserver',
    commonName: 'kube-apiserver',
    sans: [
      NODE_ADDRESS,
      API_SERVICE_ADDRESS,
      'localhost',
      'kubernetes',
      'kubernetes.default',
      'kubernetes.default.svc',
      `kubernetes.default.svc.${CLUSTER_DOMAIN}`,
    ],
    usages: ['server'],
  });
}

export async function etcdServerCertificate(ctx: PkiContext): Promise<CertificateFiles> {
  return await issue(ctx, {
    name: 'etcd-server',
    commonName: 'etcd',
    sans: ['127.0.0.1', 'localhost'],
    // Peers, and etcd's own gateway, use it as a client, too.
    usages: ['server', 'client'],
  });
}

export async function etcdClientCertificate(ctx: PkiContext): Promise<CertificateFiles> {
  return await issue(ctx, {
    name: 'etcd-client',
    commonName: 'kube-apiserver',
    sans: [ETCD_CLIENT_NAME],
    usages: ['client'],
  });
}

/** The kubeconfig of a component; 0600. */
export async function componentKubeconfig(
  ctx: PkiContext,
  user: UserName,
): Promise<{ readonly path: string; readonly changed: boolean }> {
  const path = join(ctx.directory, 'tls', `kubernetes-${user}.kubeconfig`);
  const changed = writeConfiguration(path, kubeconfigOf(await clientCertificate(ctx, user), API_URL, OWN_NAME));
  return { path, changed };
}

/** `.local/kubeconfig`, for people and for the program. */
export async function writeUserKubeconfig(ctx: PkiContext): Promise<void> {
  writeConfiguration(userKubeconfig(ctx), kubeconfigOf(await clientCertificate(ctx, 'admin'), API_URL, OWN_NAME));
}
