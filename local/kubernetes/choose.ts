import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { z } from 'zod';
import { isNodeOwner } from '../facts.ts';
import { run, tryRun } from '../run.ts';
import { type Context, type Health, LocalError, type Service } from '../service.ts';
import { userKubeconfig } from './facts.ts';
import { writeConfiguration } from './files.ts';

/** Which cluster the local environment uses: a node of its own, or a context of the user's kubeconfig. */
export type ClusterChoice = { readonly cluster: 'own' } | { readonly cluster: 'current'; readonly context: string };

const Choice = z.discriminatedUnion('cluster', [
  z.object({ cluster: z.literal('own') }),
  z.object({ cluster: z.literal('current'), context: z.string() }),
]);

type DirectoryContext = Pick<Context, 'directory'>;

function choiceFile(ctx: DirectoryContext): string {
  return join(ctx.directory, 'choice.json');
}

/** What was chosen; undefined before it was, or when the file is not readable as a choice. */
export function readChoice(ctx: DirectoryContext): ClusterChoice | undefined {
  if (!existsSync(choiceFile(ctx))) return undefined;
  try {
    return Choice.parse(JSON.parse(readFileSync(choiceFile(ctx), 'utf8')));
  } catch {
    return undefined;
  }
}

function remember(ctx: DirectoryContext, choice: ClusterChoice): ClusterChoice {
  const former = readChoice(ctx);
  mkdirSync(dirname(choiceFile(ctx)), { recursive: true });
  writeFileSync(choiceFile(ctx), `${JSON.stringify(choice)}\n`);
  // The kubeconfig of the other cluster would be used by mistake.
  if (former !== undefined && former.cluster !== choice.cluster) rmSync(userKubeconfig(ctx), { force: true });
  return choice;
}

/** Names that the tools for clusters on one's own machine give to their contexts. */
const LOCAL_NAME = /^(minikube|kind-.+|k3d-.+|docker-desktop|rancher-desktop|colima(-.+)?|orbstack)$/;

/**
 * Whether a context is a cluster on this machine: nothing else may be touched without the user's own stack.
 *
 * @param view `kubectl config view --minify -o json`: minikube's profiles have any name, but mark their cluster
 */
export function isLocalContext(name: string, view: string): boolean {
  return LOCAL_NAME.test(name) || view.includes('"provider": "minikube.sigs.k8s.io"');
}

/** The user's current context, when it is a cluster on this machine. */
export async function currentLocalContext(ctx: Context): Promise<string | undefined> {
  const files = process.env.KUBECONFIG?.split(delimiter) ?? [join(homedir(), '.kube', 'config')];
  // Without one there is no need to get kubectl first.
  if (!files.some((file) => existsSync(file))) return undefined;
  const kubectl = await ctx.tool('kubectl');
  const name = (await tryRun(kubectl, ['config', 'current-context']))?.stdout.trim();
  if (!name) return undefined;
  const view = await tryRun(kubectl, ['config', 'view', '--minify', '--output=json', `--context=${name}`]);
  return isLocalContext(name, view?.stdout ?? '') ? name : undefined;
}

export interface ChooseOptions {
  /** @default this process's environment */
  readonly env?: NodeJS.ProcessEnv;
  /** Asks a person; undefined where none is there. @default on a terminal: standard input */
  readonly ask?: (question: string) => Promise<string>;
  /** @default whether this process may run a node of its own */
  readonly canOwn?: boolean;
  /** @default `currentLocalContext` */
  readonly current?: (ctx: Context) => Promise<string | undefined>;
}

/**
 * Chooses the cluster, once: the answer is kept in `.local/choice.json`. `DEVOPS_CLUSTER=current` or `own` decides
 * without a question. Nobody's cluster is used without consent.
 *
 * @throws LocalError when there is no cluster to be had, or `DEVOPS_CLUSTER` is something else
 */
