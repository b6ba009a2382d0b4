import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { NODE_ADDRESS, SERVICE_CIDR } from '../facts.ts';
import { caFilePath } from '../pki.ts';
import type { Context } from '../service.ts';
import { apiServerCertificate, clientCertificate, etcdClientCertificate, writeUserKubeconfig } from './certificates.ts';
import { component } from './component.ts';
import { API_PORT, API_URL, CLUSTER_DOMAIN, dataDirectory, ETCD_PORT, OWN_NAME } from './facts.ts';
import { writeConfiguration } from './files.ts';
import { answersOk } from './request.ts';

type DirectoryContext = Pick<Context, 'directory'>;

/** The key pair that signs the tokens of service accounts; made once. */
export function serviceAccountKeys(ctx: DirectoryContext): {
  readonly privateFile: string;
  readonly publicFile: string;
} {
  const privateFile = join(ctx.directory, 'tls', 'service-account.key');
  const publicFile = join(ctx.directory, 'tls', 'service-account.pub');
  if (!existsSync(privateFile) || !existsSync(publicFile)) {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    mkdirSync(join(ctx.directory, 'tls'), { recursive: true });
    // PKCS #1 and SPKI: what the API server and the controller manager both read.
    writeFileSync(privateFile, privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
    writeFileSync(publicFile, publicKey.export({ type: 'spki', format: 'pem' }), { mode: 0o644 });
  }
  return { privateFile, publicFile };
}

/**
 * Secrets lie encrypted in etcd (Kubernetes documentation, "Encrypting Confidential Data at Rest"). The last provider
 * lets one that is in plain text be read.
 *
 * @param key 32 bytes, base64
 */
export function renderEncryption(key: string): string {
  return stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [
      {
        resources: ['secrets'],
        providers: [{ secretbox: { keys: [{ name: 'local', secret: key }] } }, { identity: {} }],
      },
    ],
  });
}

/** Who did what to which object; never a body, as bodies hold Secrets. Reads and health checks are left out. */
export function renderAuditPolicy(): string {
  return stringify({
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [
      { level: 'None', verbs: ['get', 'list', 'watch'] },
      {
        level: 'None',
        resources: [
          { group: 'coordination.k8s.io', resources: ['leases'] },
          { group: '', resources: ['events'] },
        ],
      },
      { level: 'Metadata' },
    ],
  });
}

/** Anybody may ask whether it is ready; nothing else is answered without a certificate or token. */
export function renderAuthentication(): string {
  return stringify({
    apiVersion: 'apiserver.config.k8s.io/v1beta1',
    kind: 'AuthenticationConfiguration',
    anonymous: { enabled: true, conditions: ['/livez', '/readyz', '/healthz'].map((path) => ({ path })) },
  });
}

function encryptionKey(ctx: DirectoryContext): string {
  const path = join(ctx.directory, 'secrets', 'kubernetes-encryption-key');
  if (!existsSync(path)) {
    mkdirSync(join(ctx.directory, 'secrets'), { recursive: true, mode: 0o700 });
    writeFileSync(path, randomBytes(32).toString('base64'), { mode: 0o600 });
  }
  return readFileSync(path, 'utf8').trim();
}

/** The API server on the node's own address: the same address for people, pods and the program. */
export const apiServer = component({
  name: 'kube-apiserver',
  url: API_URL,
  dependsOn: ['network', 'etcd'],
  ports: [API_PORT],
  async prepare(ctx) {
    const data = dataDirectory(ctx, 'kube-apiserver');
    mkdirSync(data, { recursive: true, mode: 0o700 });
    const serving = await apiServerCertificate(ctx);
    const etcd = await etcdClientCertificate(ctx);
    const kubelet = await clientCertificate(ctx, 'apiserver-kubelet-client');
    const keys = serviceAccountKeys(ctx);
    const files = {
      encryption: join(data, 'encryption.yaml'),
      audit: join(data, 'audit-policy.yaml'),
      authentication: join(data, 'authentication.yaml'),
    };
    const changed = [
      writeConfiguration(files.encryption, renderEncryption(encryptionKey(ctx))),
      writeConfiguration(files.audit, renderAuditPolicy()),
      writeConfiguration(files.authentication, renderAuthentication()),
    ].includes(true);
    return {
      command: await ctx.tool('kube-apiserver'),
      changed,
      args: [
        `--advertise-address=${NODE_ADDRESS}`,
        `--bind-address=${NODE_ADDRESS}`,
        `--secure-port=${API_PORT}`,
        `--tls-cert-file=${serving.certFile}`,
        `--tls-private-key-file=${serving.keyFile}`,
        `--client-ca-file=${serving.caFile}`,
        // Nobody has a certificate of that name: without these, every component asks for them every ten seconds.
        `--requestheader-client-ca-file=${serving.caFile}`,
        `--requestheader-allowed-names=${OWN_NAME}:front-proxy`,
        '--requestheader-username-headers=X-Remote-User',
        '--requestheader-group-headers=X-Remote-Group',
        '--requestheader-extra-headers-prefix=X-Remote-Extra-',
        `--etcd-servers=https://127.0.0.1:${ETCD_PORT}`,
        `--etcd-cafile=${etcd.caFile}`,
        `--etcd-certfile=${etcd.certFile}`,
        `--etcd-keyfile=${etcd.keyFile}`,
        `--kubelet-client-certificate=${kubelet.certFile}`,
        `--kubelet-client-key=${kubelet.keyFile}`,
        `--kubelet-certificate-authority=${serving.caFile}`,
        '--kubelet-preferred-address-types=InternalIP',
        '--authorization-mode=Node,RBAC',
        '--enable-admission-plugins=NodeRestriction',
        `--authentication-config=${files.authentication}`,
        `--encryption-provider-config=${files.encryption}`,
        `--service-cluster-ip-range=${SERVICE_CIDR}`,
        `--service-account-issuer=https://kubernetes.default.svc.${CLUSTER_DOMAIN}`,
        `--service-account-key-file=${keys.publicFile}`,
        `--service-account-signing-key-file=${keys.privateFile}`,
        `--audit-policy-file=${files.audit}`,
        `--audit-log-path=${join(ctx.directory, 'log', 'kube-apiserver-audit.log')}`,
        '--audit-log-maxsize=10',
        '--audit-log-maxbackup=1',
        '--profiling=false',
        // It counts keys in a cache that etcd before 3.4.25 cannot bring up to date: an error a second in the log.
        '--feature-gates=SizeBasedListCostEstimate=false',
        '--endpoint-reconciler-type=lease',
      ],
    };
  },
  async health(ctx) {
    return await answersOk(`${API_URL}/readyz`, async () => ({ caFile: caFilePath(ctx) }));
  },
  async afterStart(ctx) {
    await writeUserKubeconfig(ctx);
  },
});
