import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import type { TenantArguments } from '../../stacks/database.ts';
import type { Step } from '../model.ts';
import type { ApiSettings } from '../settings.ts';
import { runCli } from './cli.ts';
import { type Engine, EngineEnded, EngineError, type EngineRequest } from './engine.ts';
import { type KeyService, SECRETS_PROVIDER, startKeyService } from './keyService.ts';
import type { Command, RunMessage, RunResult } from './messages.ts';
import { Runners } from './runners.ts';
import { type PendingOperation, PROJECT_FILE, STATE_ENVIRONMENT, StateTable } from './state.ts';

/** Its copies become the stacks of new databases. The one without "keyed" is of services whose stacks name a passphrase. */
const TEMPLATE = 'template-keyed';
/** Key of the advisory lock under which the template is made. */
const TEMPLATE_LOCK = 7_203_114_512;

/**
 * Of the engine's connections, to its state and to the servers. The state's table is in "public", whatever the role's
 * search path. Since PostgreSQL 16 who makes a role is not let into what the role owns, unless it asks for that: an
 * administrator who is no superuser would be shut out of the databases that it made
 * (https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-CREATEROLE-SELF-GRANT).
 */
const SESSION_OPTIONS = '-c search_path=public -c createrole_self_grant=set,inherit';

export interface EngineOptions {
  readonly settings: ApiSettings;
  /** The service's own database, in which the state is as well. */
  readonly pool: pg.Pool;
  /** Path of the Pulumi CLI. @default PULUMI_BINARY, or pulumi on PATH */
  readonly binary?: string;
  /** Path of the runner. @default runner.mjs beside this file's bundle, runner.ts in the sources */
  readonly runner?: URL;
  readonly environment?: NodeJS.ProcessEnv;
  /** Runs after which a runner is replaced. @default 150 */
  readonly mostRuns?: number;
  readonly log?: { info(fields: object, text: string): void; error(fields: object, text: string): void };
}

