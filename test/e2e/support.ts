/** What the tests against the whole environment share: a stack of their own, and requests to what it deploys. */

import { randomBytes } from 'node:crypto';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import pg from 'pg';
import { parse, stringify } from 'yaml';
import { pulumiEnvironment } from '../../local/pulumiEnvironment.ts';

export const root = join(import.meta.dirname, '..', '..');
const PREFIX = 'development-operations:';

/** One configured application, as far as tests change it. */
export interface ApplicationConfig {
  path: string;
  replicas?: number;
  secrets?: Record<string, unknown>;
  environment?: Record<string, unknown>;
  images: { targets: Record<string, unknown>; secretFiles?: Record<string, unknown> };
  [key: string]: unknown;
}

export interface StackConfig {
  kubernetes: { namespace: string; [key: string]: unknown };
  registry: { pullFrom?: unknown[]; [key: string]: unknown };
  applications: { orders: ApplicationConfig; [name: string]: ApplicationConfig };
  [key: string]: unknown;
}

export interface PreviewStep {
  readonly op: string;
  readonly urn: string;
  readonly detailedDiff?: Readonly<Record<string, { readonly kind: string }>> | null;
}

export interface CommandResult {
  readonly exitCode: number;
  /** Standard output and error, as a person sees them. */
  readonly output: string;
  readonly stdout: string;
}

export interface Outputs {
  readonly namespace: string;
  readonly applications: {
    readonly orders: {
      readonly url: string;
      readonly images: Readonly<Record<string, string>>;
      readonly database: { readonly name: string; readonly owner: string };
    };
  };
}

/** A stack of the real program with a state backend, a namespace and a database of its own. */
export class TestStack {
  /** Everything that any command printed. */
  readonly transcript: string[] = [];

  private constructor(
    readonly name: string,
    readonly directory: string,
    readonly env: NodeJS.ProcessEnv,
    readonly config: StackConfig,
  ) {}

  /** Starts from `Pulumi.local.yaml` and a copy of the example that the test may change. */
  static async create(extraEnvironment: NodeJS.ProcessEnv = {}): Promise<TestStack> {
    const name = `t${randomBytes(3).toString('hex')}`;
    const directory = join(root, '.local', 'test', name);
    const project = join(directory, 'project');
    await mkdir(join(directory, 'state'), { recursive: true });
    await mkdir(project, { recursive: true });
    await cp(join(root, 'examples', 'orders'), join(directory, 'orders'), {
      recursive: true,
      filter: (path) => !/[/\\](node_modules|dist)$/.test(path),
    });
    const env: NodeJS.ProcessEnv = {
      ...(await pulumiEnvironment(root, 'local')),
      PULUMI_BACKEND_URL: `file://${join(directory, 'state')}`,
      PULUMI_STACK: undefined,
      ...extraEnvironment,
    };
    const raw = parse(await readFile(join(root, 'Pulumi.local.yaml'), 'utf8')) as { config: Record<string, unknown> };
    const config = Object.fromEntries(
      Object.entries(raw.config).map(([key, value]) => [key.slice(PREFIX.length), value]),
    ) as StackConfig;
    config.kubernetes.namespace = name;
    // One of each on a cluster: their names are the environment's own. They have tests of their own (phase api).
    for (const key of ['gateway', 'loadBalancer', 'operationsApi']) delete config[key];
    // Destroying a stack deletes its images by digest: the same content in another stack's repository must stay.
    config.registry.repositoryPrefix = name;
    config.applications.orders.path = relative(root, join(directory, 'orders'));
    config.applications.orders.replicas = 1;
    const stack = new TestStack(name, directory, env, config);
    await cp(join(root, 'Pulumi.yaml'), join(project, 'Pulumi.yaml'));
    await execa('pulumi', ['stack', 'init', name], { cwd: project, env });
    await stack.save();
    return stack;
  }

  get configFile(): string {
    return join(this.directory, `Pulumi.${this.name}.yaml`);
  }

  get application(): ApplicationConfig {
    return this.config.applications.orders;
  }

