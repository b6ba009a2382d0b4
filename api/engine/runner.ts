import { startServer } from '../../plugins/framework/server.ts';
import { PLUGINS } from '../../plugins/index.ts';
import { keepingConnections } from '../../plugins/postgresql/pools.ts';
import { setBcryptCost } from '../../plugins/random/strings.ts';
import type { Step } from '../model.ts';
import { Engines } from './engines.ts';
import type { FromRunner, RunMessage, RunResult } from './messages.ts';
import { Run } from './run.ts';

/** The plugins that a database's stack uses. */
const WARM = ['random', 'postgresql', 'kubernetes'] as const;

export interface Runner {
  run(message: RunMessage): Promise<RunResult>;
  abort(id: number): void;
  /** Starts the engine for the next run. */
  prepare(): void;
}

/** Starts the plugins; the environment of the process holds the backend's address, the key service's, and the key of the secrets. */
export async function createRunner(send: (message: FromRunner) => void): Promise<Runner> {
  // Nobody reads the hash of a tenant's password, and at the usual cost it takes a tenth of a second for each.
  setBcryptCost(4);
  keepingConnections();
  const servers = await Promise.all(
    WARM.map(async (name) => [name, (await startServer(await PLUGINS[name]())).port] as const),
  );
  const settings = {
    encryptedKey: process.env.RUNNER_ENCRYPTED_KEY ?? '',
    providers: servers.map(([name, port]) => `${name}:${port}`).join(','),
  };
  const engines = new Engines(settings);
  const aborts = new Map<number, AbortController>();
  return {
    abort: (id) => aborts.get(id)?.abort(),
    prepare: () => engines.prepare(),
    run: async (message) => {
      const abort = new AbortController();
      aborts.set(message.id, abort);
      try {
        const onStep = (step: Step) => send({ type: 'step', id: message.id, step });
        return await new Run(message, engines, settings, abort.signal, onStep).execute();
      } catch (error) {
        return {
          steps: [],
          credentials: {},
          errors: [(error as Error).message],
          aborted: abort.signal.aborted,
          killed: false,
          spent: true,
        };
      } finally {
        aborts.delete(message.id);
      }
    },
  };
}
