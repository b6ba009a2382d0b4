import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
// First: its modules import each other in circles, which only this order loads.
import '@pulumi/pulumi';
import type * as pulumi from '@pulumi/pulumi';
import * as automation from '@pulumi/pulumi/automation/server.js';
import * as langrpc from '@pulumi/pulumi/proto/language_grpc_pb.js';
import { scrub } from '../../engineEvents/errorTexts.ts';
import { EventLog } from '../../engineEvents/eventLog.ts';
import { type EngineEvent, stepOf } from '../../engineEvents/steps.ts';
import { startServer } from '../../plugins/framework/server.ts';
import { PLUGINS } from '../../plugins/index.ts';
import { plannedStatements } from '../../plugins/postgresql/statements.ts';
import { setBcryptCost } from '../../plugins/random/strings.ts';
import { deployTenant } from '../../stacks/database.ts';
import type { Credentials, Step } from '../model.ts';
import { runCli } from './cli.ts';
import type { FromRunner, RunMessage, RunResult } from './messages.ts';
import { PROJECT } from './state.ts';

/**
 * The SDK's own server for inline programs. The Automation API around it calls the CLI again and again (for the version,
 * the stack, its outputs, its history), which costs more than the update; the class is no part of its declared types.
 */
const { LanguageServer } = automation as unknown as {
  LanguageServer: new (program: () => Promise<Record<string, unknown>>) => grpc.UntypedServiceImplementation;
};

/** The plugins that a database's stack uses. */
const WARM = ['random', 'postgresql', 'kubernetes'] as const;
/** How often the event log is looked at while the engine runs, in milliseconds. */
const TAIL = 50;

export interface Runner {
  run(message: RunMessage): Promise<RunResult>;
  abort(id: number): void;
}

/** Starts the plugins; the environment of the process holds the backend's address and the passphrase. */
export async function createRunner(send: (message: FromRunner) => void): Promise<Runner> {
  // Nobody reads the hash of a tenant's password, and at the usual cost it takes a tenth of a second for each.
  setBcryptCost(4);
  const servers = await Promise.all(
    WARM.map(async (name) => [name, (await startServer(await PLUGINS[name]())).port] as const),
  );
  const providers = servers.map(([name, port]) => `${name}:${port}`).join(',');
  const aborts = new Map<number, AbortController>();
  return {
    abort: (id) => aborts.get(id)?.abort(),
    run: async (message) => {
      const abort = new AbortController();
      aborts.set(message.id, abort);
      const directory = await mkdtemp(join(tmpdir(), 'run-'));
      try {
        const onStep = (step: Step) => send({ type: 'step', id: message.id, step });
        return await new Run(message, directory, providers, abort.signal, onStep).execute();
      } catch (error) {
        return {
          steps: [],
          credentials: {},
          errors: [(error as Error).message],
          aborted: abort.signal.aborted,
          killed: false,
        };
      } finally {
        aborts.delete(message.id);
        await rm(directory, { recursive: true, force: true });
      }
    },
  };
}

/** One run of the engine on one stack. */
class Run {
  readonly #steps = new Map<string, Step>();
  readonly #errors: string[] = [];
  readonly #secrets: string[];
  #credentials: Credentials = {};
  #killed = false;