/** Starts as many runners as runs are allowed at once, and makes the backend's template stack. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const pool = new RunnerPool(options);
  try {
    await pool.prepare();
    return pool;
  } catch (error) {
    await pool.close();
    throw error;
  }
}

class RunnerPool implements Engine {
  readonly #state: StateTable;
  readonly #environment: NodeJS.ProcessEnv;
  #home = '';
  #runners: Runners | undefined;
  #keys: KeyService | undefined;

  constructor(private readonly options: EngineOptions) {
    const environment = options.environment ?? process.env;
    this.#state = new StateTable(options.pool, environment.PGDATABASE ?? '');
    this.#environment = environment;
  }

  /** Loads the plugins, makes the table and the template where they are not there. */
  async prepare(): Promise<void> {
    this.#home = await mkdtemp(join(tmpdir(), 'engine-'));
    this.#keys = await startKeyService(this.#environment.API_STATE_PASSPHRASE ?? '');
    const client = await this.options.pool.connect();
    try {
      await client.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK]);
      const there = (await this.#state.exists()) && (await this.#state.encryptedKey(TEMPLATE)) !== undefined;
      if (!there) await this.#createTemplate();
      await this.#state.keepNoCopies();
      await client.query('SELECT pg_advisory_unlock($1)', [TEMPLATE_LOCK]);
    } finally {
      client.release();
    }
    const encryptedKey = await this.#state.encryptedKey(TEMPLATE);
    if (encryptedKey === undefined) {
      throw new Error(`the stack "${TEMPLATE}" has no encrypted key: delete it from the state`);
    }
    if (!(await this.#keys.opens(encryptedKey))) {
      throw new Error(
        `the state in the database "${this.#environment.PGDATABASE}" was encrypted with another passphrase: start the service with that one as API_STATE_PASSPHRASE`,
      );
    }
    const { runner, settings, mostRuns, log } = this.options;
    this.#runners = new Runners({
      file: runner ?? new URL(runnerFile(import.meta.url), import.meta.url),
      folder: this.#home,
      size: settings.concurrency ?? 2,
      environment: { ...this.#childEnvironment(), RUNNER_ENCRYPTED_KEY: encryptedKey },
      mostRuns,
      log,
    });
    await this.#runners.start();
  }

  async #createTemplate(): Promise<void> {
    const directory = join(this.#home, 'template');
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'Pulumi.yaml'), PROJECT_FILE);
    const args = [
      'stack',
      'init',
      TEMPLATE,
      '--no-select',
      `--secrets-provider=${SECRETS_PROVIDER}`,
      '--non-interactive',
    ];
    const env = this.#childEnvironment();
    const { code, stderr } = await runCli(this.#binary(), args, {
      cwd: directory,
      env,
      signal: AbortSignal.timeout(60_000),
    });
    if (code !== 0) throw new Error(`the engine cannot use its state in PostgreSQL: ${stderr.trim()}`);
  }

  #binary(): string {
    return this.options.binary ?? this.#environment.PULUMI_BINARY ?? 'pulumi';
  }

  #childEnvironment(): NodeJS.ProcessEnv {
    const { PGDATABASE, PGHOST, PGPORT, PGUSER, PGSSLMODE, PGSSLROOTCERT } = this.#environment;
    // The password comes from PGPASSWORD: an address would be repeated in messages.
    const address = new URL(`postgres://${PGHOST}:${PGPORT ?? 5432}/${encodeURIComponent(PGDATABASE ?? '')}`);
    address.username = encodeURIComponent(PGUSER ?? '');
    // One round trip for each statement of the CLI's driver, in place of two.
    address.searchParams.set('binary_parameters', 'yes');
    if (PGSSLMODE) address.searchParams.set('sslmode', PGSSLMODE);
    if (PGSSLROOTCERT) address.searchParams.set('sslrootcert', PGSSLROOTCERT);
    return {
      ...this.#environment,
      PULUMI_BACKEND_URL: address.href,
      // For stacks of before there was a key service; their next change encrypts them anew.
      PULUMI_CONFIG_PASSPHRASE: this.#environment.API_STATE_PASSPHRASE,
      ...this.#keys?.environment,
      PULUMI_HOME: join(this.#home, 'home'),
      PULUMI_BINARY: this.#binary(),
      PULUMI_SKIP_UPDATE_CHECK: 'true',
      ...STATE_ENVIRONMENT,
      PGOPTIONS: SESSION_OPTIONS,
      // Neither is the engine's business.
      API_ENCRYPTION_KEY: undefined,
      API_STATE_PASSPHRASE: undefined,
    };
  }

  async #run(command: Command, request: EngineRequest, refresh: boolean): Promise<RunResult> {
    const pending =
      command === 'recover'
        ? pendingCreates((await this.#state.read(request.stack))?.checkpoint.latest?.pending_operations ?? [])
        : [];
    if (!this.#runners) throw new Error('the engine is not started');
    const message = { command, stack: request.stack, refresh, program: this.#program(request), pending };
    return await this.#runners.run(message, request.signal, request.onStep);
  }

  #program(request: EngineRequest): TenantArguments {
    const { wanted, rotations, dropSchemas } = request;
    const server = this.options.settings.environments[wanted.environment];
    if (!server) throw new EngineError(`there is no environment "${wanted.environment}"`);
    return {
      database: wanted.name,
      environment: wanted.environment,
      schemas: wanted.schemas,
      roles: wanted.roles,
      connectionLimit: wanted.connectionLimit,
      delivery: wanted.credentials,
      rotations,
      dropSchemas,
      server: {
        host: server.host,
        port: server.port,
        sslmode: server.sslmode,
        rootCertificateFile: server.rootCertificateFile,
        database: server.adminDatabase,
        superuser: server.superuser,
        username: this.#environment[server.usernameVariable] ?? '',
        password: this.#environment[server.passwordVariable] ?? '',
      },
    };
  }

  async #made(stack: string): Promise<boolean> {
    const found = await this.#state.read(stack);
    if (!found) await this.#state.copy(TEMPLATE, stack);
    return (found?.checkpoint.latest?.resources?.length ?? 0) > 0;
  }

  async preview(request: EngineRequest, goal: 'apply' | 'destroy') {
    const made = await this.#made(request.stack);
    const base = await this.#state.version(request.stack);
    const result = succeeded(await this.#run(goal === 'apply' ? 'preview' : 'preview-destroy', request, made));
    const changes = result.steps.filter(({ operation }) => operation !== 'same');
    const hashed = [...changes]
      .sort((a, b) => (a.urn < b.urn ? -1 : 1))
      .map(({ urn, operation, changes: properties }) => [urn, operation, properties]);
    const hash = createHash('sha256')
      .update(JSON.stringify([base, hashed]))
      .digest('hex');
    return { steps: changes, hash };
  }

  async apply(request: EngineRequest) {
    const made = await this.#made(request.stack);
    const { steps, credentials } = succeeded(await this.#run('up', request, made));
    return { steps: changed(steps), ...(request.wanted.credentials.type === 'return' && { credentials }) };
  }

  async destroy(request: EngineRequest) {
    if (!(await this.#state.read(request.stack))) return { steps: [] };
    return { steps: changed(succeeded(await this.#run('destroy', request, true)).steps) };
  }

  async drift(request: EngineRequest) {
    return { steps: changed(succeeded(await this.#run('preview', request, true)).steps) };
  }

  async graph(stack: string) {
    return await this.#state.graph(stack);
  }

  async recover(request: EngineRequest): Promise<void> {
    // The lock of a run that died at the very end outlives its stack.
    await this.#made(request.stack);
    succeeded(await this.#run('recover', request, false));
  }

  async ready() {
    const connected = this.#runners?.connected ?? 0;
    return connected > 0 ? { ready: true } : { ready: false, reason: 'no engine runs' };
  }

  async close(): Promise<void> {
    await this.#runners?.close();
    this.#keys?.close();
    if (this.#home !== '') await rm(this.#home, { recursive: true, force: true });
  }
}

function runnerFile(self: string): string {
  return self.endsWith('.ts') ? '../runner.ts' : './runner.mjs';
}

function changed(steps: readonly Step[]): Step[] {
  return steps.filter(({ operation }) => operation !== 'same');
}

/** @throws EngineError with everything that the engine reported */
function succeeded(result: RunResult): RunResult {
  if (result.aborted) throw new Error('it was stopped before it was done');
  if (result.killed) throw new EngineEnded('the engine was ended from outside in the middle of its work');
  if (result.errors.length > 0) throw new EngineError(result.errors.join('\n'));
  return result;
}

/** What can be looked up on the server: the ids of these types are made of their names. */
function pendingCreates(operations: readonly PendingOperation[]): RunMessage['pending'] {
  return operations
    .filter(({ type }) => type === 'creating')
    .map(({ resource: { urn, type, inputs } }) => ({ urn, id: idOf(type, inputs ?? {}) }));
}

function idOf(type: string, inputs: Readonly<Record<string, unknown>>): string | null {
  const metadata = (inputs.metadata ?? {}) as Readonly<Record<string, unknown>>;
  switch (type) {
    case 'postgresql:index/role:Role':
    case 'postgresql:index/database:Database':
      return String(inputs.name);
    case 'postgresql:index/schema:Schema':
      return `${inputs.database}.${inputs.name}`;
    case 'kubernetes:core/v1:Secret':
      return `${metadata.namespace}/${metadata.name}`;
    default:
      return null;
  }
}
