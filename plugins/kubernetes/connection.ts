/**
 * Which cluster to talk to, and as whom: a kubeconfig from the provider's configuration (text or path), else $KUBECONFIG,
 * ~/.kube/config or the pod's own service account, in kubectl's order.
 */

import { existsSync, readFileSync } from 'node:fs';
import type { Agent } from 'node:https';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import type { ProviderConfig } from './config.ts';

/** There is nothing to connect to: no kubeconfig, or one that cannot be used. The message says which, and the cure. */
export class NoClusterError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NoClusterError';
  }
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** What an HTTPS request needs beside its path. */
export interface RequestIdentity {
  readonly agent: Agent;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Connection {
  /** `https://host:port`, perhaps with a path. */
  readonly server: string;
  readonly user: string;
  /** The context's namespace, or `default`. */
  readonly namespace: string;
  /** Credentials for one request; `renew` after the server refused the last ones. */
  identity(renew?: boolean): Promise<RequestIdentity>;
  close(): void;
}

export async function connect(config: ProviderConfig): Promise<Connection> {
  const source = kubeconfigSource(config);
  // client-node's index costs a second to load; its configuration module alone a tenth of that once bundled.
  const { KubeConfig: Loader } = await import('@kubernetes/client-node/dist/config.js');
  const loaded: KubeConfig = new Loader();
  load(loaded, source);
  select(loaded, config);
  const cluster = loaded.getCurrentCluster();
  if (cluster === null || !cluster.server) {
    throw new NoClusterError(
      `context "${loaded.currentContext}" of the kubeconfig names no cluster with a server address. ` +
        'Fix the kubeconfig, or set kubernetes:context to another context.',
    );
  }
  return new KubeConfigConnection(loaded, cluster.server);
}

type Source = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'ambient' };

function kubeconfigSource(config: ProviderConfig): Source {
  const given = config.kubeconfig;
  if (given !== undefined && given !== '') {
    const path = given === '~' || given.startsWith('~/') ? join(homedir(), given.slice(1)) : given;
    if (!path.includes('\n') && path.length < 4096 && existsSync(path)) {
      return { kind: 'text', text: readFileSync(path, 'utf8') };
    }
    if (!/[\n{:]/.test(given)) {
      throw new NoClusterError(`kubernetes:kubeconfig names the file ${path}, which does not exist.`);
    }
    return { kind: 'text', text: given };
  }
  const listed = (process.env.KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '');
  const missing = listed.filter((file) => !existsSync(file));
  if (listed.length > 0 && missing.length > 0) {
    throw new NoClusterError(`$KUBECONFIG names ${missing.join(', ')}, which does not exist.`);
  }
  if (listed.length > 0 || existsSync(join(homedir(), '.kube', 'config')) || existsSync(SERVICE_ACCOUNT)) {
    return { kind: 'ambient' };
  }
  throw new NoClusterError(
    'no kubeconfig: kubernetes:kubeconfig is not set, $KUBECONFIG is not set and ~/.kube/config does not exist. ' +
      'Set one of them (pulumi config set --secret kubernetes:kubeconfig < kubeconfig).',
  );
}

function load(target: KubeConfig, source: Source): void {
  try {
    if (source.kind === 'text') target.loadFromString(source.text);
    else target.loadFromDefault();
  } catch (error) {
    // The parser's message quotes the text, which holds credentials.
    const reason = error instanceof Error && /duplicate|indent|mapping|end of|expected/i.test(error.message);
    throw new NoClusterError(`the kubeconfig cannot be read${reason ? ': it is not valid YAML or JSON' : ''}.`);
  }
}

function select(target: KubeConfig, config: ProviderConfig): void {
  const context = config.context ?? '';
  const names = target.contexts.map((item) => item.name);
  if (context !== '') target.setCurrentContext(context);
  if (!names.includes(target.currentContext)) {
    const list = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
    throw new NoClusterError(
      target.currentContext
        ? `context "${target.currentContext}" is not in the kubeconfig (${list}).`
        : `the kubeconfig has no current context (${list}). Set kubernetes:context.`,
    );
  }
  const cluster = config.cluster ?? '';
  if (cluster === '') return;
  if (target.getCluster(cluster) === null) {
    throw new NoClusterError(`cluster "${cluster}" is not in the kubeconfig.`);
  }
  target.contexts = target.contexts.map((item) => (item.name === target.currentContext ? { ...item, cluster } : item));
}

/** Requests at once to one API server; the official client allows bursts of 120. */
const SOCKETS = 32;

class KubeConfigConnection implements Connection {
  readonly user: string;
  readonly namespace: string;
  private current: Promise<RequestIdentity> | undefined;
  private renewed = 0;
  private readonly dynamic: boolean;

  constructor(
    private readonly config: KubeConfig,
    readonly server: string,
  ) {
    const user = config.getCurrentUser();
    this.user = user?.name ?? 'anonymous';
    this.namespace = config.getContextObject(config.currentContext)?.namespace || 'default';
    this.dynamic = user !== null && (user.exec !== undefined || user.authProvider !== undefined);
  }

  identity(renew = false): Promise<RequestIdentity> {
    const stale = this.dynamic && Date.now() - this.renewed > 30_000;
    if (this.current === undefined || renew || stale) {
      const previous = this.current;
      this.renewed = Date.now();
      this.current = this.make();
      void previous?.then(
        // Requests in flight keep their sockets; idle ones go.
        ({ agent }) => setTimeout(() => agent.destroy(), 60_000).unref(),
        () => undefined,
      );
    }
    return this.current;
  }

  private async make(): Promise<RequestIdentity> {
    const options: Parameters<KubeConfig['applyToHTTPSOptions']>[0] & { auth?: string } = { headers: {} };
    await this.config.applyToHTTPSOptions(options);
    const agent = options.agent as Agent;
    // The agent that client-node makes opens a connection per request.
    Object.assign(agent, { keepAlive: true, maxSockets: SOCKETS, keepAliveMsecs: 1000 });
    agent.options.keepAlive = true;
    const headers: Record<string, string> = {};
    for (const [key, value] of Object.entries(options.headers ?? {})) headers[key] = String(value);
    if (options.auth) headers.Authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`;
    return { agent, headers };
  }

  close(): void {
    void this.current?.then(
      ({ agent }) => agent.destroy(),
      () => undefined,
    );
  }
}