  /** Writes `config` to the stack's configuration file. */
  async save(): Promise<void> {
    const created = join(this.directory, 'project', `Pulumi.${this.name}.yaml`);
    const { encryptionsalt } = parse(await readFile(created, 'utf8')) as { encryptionsalt: string };
    const config = Object.fromEntries(Object.entries(this.config).map(([key, value]) => [PREFIX + key, value]));
    await writeFile(this.configFile, stringify({ encryptionsalt, config }));
  }

  /** Runs one Pulumi command on the stack; its exit code is a result. */
  async pulumi(command: string, ...args: string[]): Promise<CommandResult> {
    const all = [...command.split(' '), '--stack', this.name, '--non-interactive', ...args];
    if (!command.startsWith('stack')) all.push('--config-file', this.configFile);
    const { exitCode, stdout, stderr } = await execa('pulumi', all, {
      cwd: root,
      env: this.env,
      reject: false,
      timeout: 240_000,
    });
    this.transcript.push(stdout, stderr);
    return { exitCode: exitCode ?? 1, stdout, output: `${stdout}\n${stderr}` };
  }

  /** @throws with the command's output when it fails */
  async must(command: string, ...args: string[]): Promise<string> {
    const { exitCode, output, stdout } = await this.pulumi(command, ...args);
    if (exitCode !== 0) throw new Error(`pulumi ${command} exited with ${exitCode}:\n${output}`);
    return stdout;
  }

  up(...args: string[]): Promise<string> {
    return this.must('up', '--yes', '--skip-preview', ...args);
  }

  /** What a preview would change, as `type name: operation`, sorted. */
  async changes(...args: string[]): Promise<string[]> {
    const { steps } = JSON.parse(await this.must('preview', '--json', ...args)) as { steps: PreviewStep[] };
    return steps
      .filter(({ op }) => op !== 'same' && op !== 'refresh')
      .map(describeStep)
      .toSorted();
  }

  async outputs(): Promise<Outputs> {
    return JSON.parse(await this.must('stack output', '--json')) as Outputs;
  }

  /** Destroys what the stack has and removes its folder; for `after` hooks, so also when a test has failed. */
  async remove(): Promise<void> {
    await this.must('destroy', '--yes', '--skip-preview');
    await this.must('stack rm', '--yes');
    await rm(this.directory, { recursive: true, force: true });
  }
}

function describeStep({ op, urn }: PreviewStep): string {
  const [, , types = '', name = ''] = urn.split('::');
  return `${types.slice(types.lastIndexOf('$') + 1)} ${name}: ${op}`;
}

/** kubectl against the local cluster. */
export async function kubectl(args: readonly string[], input?: string): Promise<string> {
  const env = await pulumiEnvironment(root, 'local');
  const { stdout } = await execa('kubectl', [...args], {
    env: { ...env, KUBECONFIG: env.DEVOPS_KUBECONFIG },
    ...(input !== undefined && { input }),
  });
  return stdout;
}

/** A query as the local server's administrator. */
export async function query<Row extends pg.QueryResultRow>(text: string, database = 'postgres'): Promise<Row[]> {
  const env = await pulumiEnvironment(root, 'local');
  const client = new pg.Client({
    host: '127.0.0.1',
    port: 15432,
    database,
    user: env.DEVOPS_DATABASE_ADMIN_USERNAME,
    password: env.DEVOPS_DATABASE_ADMIN_PASSWORD,
    ssl: { ca: await readFile(env.DEVOPS_DATABASE_CA_FILE ?? '', 'utf8') },
  });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

/** A small order, as the example takes it. */
export function orderOf(customer: string): string {
  return JSON.stringify({ customer, currency: 'EUR', items: [{ sku: 'tea', quantity: 2, unitPrice: 350 }] });
}

/** Polls until `check` gives a value. @throws after `seconds`, with what was waited for */
export async function eventually<T>(what: string, seconds: number, check: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  let last = '';
  while (Date.now() < deadline) {
    try {
      const value = await check();
      if (value !== undefined) return value;
    } catch (error) {
      last = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    await sleep(500);
  }
  throw new Error(`${what}: not in ${seconds} s${last}`);
}
