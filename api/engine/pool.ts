import { type ChildProcess, fork } from 'node:child_process';
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
import type { Command, FromRunner, RunMessage, RunResult, ToRunner } from './messages.ts';
import { type PendingOperation, PROJECT, StateTable } from './state.ts';

/** Its copies become the stacks of new databases. */
const TEMPLATE = 'template';
/** Key of the advisory lock under which the template is made. */
const TEMPLATE_LOCK = 7_203_114_512;
/** After this time an aborted run is ended with its process, in milliseconds. */
const ABORT_LIMIT = 15_000;

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

interface Runner {
  readonly process: ChildProcess;
  readonly ready: Promise<void>;
  busy: boolean;
}

class RunnerPool implements Engine {
  readonly #runners: Runner[] = [];
  readonly #waiting: ((runner: Runner) => void)[] = [];
  readonly #state: StateTable;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #size: number;
  #home = '';
  #salt = '';
  #next = 1;
  #closed = false;

  constructor(private readonly options: EngineOptions) {
    const environment = options.environment ?? process.env;
    this.#size = options.settings.concurrency ?? 2;
    this.#state = new StateTable(options.pool, environment.PGDATABASE ?? '');
    this.#environment = environment;
  }

  /** Loads the plugins, makes the table and the template where they are not there. */
  async prepare(): Promise<void> {
    this.#home = await mkdtemp(join(tmpdir(), 'engine-'));
    const client = await this.options.pool.connect();
    try {
      await client.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK]);
      const there = (await this.#state.exists()) && (await this.#state.salt(TEMPLATE)) !== undefined;
      if (!there) await this.#createTemplate();
      await client.query('SELECT pg_advisory_unlock($1)', [TEMPLATE_LOCK]);
    } finally {
      client.release();
    }
    const salt = await this.#state.salt(TEMPLATE);
    if (salt === undefined) throw new Error(`the stack "${TEMPLATE}" has no encryption salt: delete it from the state`);
    this.#salt = salt;
    for (let count = 0; count < this.#size; count += 1) this.#start();
    await Promise.all(this.#runners.map(({ ready }) => ready));
  }

  async #createTemplate(): Promise<void> {
    const directory = join(this.#home, 'template');
    const project = `name: ${PROJECT}\nruntime: nodejs\n`;
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'Pulumi.yaml'), project);
    const args = ['stack', 'init', TEMPLATE, '--no-select', '--secrets-provider=passphrase', '--non-interactive'];
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
    if (PGSSLMODE) address.searchParams.set('sslmode', PGSSLMODE);
    if (PGSSLROOTCERT) address.searchParams.set('sslrootcert', PGSSLROOTCERT);
    return {
      ...this.#environment,
      PULUMI_BACKEND_URL: address.href,
      PULUMI_CONFIG_PASSPHRASE: this.#environment.API_STATE_PASSPHRASE,
      PULUMI_HOME: join(this.#home, 'home'),
      PULUMI_BINARY: this.#binary(),
      PULUMI_SKIP_UPDATE_CHECK: 'true',
      PGOPTIONS: SESSION_OPTIONS,
      // Neither is the engine's business.
      API_ENCRYPTION_KEY: undefined,
      API_STATE_PASSPHRASE: undefined,
    };
  }

  #start(): void {
    const file = this.options.runner ?? new URL(runnerFile(import.meta.url), import.meta.url);
    const child = fork(file, {
      env: this.#childEnvironment(),
      serialization: 'advanced',
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    const ready = new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('error', reject);
      child.once('exit', (code, signal) =>
        reject(new Error(`a runner ended with ${code ?? signal} before it was ready`)),
      );
    });
    const runner: Runner = { process: child, ready, busy: false };
    this.#runners.push(runner);
    ready.then(
      () => this.#free(runner),
      () => undefined,
    );
    child.once('exit', () => {
      this.#runners.splice(this.#runners.indexOf(runner), 1);
      if (this.#closed) return;
      this.options.log?.error({ pid: child.pid }, 'a runner ended; another one is started');
      // Not at once: one that cannot start must not spin.
      setTimeout(() => this.#closed || this.#start(), 200).unref();
    });
  }

  #free(runner: Runner): void {
    runner.busy = false;
    const waiting = this.#waiting.shift();
    if (!waiting) return;
    runner.busy = true;
    waiting(runner);
  }

  async #take(signal: AbortSignal): Promise<Runner> {
    signal.throwIfAborted();
    for (const runner of this.#runners) {
      if (runner.busy || !runner.process.connected) continue;
      runner.busy = true;
      await runner.ready;
      return runner;
    }
    return await new Promise((resolve) => this.#waiting.push(resolve));
  }

  async #run(command: Command, request: EngineRequest, refresh: boolean): Promise<RunResult> {
    const pending =
      command === 'recover'
        ? pendingCreates((await this.#state.read(request.stack))?.checkpoint.latest?.pending_operations ?? [])
        : [];
    const program = this.#program(request);
    const runner = await this.#take(request.signal);
    const id = this.#next++;
    const message: RunMessage = {
      type: 'run',
      id,
      command,
      stack: request.stack,
      refresh,
      program,
      salt: this.#salt,
      pending,
    };
    try {
      const result = await this.#ask(runner, message, request);
      if (runner.process.connected) this.#free(runner);
      return result;
    } catch (error) {
      runner.process.kill('SIGKILL');
      throw error;
    }
  }

  async #ask(runner: Runner, message: RunMessage, { signal, onStep }: EngineRequest): Promise<RunResult> {
    const { process: child } = runner;
    return await new Promise<RunResult>((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const onMessage = (answer: FromRunner) => {
        if (answer.type === 'ready' || answer.id !== message.id) return;
        if (answer.type === 'step') onStep?.(answer.step);
        else end(() => resolve(answer.result));
      };
      const onExit = () => end(() => reject(new EngineEnded('a runner ended in the middle of its work')));
      const onAbort = () => {
        // Another replica may begin at once: nothing of this run may go on. The runner's end ends its engine.
        if ((signal.reason as { why?: string } | undefined)?.why === 'lost') {
          child.disconnect();
          return;
        }
        child.send({ type: 'abort', id: message.id } satisfies ToRunner);
        timer = setTimeout(() => child.kill('SIGKILL'), ABORT_LIMIT);
      };
      const end = (settle: () => void) => {
        clearTimeout(timer);
        child.off('message', onMessage);
        child.off('exit', onExit);
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      child.on('message', onMessage);
      child.once('exit', onExit);
      child.send(message satisfies ToRunner);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
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
    if (!(await this.#state.read(request.stack))) return;
    succeeded(await this.#run('recover', request, false));
  }

  async ready() {
    const connected = this.#runners.filter(({ process: child }) => child.connected).length;
    return connected > 0 ? { ready: true } : { ready: false, reason: 'no engine runs' };
  }

  async close(): Promise<void> {
    this.#closed = true;
    const ended = this.#runners.map(({ process: child }) => new Promise((resolve) => child.once('exit', resolve)));
    for (const { process: child } of this.#runners) child.disconnect();
    await Promise.all(ended);
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