export async function chooseCluster(ctx: Context, options: ChooseOptions = {}): Promise<ClusterChoice> {
  const wish = (options.env ?? process.env).DEVOPS_CLUSTER || undefined;
  if (wish !== undefined && wish !== 'own' && wish !== 'current') {
    throw new LocalError(`DEVOPS_CLUSTER is ${wish}; expected "current" (your kubectl context) or "own" (a new node)`);
  }
  const canOwn = options.canOwn ?? isNodeOwner();
  const remembered = readChoice(ctx);
  if (remembered !== undefined && (wish === undefined || wish === remembered.cluster)) return remembered;
  if (wish === 'own') {
    if (!canOwn)
      throw new LocalError('DEVOPS_CLUSTER=own needs Linux and root: a node makes interfaces and containers');
    return remember(ctx, { cluster: 'own' });
  }
  const ask = 'ask' in options ? options.ask : terminal();
  // Nobody can be asked. Not remembered: at a terminal the question comes.
  if (wish === undefined && canOwn && ask === undefined) return { cluster: 'own' };
  const context = await (options.current ?? currentLocalContext)(ctx);
  if (context === undefined) {
    if (wish === undefined && canOwn) return remember(ctx, { cluster: 'own' });
    throw new LocalError(
      'there is no local cluster in your current kubectl context; start one (minikube start, kind create cluster, ' +
        'or Kubernetes in Docker Desktop)' +
        (canOwn ? ', or run it without DEVOPS_CLUSTER' : ', or on Linux run it as root for a node of its own'),
    );
  }
  if (wish === 'current' || (await agrees(context, ask))) {
    return remember(ctx, { cluster: 'current', context });
  }
  if (canOwn) return remember(ctx, { cluster: 'own' });
  throw new LocalError(`the cluster ${context} is used only when you agree: DEVOPS_CLUSTER=current npm run up`);
}

async function agrees(context: string, ask: ((question: string) => Promise<string>) | undefined): Promise<boolean> {
  if (ask === undefined) return false;
  const answer = await ask(`Use the cluster of your kubectl context "${context}" for the local environment? [y/N] `);
  return /^y(es)?$/i.test(answer.trim());
}

function terminal(): ((question: string) => Promise<string>) | undefined {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return undefined;
  return async (question) => {
    const lines = createInterface({ input: process.stdin, output: process.stdout });
    try {
      return await lines.question(question);
    } finally {
      lines.close();
    }
  };
}

async function health(ctx: Context): Promise<Health> {
  const choice = readChoice(ctx);
  if (choice?.cluster !== 'current' || !existsSync(userKubeconfig(ctx))) {
    return { healthy: false, detail: 'no cluster is chosen; run: npm run up' };
  }
  const kubectl = await ctx.tool('kubectl');
  const args = [`--kubeconfig=${userKubeconfig(ctx)}`, '--request-timeout=3s', 'get', '--raw=/readyz'];
  const answer = await tryRun(kubectl, args, { timeoutMs: 5000 });
  return answer === undefined
    ? { healthy: false, detail: `the cluster of the context ${choice.context} does not answer` }
    : { healthy: true, detail: `your own cluster, context ${choice.context}` };
}

/** The user's own cluster: not ours to start or stop. Its kubeconfig is copied, never written. */
export const currentCluster: Service = {
  name: 'cluster',
  url: 'the current kubectl context',
  dependsOn: [],
  health,
  async start(ctx) {
    const choice = await chooseCluster(ctx);
    if (choice.cluster !== 'current') throw new Error('the own node was chosen, but not its services');
    const kubectl = await ctx.tool('kubectl');
    const args = ['config', 'view', '--raw', '--minify', '--flatten', `--context=${choice.context}`];
    writeConfiguration(userKubeconfig(ctx), (await run(kubectl, args)).stdout);
    const { healthy, detail } = await health(ctx);
    if (!healthy) {
      throw new LocalError(`${detail}; start it, or forget the choice: rm ${choiceFile(ctx)}`);
    }
    ctx.progress.note(
      `${choice.context}: its nodes reach neither the registry on this machine's loopback nor 172.31.240.1; ` +
        'name a registry and a database that they reach in Pulumi.local.yaml',
    );
  },
  stop: async () => undefined,
};
