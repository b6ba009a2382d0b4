/**
 * A real API server for the tests of the kubernetes plugin: etcd, kube-apiserver and kube-controller-manager as child
 * processes on free loopback ports, their data in a temporary directory that goes with them. There is no kubelet: tests
 * write pod status through the API, as a kubelet would.
 */

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PropertyMap } from '../../../plugins/framework/values.ts';
import { Cluster } from '../../../plugins/kubernetes/cluster.ts';
import { parseConfig } from '../../../plugins/kubernetes/config.ts';

const START_TIMEOUT_MS = 40_000;

/** Looks in $DEVOPS_TOOLCHAIN_BIN, on $PATH and in the toolchain cache. @throws Error with the cure. */
function binary(name: string): string {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'development-operations', 'toolchain');
  const cached = [name, 'kubernetes'].flatMap((tool) => {
    const folder = join(cache, tool);
    if (!existsSync(folder)) return [];
    return readdirSync(folder).flatMap((version) => [join(folder, version), join(folder, version, 'bin')]);
  });
  const folders = [
    ...(process.env.DEVOPS_TOOLCHAIN_BIN ?? '').split(delimiter),
    ...(process.env.PATH ?? '').split(delimiter),
    ...cached,
  ];
  const found = folders.filter((folder) => folder !== '').map((folder) => join(folder, name));
  const path = found.find((candidate) => existsSync(candidate));
  if (path === undefined) throw new Error(`${name} is not on this machine: run "npm run up" once, which builds it.`);
  return path;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export interface ApiServer {
  /** Text of a kubeconfig for a user in system:masters. */
  readonly kubeconfig: string;
  readonly url: string;
  /** A kubeconfig for another user, who has no rights until a test gives some. */
  kubeconfigFor(user: 'nobody'): string;
  readonly cluster: Cluster;
  stop(): Promise<void>;
}

