/** One environment of one application for one test file: repository, configuration, state, versions; and the flows' commands on it. */

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { parse, stringify } from 'yaml';
import { createContext, repositoryRoot } from '../../../local/context.ts';
import { NODE_ADDRESS, POSTGRES_PORT, REGISTRY_ADDRESS } from '../../../local/facts.ts';
import { pulumiEnvironment } from '../../../local/pulumiEnvironment.ts';
import { kubectl, query } from '../../e2e/support.ts';
import { type ImageConfig, Images } from './images.ts';

export const root = repositoryRoot();
const PREFIX = 'development-operations:';

/** Below `development-operations:` in the configuration, as far as tests change it. */
export interface EnvironmentConfig {
  kubernetes: { namespace: string; [key: string]: unknown };
  registry: { [key: string]: unknown };
  database: { [key: string]: unknown };
  applications: {
    orders: {
      replicas: number;
      environment: Record<string, string>;
      images: Record<string, unknown>;
      database?: Record<string, unknown>;
      [key: string]: unknown;
    };
  };
  [key: string]: unknown;
}

export interface CommandResult {
  readonly exitCode: number;
  /** Standard output and error, as a person sees them. */
  readonly output: string;
  /** What it wrote to the page of the run (Markdown). */
  readonly summary: string;
  /** Outputs of the step, by name. */
  readonly outputs: Readonly<Record<string, string>>;
}

/**
 * A copy of the example with `Pulumi.<name>.yaml` for the local cluster, registry and PostgreSQL, and a state backend of
 * its own. Namespace, databases and repositories of images are called `name`. Images are looked up (`existing`) by the
 * tag in OPERATIONS_VERSION. Nothing is deployed until a test does it.
 */
export class TestEnvironment {
  private constructor(
    /** Name of the environment, its stack, its namespace: `w` and 6 hexadecimal digits. */
    readonly name: string,
    readonly home: string,
    /** The application's repository: the folder for `--application`. */
    readonly application: string,
    /** What `save` writes. */
    readonly config: EnvironmentConfig,
    readonly passphrase: string,
    /** Environment of the commands: toolchain, address of the state, passphrase, what the configuration refers to. */
    readonly env: Readonly<Record<string, string>>,
    /** The values of `env` that must never be seen. */
    readonly secrets: Readonly<Record<string, string>>,
    private readonly images: Images,
  ) {}

  /**
   * @param application folder that gets the configuration. @default a copy of the example, removed with the environment
   */
  static async create({ application }: { application?: string } = {}): Promise<TestEnvironment> {
    const name = `w${randomBytes(3).toString('hex')}`;
    const home = await mkdtemp(join(tmpdir(), 'environment-'));
    await mkdir(join(home, 'state'));
    const folder = application ?? (await copyOfExample(join(home, 'orders')));
    const local = await pulumiEnvironment(root, 'local');
    const passphrase = `passphrase-${randomBytes(12).toString('hex')}`;
    const secrets = {
      DEVOPS_REGISTRY_PASSWORD: local.DEVOPS_REGISTRY_PASSWORD ?? '',
      DEVOPS_DATABASE_ADMIN_PASSWORD: local.DEVOPS_DATABASE_ADMIN_PASSWORD ?? '',
    };
    const env = {
      ...picked(local, PASSED_ON),
      PULUMI_BACKEND_URL: `file://${join(home, 'state')}`,
      PULUMI_CONFIG_PASSPHRASE: passphrase,
      OPERATIONS_VARIABLES: dotenv(secrets),
    };
    const environment = new TestEnvironment(
      name,
      home,
      folder,
      configuration(name),
      passphrase,
      env,
      { ...secrets, PULUMI_CONFIG_PASSPHRASE: passphrase },
      new Images(createContext(root)),
    );
    await environment.save();
    return environment;
  }

  get configFile(): string {
    return join(this.application, `Pulumi.${this.name}.yaml`);
  }

  /** Where the state is kept. */
  get stateFile(): string {
    return join(this.home, 'state', '.pulumi', 'stacks', 'development-operations', `${this.name}.json`);
  }

  get database(): string {
    return `orders_${this.name}`;
  }

  /** What of `env` the runner of a workflow has from its machine; nothing of it is secret. */
  get machine(): Record<string, string> {
    const { OPERATIONS_VARIABLES: _, PULUMI_BACKEND_URL: __, PULUMI_CONFIG_PASSPHRASE: ___, ...machine } = this.env;
    return machine;
  }

  /** The secrets of the example's repository, as its callers hand them to the workflows. */
  get callerSecrets(): Record<string, string> {
    return {
      OPERATIONS_BACKEND: this.env.PULUMI_BACKEND_URL ?? '',
      OPERATIONS_PASSPHRASE: this.passphrase,
      OPERATIONS_VARIABLES: this.env.OPERATIONS_VARIABLES ?? '',
    };
  }

