import type * as pulumi from '@pulumi/pulumi';
import { scrub } from '../../engineEvents/errorTexts.ts';
import { type EngineEvent, stepOf } from '../../engineEvents/steps.ts';
import { plannedStatements } from '../../plugins/postgresql/statements.ts';
import { deployTenant } from '../../stacks/database.ts';
import type { Credentials, Step } from '../model.ts';
import type { CallSettings } from './call.ts';
import type { CliResult } from './cli.ts';
import type { Engines } from './engines.ts';
import type { RunMessage, RunResult } from './messages.ts';
import { INCOMPLETE } from './program.ts';
import { recoverStack } from './recover.ts';

/** One run of the engine on one stack. */
export class Run {
  readonly #steps = new Map<string, Step>();
  readonly #errors: string[] = [];
  readonly #secrets: string[];
  #credentials: Credentials = {};

  constructor(
    private readonly message: RunMessage,
    private readonly engines: Engines,
    private readonly settings: CallSettings,
    private readonly signal: AbortSignal,
    private readonly onStep: (step: Step) => void,
  ) {
    this.#secrets = [
      process.env.PULUMI_CONFIG_PASSPHRASE,
      process.env.VAULT_SERVER_TOKEN,
      process.env.PGPASSWORD,
      message.program.server.password,
    ].filter((secret) => secret !== undefined && secret !== '') as string[];
  }

  async execute(): Promise<RunResult> {
    const { message, signal } = this;
    const { command } = message;
    const result =
      command === 'recover'
        ? await recoverStack(message, this.settings.encryptedKey, signal)
        : await this.engines.run(
            { command, refresh: message.refresh, stack: message.stack },
            () => this.#program(),
            signal,
            (event) => this.#take(event),
          );
    const errors = this.#problems(result);
    // Nobody's fault but the connection's: as if it had been ended from outside.
    const lost = errors.length > 0 && errors.every((error) => error.includes(INCOMPLETE));
    return {
      steps: [...this.#steps.values()],
      credentials: this.#credentials,
      errors,
      aborted: signal.aborted,
      killed: (result?.killed === true || lost) && !signal.aborted,
      spent: this.engines.spent,
    };
  }

  #problems(result: CliResult | undefined): string[] {
    if (!result || result.code === 0) return [];
    const { code, stderr, stdout } = result;
    const said = this.#errors.length > 0 ? this.#errors : [stderr.trim() || stdout.trim().slice(-2000)];
    const errors = scrub(said, this.#secrets);
    // The engine has its reasons to leave the program, and tells them.
    const reasons = errors.filter((error) => !error.includes(INCOMPLETE));
    if (reasons.length > 0) return reasons;
    return errors.length > 0 ? errors : [`the engine ended with exit code ${code}`];
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
}
