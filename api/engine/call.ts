import { mkdtemp, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventLog } from '../../engineEvents/eventLog.ts';
import type { EngineEvent } from '../../engineEvents/steps.ts';
import { Cli, type CliResult } from './cli.ts';
import { Gate } from './gate.ts';
import { SECRETS_PROVIDER } from './keyService.ts';
import { type Program, type ServedProgram, serveProgram } from './program.ts';
import { PROJECT_FILE } from './state.ts';

/** How often the event log is looked at while the engine runs, in milliseconds. */
const TAIL = 100;
/** Steps at once: a database's form chains, and more of them only wait for each other. */
const PARALLEL = 3;

export interface CallSettings {
  /** The key of all stacks' secrets, as the key service has encrypted it. */
  readonly encryptedKey: string;
  /** Plugins that run, `name:port,…`. */
  readonly providers: string;
}

/** What is known only when an engine that was started ahead is needed. */
export interface Target {
  readonly stack: string;
  /** Whether the live state is read before the program's wishes are compared with it. */
  readonly refresh: boolean;
}

interface Parts {
  readonly folder: string;
  readonly served: ServedProgram;
  readonly cli: Cli;
  readonly gate?: Gate;
}

/** How long a program may take to notice that its engine is gone, in milliseconds. */
const LINGER = 5_000;

/** One call of the CLI that runs a program, with what it needs: a folder, the program's server, its event log. */
export class EngineCall {
  #program: Program | undefined;
  #closed = false;
  readonly #parts: Promise<Parts>;

  /** @param target known now, or said by `run`: then the engine gets as far as it can without. */
  constructor(
    private readonly settings: CallSettings,
    args: readonly string[],
    target?: Target,
  ) {
    this.#parts = this.#start(args, target);
    this.#parts.catch(() => undefined);
  }

  async #start(args: readonly string[], target: Target | undefined): Promise<Parts> {
    const folder = await callFolder(this.settings.encryptedKey);
    const served = await serveProgram(async () => {
      if (!this.#program) throw new Error('the engine asked for a program before there was one');
      return await this.#program();
    });
    const gate = target === undefined ? await Gate.make(cliHome(), folder) : undefined;
    const all = [
      ...args,
      ...[
        `--parallel=${PARALLEL}`,
        '--suppress-outputs',
        `--client=127.0.0.1:${served.port}`,
        '--exec-kind=auto.inline',
      ],
      ...[`--event-log=${eventsOf(folder)}`, '--config-file', configOf(folder)],
      ...(target === undefined ? [] : ['--stack', target.stack]),
      ...(target?.refresh ? ['--refresh'] : []),
      ...COMMON,
    ];
    const cli = new Cli(cliBinary(), all, { cwd: folder, env: cliEnvironment(this.settings.providers) });
    return { folder, served, cli, gate };
  }

  /**
   * Runs the program, and waits for the engine's end.
   *
   * @returns undefined when the engine, started ahead, had ended before it was told of the stack.
   */
  async run(
    { stack, refresh }: Target,
    program: Program,
    signal: AbortSignal,
    onEvent: (event: EngineEvent) => void,
  ): Promise<CliResult | undefined> {
    const { folder, cli, gate } = await this.#parts;
    this.#program = program;
    if (gate && refresh) await alwaysRefresh(folder);
    if (gate && !(await gate.pass(stack, () => cli.ended || signal.aborted))) {
      if (!signal.aborted) return undefined;
      // It has begun nothing.
      cli.kill();
    }
    return await new EventLog(eventsOf(folder), onEvent).follow(TAIL, () => cli.end(signal));
  }

  /**
   * Ends what still runs, and takes the folder away.
   *
   * @returns whether the program has ended too: one that goes on must not meet another one in this process.
   */
  async close(): Promise<boolean> {
    const parts = this.#closed ? undefined : await this.#parts.catch(() => undefined);
    this.#closed = true;
    if (!parts) return true;
    parts.cli.kill();
    parts.served.close();
    await parts.gate?.remove();
    await rm(parts.folder, { recursive: true, force: true });
    const lingers = sleep(LINGER, false, { ref: false });
    return await Promise.race([parts.served.ended.then(() => true), lingers]);
  }
}

/** A project of its own for each call: two at once must not meet in a file. */
export async function callFolder(encryptedKey: string): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'run-')));
  await Promise.all([
    writeFile(projectOf(folder), PROJECT_FILE),
    writeFile(configOf(folder), `secretsprovider: ${SECRETS_PROVIDER}\nencryptedkey: ${encryptedKey}\n`),
  ]);
  return folder;
}

const COMMON = ['--non-interactive', '--color=never'];

export function cliBinary(): string {
  return process.env.PULUMI_BINARY ?? 'pulumi';
}

/** Runs a command of the CLI that needs no program. */
export async function callCli(
  folder: string,
  args: readonly string[],
  stack: string,
  signal: AbortSignal,
): Promise<CliResult> {
  const cli = new Cli(cliBinary(), [...args, '--stack', stack, ...COMMON], { cwd: folder, env: cliEnvironment('') });
  return await cli.end(signal);
}

function projectOf(folder: string): string {
  return join(folder, 'Pulumi.yaml');
}

/** The engine takes the project's options when it knows the stack; it reads the file also before. */
async function alwaysRefresh(folder: string): Promise<void> {
  const next = join(folder, 'next.yaml');
  await writeFile(next, `${PROJECT_FILE}options:\n  refresh: always\n`);
  await rename(next, projectOf(folder));
}

function eventsOf(folder: string): string {
  return join(folder, 'events.jsonl');
}

function configOf(folder: string): string {
  return join(folder, 'secrets.yaml');
}

/** The CLI's home is set by who started this process. */
function cliHome(): string {
  return process.env.PULUMI_HOME ?? join(tmpdir(), 'home');
}

function cliEnvironment(providers: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PULUMI_HOME: cliHome(),
    PULUMI_STACK: undefined,
    PULUMI_DEBUG_PROVIDERS: providers === '' ? undefined : providers,
    // It lives for half a second: to collect no garbage before there is this much saves a tenth of its work.
    GOGC: 'off',
    GOMEMLIMIT: '120MiB',
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
    // Without it the CLI knows no --event-log.
    PULUMI_DEBUG_COMMANDS: 'true',
    PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS: 'true',
    PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK: 'true',
  };
}