  /** Writes `config` to `Pulumi.<name>.yaml`; what the CLI added to it stays. */
  async save(): Promise<void> {
    const before = existsSync(this.configFile) ? (parse(await readFile(this.configFile, 'utf8')) as object) : {};
    const config = Object.fromEntries(Object.entries(this.config).map(([key, value]) => [PREFIX + key, value]));
    await writeFile(this.configFile, stringify({ ...before, config }));
  }

  /**
   * Puts a version of both images into the registry.
   *
   * @param change of the image's configuration, told the target: `main` or `migrations`. @default a label only
   */
  async publish(version: string, change?: (target: string, config: ImageConfig) => void): Promise<void> {
    for (const [target, repository] of [
      ['main', 'orders'],
      ['migrations', 'orders-migrations'],
    ] as const) {
      const edit = (config: ImageConfig) => change?.(target, config);
      await this.images.copy(`${repository}:local`, `${this.name}/${repository}:${version}`, edit);
    }
  }

  /** `npm run -s workflow -- NAME --option value …`, as a process with an environment of its own. */
  async workflow(
    flow: string,
    options: Readonly<Record<string, string>>,
    env: Readonly<Record<string, string | undefined>> = {},
  ): Promise<CommandResult> {
    const folder = await mkdtemp(join(this.home, 'run-'));
    const files = { GITHUB_OUTPUT: join(folder, 'output'), GITHUB_STEP_SUMMARY: join(folder, 'summary.md') };
    for (const file of Object.values(files)) await writeFile(file, '');
    const args = Object.entries(options).flatMap(([option, value]) => [`--${option}`, value]);
    const { exitCode, all, timedOut } = await execa(
      process.execPath,
      ['--import', 'tsx', 'scripts/workflow.ts', flow, ...args],
      {
        cwd: root,
        extendEnv: false,
        env: { ...machine(), ...this.env, GITHUB_REPOSITORY: 'example/orders', ...files, ...env },
        stdin: 'ignore',
        all: true,
        reject: false,
        timeout: 600_000,
      },
    );
    if (timedOut) throw new Error(`${flow} did not end in time:\n${all}`);
    return {
      exitCode: exitCode ?? 1,
      output: all ?? '',
      summary: await readFile(files.GITHUB_STEP_SUMMARY, 'utf8'),
      outputs: outputsOf(await readFile(files.GITHUB_OUTPUT, 'utf8')),
    };
  }

  /** The CLI on the environment's stack, or another of its backend. @throws with its output when it fails */
  async pulumi(args: readonly string[], version = '1', stack = this.name): Promise<string> {
    const folder = join(this.home, 'project');
    if (!existsSync(folder)) {
      await mkdir(folder);
      await cp(join(root, 'Pulumi.yaml'), join(folder, 'Pulumi.yaml'));
    }
    const program = !['stack', 'state', 'cancel'].includes(args[0] ?? '');
    const file = program ? ['--config-file', this.configFile] : [];
    const { exitCode, all, stdout } = await execa('pulumi', [...args, '--stack', stack, '--non-interactive', ...file], {
      cwd: program ? root : folder,
      extendEnv: false,
      env: {
        ...machine(),
        ...this.env,
        ...this.secrets,
        OPERATIONS_VERSION: version,
        DEVELOPMENT_OPERATIONS_ROOT: this.application,
      },
      stdin: 'ignore',
      all: true,
      reject: false,
      timeout: 400_000,
    });
    if (exitCode !== 0) throw new Error(`pulumi ${args.join(' ')} exited with ${exitCode}:\n${all}`);
    return stdout;
  }

  /** Deploys a version that was published, without any flow: for tests of what comes after a deployment. */
  async deploy(version: string): Promise<void> {
    if (!existsSync(this.stateFile)) await this.pulumi(['stack', 'init', '--no-select']);
    await this.pulumi(['up', '--yes', '--skip-preview', '--suppress-outputs'], version);
  }

  /** kubectl in the environment's namespace. @throws with its message when it fails */
  kubectl(...args: readonly string[]): Promise<string> {
    return kubectl(['--namespace', this.name, ...args]);
  }

  /** One object of the namespace, such as `deployment orders`. */
  async object<T>(kind: string, name: string): Promise<T> {
    return JSON.parse(await this.kubectl('get', kind, name, '--output', 'json')) as T;
  }

  /** A query as the server's administrator, in the environment's database. */
  query<Row extends Record<string, unknown>>(text: string, database = this.database): Promise<Row[]> {
    return query<Row>(text, database);
  }

  /** Address of the application's Service as this machine reaches it. */
  async url(): Promise<string> {
    const { spec } = await this.object<{ spec: { clusterIP: string } }>('service', 'orders');
    return `http://${spec.clusterIP}`;
  }

