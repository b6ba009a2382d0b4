import { assertPortFree } from '../ports.ts';
import { isRunning, logFilePath, startProcess, stopProcess, waitFor } from '../process.ts';
import type { Context, Health, Service } from '../service.ts';

/** What is run, after its files were written. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  /** A file that it reads at its start has changed. */
  readonly changed: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

export interface ComponentOptions {
  readonly name: string;
  readonly url: string;
  readonly dependsOn: readonly string[];
  /** TCP ports that it listens on. */
  readonly ports: readonly number[];
  /** How long it may take until it is healthy. @default 60000 */
  readonly readyMs?: number;
  /** How long it may take to end. @default 15000 */
  readonly endMs?: number;
  prepare(ctx: Context): Promise<Launch>;
  health(ctx: Context): Promise<Health>;
  /** Before a process is started, when none is running. */
  beforeStart?(ctx: Context): Promise<void>;
  /** Each time it has been found or made healthy. */
  afterStart?(ctx: Context): Promise<void>;
  beforeStop?(ctx: Context): Promise<void>;
  afterStop?(ctx: Context): Promise<void>;
  clean?(ctx: Context): Promise<void>;
}

/** Environment of the node's processes: nothing of the user's but the way and the proxies. */
export function nodeEnvironment(): NodeJS.ProcessEnv {
  const names = [
    'PATH',
    'HOME',
    'TMPDIR',
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'NO_PROXY',
    'http_proxy',
    'https_proxy',
    'no_proxy',
  ];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

/** A service that is one process: started, waited for, started anew when its files change or it hangs. */
export function component(options: ComponentOptions): Service {
  const { name } = options;
  return {
    name,
    url: options.url,
    dependsOn: options.dependsOn,
    async health(ctx) {
      return await options.health(ctx);
    },
    async start(ctx) {
      const launch = await options.prepare(ctx);
      const healthy = async () => isRunning(ctx, name) && (await options.health(ctx)).healthy;
      if (launch.changed || !(await healthy())) {
        // One that is only starting, or waiting for another that was killed, gets its time.
        const recovers = !launch.changed && isRunning(ctx, name) && (await becomes(healthy, 8000));
        if (!recovers) {
          await stopProcess(ctx, name, options.endMs ?? 15_000);
          await options.beforeStart?.(ctx);
          for (const port of options.ports) assertPortFree(port, name);
          await startProcess(ctx, {
            name,
            command: launch.command,
            args: launch.args,
            env: launch.env ?? nodeEnvironment(),
            cwd: '/',
          });
        }
        await waitFor(() => options.health(ctx), {
          timeoutMs: options.readyMs ?? 60_000,
          what: name,
          logFile: logFilePath(ctx, name),
          alive: () => isRunning(ctx, name),
        });
      }
      await options.afterStart?.(ctx);
    },
    async stop(ctx) {
      await options.beforeStop?.(ctx);
      await stopProcess(ctx, name, options.endMs ?? 15_000);
      await options.afterStop?.(ctx);
    },
    ...(options.clean === undefined ? {} : { clean: (ctx: Context) => options.clean?.(ctx) ?? Promise.resolve() }),
  };
}

async function becomes(check: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
  try {
    await waitFor(check, { timeoutMs, what: 'it' });
    return true;
  } catch {
    return false;
  }
}