  constructor(
    private readonly message: RunMessage,
    private readonly directory: string,
    private readonly providers: string,
    private readonly signal: AbortSignal,
    private readonly onStep: (step: Step) => void,
  ) {
    this.#secrets = [
      process.env.PULUMI_CONFIG_PASSPHRASE,
      process.env.PGPASSWORD,
      message.program.server.password,
    ].filter((secret) => secret !== undefined && secret !== '') as string[];
  }

  async execute(): Promise<RunResult> {
    await Promise.all([
      writeFile(join(this.directory, 'Pulumi.yaml'), `name: ${PROJECT}\nruntime: nodejs\n`),
      writeFile(join(this.directory, 'salt.yaml'), `encryptionsalt: ${this.message.salt}\n`),
    ]);
    const { command } = this.message;
    const refresh = this.message.refresh ? ['--refresh'] : [];
    const code = command === 'recover' ? await this.#recover() : await this.#engine([...COMMANDS[command], ...refresh]);
    const errors = scrub(this.#errors, this.#secrets);
    if (code !== 0 && errors.length === 0) errors.push(`the engine ended with exit code ${code}`);
    return {
      steps: [...this.#steps.values()],
      credentials: this.#credentials,
      errors: code === 0 ? [] : errors,
      aborted: this.signal.aborted,
      killed: this.#killed,
    };
  }

  /** Serves the program to the engine, as the Automation API does for inline programs, for one call of the CLI. */
  async #engine(args: readonly string[]): Promise<number> {
    const server = new grpc.Server();
    const language = new LanguageServer(() => this.#program());
    // The SDK's server is written against the untyped service.
    server.addService(langrpc.LanguageRuntimeService as unknown as grpc.ServiceDefinition, language);
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    const events = join(this.directory, 'events.jsonl');
    const log = new EventLog(events, (event) => this.#take(event));
    let reading: Promise<void> = Promise.resolve();
    const tail = setInterval(() => {
      reading = reading.then(() => log.read());
    }, TAIL);
    try {
      const serving = [`--client=127.0.0.1:${port}`, '--exec-kind=auto.inline', `--event-log=${events}`];
      return await this.#cli([...args, '--parallel=8', '--suppress-outputs', ...serving]);
    } finally {
      clearInterval(tail);
      await reading;
      await log.read();
      server.forceShutdown();
    }
  }

  async #cli(args: readonly string[]): Promise<number> {
    const config =
      args[0] === 'cancel' || args[0] === 'stack' ? [] : ['--config-file', join(this.directory, 'salt.yaml')];
    const { code, killed, stderr, stdout } = await runCli(
      process.env.PULUMI_BINARY ?? 'pulumi',
      [...args, '--stack', this.message.stack, '--non-interactive', '--color=never', ...config],
      { cwd: this.directory, env: this.#environment(), signal: this.signal },
    );
    this.#killed ||= killed && !this.signal.aborted;
    if (code !== 0 && this.#errors.length === 0) this.#errors.push(stderr.trim() || stdout.trim().slice(-2000));
    return code;
  }

  #environment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      PULUMI_DEBUG_PROVIDERS: this.providers,
      PULUMI_SKIP_UPDATE_CHECK: 'true',
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
      // Without it the CLI knows no --event-log.
      PULUMI_DEBUG_COMMANDS: 'true',
      PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS: 'true',
      PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK: 'true',
    };
  }

  async #program(): Promise<Record<string, unknown>> {
    const { program } = this.message;
    const { credentials } = deployTenant(program);
    if (program.delivery.type === 'return') {
      for (const [role, values] of Object.entries(credentials)) this.#collect(role, values);
    }
    return {};
  }

  /** Values of a preview are unknown and never arrive here. */
  #collect(role: string, values: pulumi.Output<Readonly<Record<string, string>>>): void {
    values.apply((known) => {
      this.#credentials = { ...this.#credentials, [role]: known };
    });
  }

  #take(event: EngineEvent): void {
    const metadata = event.resourcePreEvent?.metadata ?? event.resOutputsEvent?.metadata;
    if (metadata) {
      const step = stepOf(metadata, plannedStatements);
      if (!step) return;
      const known = this.#steps.get(step.urn);
      // A replacement is told in several events: its deletion is no step of its own.
      if (known?.operation === 'replace' && step.operation !== 'replace') return;
      this.#steps.set(step.urn, known && event.resOutputsEvent ? known : step);
      if (event.resOutputsEvent && step.operation !== 'same') this.onStep(this.#steps.get(step.urn) ?? step);
    }
    const diagnostic = event.diagnosticEvent;
    if (diagnostic?.severity === 'error' && !diagnostic.ephemeral) {
      const name = diagnostic.urn?.split('::').at(-1);
      this.#errors.push(name ? `${name}: ${diagnostic.message}` : diagnostic.message);
    }
  }

  /**
   * Takes the dead run's lock away. What it had begun to make is written into the state by the id that its name gives it:
   * the next run compares with the server first, and drops what is not there. What has no name on a server (a password, a
   * grant) is made again.
   */
  async #recover(): Promise<number> {
    await this.#cli(['cancel', '--yes']);
    this.#errors.length = 0;
    const ids = new Map(this.message.pending.map(({ urn, id }) => [urn, id]));
    if (ids.size === 0) return 0;
    const file = join(this.directory, 'state.json');
    const exported = await this.#cli(['stack', 'export', '--file', file]);
    if (exported !== 0) return exported;
    const state = JSON.parse(await readFile(file, 'utf8')) as ExportedState;
    const { deployment } = state;
    const begun = (deployment.pending_operations ?? []).flatMap(({ type, resource }) => {
      const id = type === 'creating' ? ids.get(resource.urn) : undefined;
      return typeof id === 'string' ? [{ ...resource, id, outputs: resource.inputs }] : [];
    });
    deployment.resources = [...(deployment.resources ?? []), ...begun];
    delete deployment.pending_operations;
    await writeFile(file, JSON.stringify(state), { mode: 0o600 });
    return await this.#cli(['stack', 'import', '--file', file]);
  }
}

/** The parts that are changed here of what `pulumi stack export` writes. */
interface ExportedState {
  readonly deployment: {
    resources?: { readonly urn: string }[];
    pending_operations?: {
      readonly type: string;
      readonly resource: { readonly urn: string; readonly inputs?: unknown };
    }[];
  };
}

const COMMANDS = {
  preview: ['preview'],
  up: ['up', '--yes', '--skip-preview'],
  'preview-destroy': ['destroy', '--preview-only', '--run-program=true'],
  destroy: ['destroy', '--yes', '--skip-preview', '--remove', '--run-program=true'],
} as const;