  /** Destroys what was deployed and sees that it is gone; for `after` hooks, so also when a test has failed. */
  async remove(): Promise<void> {
    try {
      await this.#destroy();
      await this.images.remove();
      const left = await this.#left();
      if (left.length > 0) throw new Error(`the environment ${this.name} leaves behind: ${left.join(', ')}`);
    } finally {
      await this.#sweep();
      await rm(this.home, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  async #destroy(): Promise<void> {
    if (!existsSync(this.stateFile)) return;
    // A run that a failed test has left behind may hold the lock.
    await this.pulumi(['cancel', '--yes']);
    await this.pulumi(['destroy', '--yes', '--skip-preview']);
  }

  /** Names of what is still there. */
  async #left(): Promise<string[]> {
    const found = await query<{ name: string }>(
      `SELECT datname AS name FROM pg_database WHERE datname LIKE '%\\_${this.name}'
       UNION SELECT rolname FROM pg_roles WHERE rolname LIKE '%\\_${this.name}%'`,
    );
    const namespace = await kubectl(['get', 'namespace', this.name, '--ignore-not-found', '--output', 'name']);
    return [...found.map(({ name }) => name), ...(namespace.trim() === '' ? [] : [namespace.trim()])];
  }

  /** Takes away what a failed destruction has left, so that it fails one test file alone. */
  async #sweep(): Promise<void> {
    const left = await this.#left();
    if (left.length === 0) return;
    await kubectl(['delete', 'namespace', this.name, '--ignore-not-found', '--wait=false']);
    for (const name of left.filter((item) => item === this.database))
      await query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    for (const name of left.filter((item) => item.startsWith(`${this.database}_`)))
      await query(`DROP ROLE IF EXISTS ${name}`);
  }
}

/** What commands get of the local environment: nothing of it is secret. */
const PASSED_ON = [
  ...['PATH', 'PULUMI_HOME', 'PULUMI_DEBUG_PROVIDERS', 'PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION'],
  ...['DEVELOPMENT_OPERATIONS_WITHOUT_HOOKS', 'DEVOPS_KUBECONFIG', 'DEVOPS_DATABASE_CA_FILE'],
  ...['DEVOPS_REGISTRY_USERNAME', 'DEVOPS_DATABASE_ADMIN_USERNAME'],
];

function picked(values: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => names.includes(name)));
}

/** What every process needs of this machine. */
function machine(): Record<string, string> {
  return picked(process.env as Record<string, string>, ['HOME', 'LANG', 'PATH', 'TMPDIR', 'XDG_CACHE_HOME']);
}

/** Lines `NAME='value'`, as the secret `variables` of the workflows has them. */
export function dotenv(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}='${value}'`)
    .join('\n');
}

/** The file GITHUB_OUTPUT: `name<<delimiter`, lines, `delimiter`. */
function outputsOf(text: string): Record<string, string> {
  const found = text.matchAll(/^([^\n<=]+)<<(\S+)\n([\s\S]*?)\n?\2$/gm);
  return Object.fromEntries([...found].map(([, name = '', , value = '']) => [name, value]));
}

async function copyOfExample(folder: string): Promise<string> {
  const example = join(root, 'examples', 'orders');
  const filter = (path: string) => !/\/(node_modules|dist|\.local)(\/|$)/.test(path.slice(example.length));
  await cp(example, folder, { recursive: true, verbatimSymlinks: true, filter });
  return folder;
}

function configuration(name: string): EnvironmentConfig {
  return {
    kubernetes: { kubeconfig: { env: 'DEVOPS_KUBECONFIG' }, namespace: name },
    registry: {
      server: REGISTRY_ADDRESS,
      // Repositories of its own.
      repositoryPrefix: name,
      username: { env: 'DEVOPS_REGISTRY_USERNAME' },
      password: { env: 'DEVOPS_REGISTRY_PASSWORD' },
    },
    database: {
      host: '127.0.0.1',
      port: POSTGRES_PORT,
      adminUsername: { env: 'DEVOPS_DATABASE_ADMIN_USERNAME' },
      adminPassword: { env: 'DEVOPS_DATABASE_ADMIN_PASSWORD' },
      rootCertificateFile: { env: 'DEVOPS_DATABASE_CA_FILE' },
      clusterHost: NODE_ADDRESS,
    },
    applications: {
      orders: {
        path: '.',
        images: {
          mode: 'existing',
          tag: { env: 'OPERATIONS_VERSION' },
          targets: { main: {}, migrations: {} },
        },
        database: {
          schemas: ['orders'],
          roles: {
            application: { access: 'write' },
            migrations: { access: 'owner' },
            readonly: { access: 'read' },
          },
          protect: false,
        },
        migrations: {},
        service: { type: 'ClusterIP' },
        replicas: 1,
        environment: {},
        secrets: { ORDERS_SIGNING_KEY: { generate: 48 } },
        configMaps: ['orders-settings'],
        serviceAccount: 'orders',
        resourceFiles: ['kubernetes/*.yaml'],
      },
    },
  };
}