export async function startApiServer(): Promise<ApiServer> {
  const paths = { etcd: binary('etcd'), api: binary('kube-apiserver'), manager: binary('kube-controller-manager') };
  const directory = mkdtempSync(join(tmpdir(), 'kubernetes-plugin-'));
  const children: ChildProcess[] = [];
  const start = (name: string, command: string, args: readonly string[]): void => {
    const log = openSync(join(directory, `${name}.log`), 'w');
    children.push(spawn(command, args, { stdio: ['ignore', log, log], cwd: directory }));
  };
  const stop = async (): Promise<void> => {
    for (const child of children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const late = setTimeoutKill(child);
      await gone;
      clearTimeout(late);
    }
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const [etcdPort = 0, peerPort = 0, apiPort = 0, managerPort = 0] = await freePorts(4);
    const tokens = { admin: randomBytes(16).toString('hex'), nobody: randomBytes(16).toString('hex') };
    writeFileSync(
      join(directory, 'tokens.csv'),
      `${tokens.admin},admin,admin,system:masters\n${tokens.nobody},nobody,nobody\n`,
      { mode: 0o600 },
    );
    const keys = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    });
    writeFileSync(join(directory, 'sa.key'), keys.privateKey, { mode: 0o600 });
    writeFileSync(join(directory, 'sa.pub'), keys.publicKey);

    const etcdUrl = `http://127.0.0.1:${etcdPort}`;
    const peerUrl = `http://127.0.0.1:${peerPort}`;
    start('etcd', paths.etcd, [
      ...['--data-dir', join(directory, 'etcd')],
      ...['--listen-client-urls', etcdUrl, '--advertise-client-urls', etcdUrl],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', `default=${peerUrl}`],
    ]);
    const url = `https://127.0.0.1:${apiPort}`;
    start('kube-apiserver', paths.api, [
      `--etcd-servers=${etcdUrl}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${apiPort}`,
      `--cert-dir=${join(directory, 'tls')}`,
      `--token-auth-file=${join(directory, 'tokens.csv')}`,
      '--authorization-mode=RBAC',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${join(directory, 'sa.pub')}`,
      `--service-account-signing-key-file=${join(directory, 'sa.key')}`,
      '--service-cluster-ip-range=10.250.0.0/16',
      '--disable-admission-plugins=ServiceAccount',
      '--endpoint-reconciler-type=none',
    ]);
    const certificate = join(directory, 'tls', 'apiserver.crt');
    const kubeconfig = (user: 'admin' | 'nobody'): string => kubeconfigText(url, certificate, user, tokens[user]);
    await until(() => existsSync(certificate), 'kube-apiserver wrote no certificate', directory);
    const cluster = await connected(kubeconfig('admin'), directory);
    const managerConfig = join(directory, 'manager.kubeconfig');
    writeFileSync(managerConfig, kubeconfig('admin'), { mode: 0o600 });
    start('kube-controller-manager', paths.manager, [
      `--kubeconfig=${managerConfig}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${managerPort}`,
      `--cert-dir=${join(directory, 'manager-tls')}`,
      `--service-account-private-key-file=${join(directory, 'sa.key')}`,
      '--leader-elect=false',
      '--pvclaimbinder-sync-period=1s',
      '--concurrent-namespace-syncs=4',
      '--namespace-sync-period=1s',
    ]);
    return {
      kubeconfig: kubeconfig('admin'),
      url,
      kubeconfigFor: kubeconfig,
      cluster,
      stop: async () => {
        await cluster.close();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const setTimeoutKill = (child: ChildProcess): NodeJS.Timeout => setTimeout(() => child.kill('SIGKILL'), 5000);

function kubeconfigText(url: string, certificate: string, user: string, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [
      {
        name: 'test',
        // The server makes its own certificate for this address: it is its own authority.
        cluster: { server: url, 'certificate-authority-data': readFileSync(certificate).toString('base64') },
      },
    ],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user } }],
  });
}

/** A cluster whose probe and default namespace answer. */
async function connected(kubeconfig: string, directory: string): Promise<Cluster> {
  let cluster: Cluster | undefined;
  const config = parseConfig({ kubeconfig });
  const ready = async (): Promise<boolean> => {
    const next = new Cluster(config);
    const state = await next.probe();
    if (state.reachable && state.version !== '') {
      try {
        const answer = await state.client.text({ method: 'GET', path: '/readyz', timeoutMs: 2000 });
        if (answer === 'ok') {
          cluster = next;
          return true;
        }
      } catch {
        // Still starting.
      }
    }
    await next.close();
    return false;
  };
  await until(ready, 'kube-apiserver did not become ready', directory);
  if (cluster === undefined) throw new Error('unreachable');
  return cluster;
}

async function until(check: () => boolean | Promise<boolean>, what: string, directory: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await check())) {
    if (Date.now() > deadline) {
      const logs = readdirSync(directory).filter((file) => file.endsWith('.log'));
      const ends = logs.map((file) => `${file}:\n${readFileSync(join(directory, file), 'utf8').slice(-1500)}`);
      throw new Error(`${what} within ${START_TIMEOUT_MS / 1000} s\n${ends.join('\n')}`);
    }
    await sleep(100);
  }
}

/** Writes an object's status, as a controller or kubelet would. */
export async function setStatus(
  cluster: Cluster,
  gvk: { group: string; version: string; kind: string },
  namespace: string,
  name: string,
  status: PropertyMap,
): Promise<void> {
  const client = await cluster.client();
  const path = `${await cluster.path(gvk, namespace, name)}/status`;
  await client.json({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body: { status } });
}

/** A change by somebody else: a merge patch under the field manager of `kubectl edit`. */
export async function editByHand(
  cluster: Cluster,
  gvk: { group: string; version: string; kind: string },
  namespace: string,
  name: string,
  body: PropertyMap,
  fieldManager = 'kubectl-edit',
): Promise<void> {
  const client = await cluster.client();
  const path = await cluster.path(gvk, namespace, name);
  await client.json({
    method: 'PATCH',
    path,
    query: { fieldManager },
    contentType: 'application/merge-patch+json',
    body,
  });
}

/** Waits for something the controllers do. */
export async function eventually(check: () => Promise<boolean>, what: string, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await sleep(100);
  }
}
