import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOST_FILE } from '../plugins/install.ts';
import { dockerEnvironment } from './docker.ts';
import { ensurePlugins, ownPlugins, pulumiHome } from './plugins.ts';
import { isRunning, logFilePath, startProcess, stopProcess, waitFor } from './process.ts';
import type { Context, Health, Service } from './service.ts';
import { toolchainEnvironment } from './toolchainEnvironment.ts';

const NAME = 'plugin-host';

type HostContext = Pick<Context, 'directory'>;

function portsFile(ctx: HostContext): string {
  return join(ctx.directory, 'run', `${NAME}.ports`);
}

function readPorts(ctx: HostContext): Record<string, number> | undefined {
  if (!isRunning(ctx, NAME)) return undefined;
  try {
    return JSON.parse(readFileSync(portsFile(ctx), 'utf8')) as Record<string, number>;
  } catch {
    return undefined;
  }
}

/** Points the engine at the warm plugins; empty while they do not run, and the engine starts its own. */
export async function pluginHostProviders(ctx: HostContext): Promise<Record<string, string>> {
  const ports = readPorts(ctx);
  if (ports === undefined) return {};
  const providers = ownPlugins(ctx).flatMap((name) => (ports[name] === undefined ? [] : [`${name}:${ports[name]}`]));
  return providers.length === 0 ? {} : { PULUMI_DEBUG_PROVIDERS: providers.join(',') };
}

async function health(ctx: Context): Promise<Health> {
  if (!existsSync(pulumiHome(ctx))) return { healthy: false, detail: 'was never started' };
  const own = ownPlugins(ctx);
  if (own.length === 0) return { healthy: true, detail: 'not needed: the official plugins are installed' };
  const ports = readPorts(ctx);
  if (ports === undefined) return { healthy: false, detail: 'does not run' };
  return { healthy: true, detail: `stands in for ${own.join(', ')}` };
}

async function start(ctx: Context): Promise<void> {
  await ctx.progress.step('provider plugins', () => ensurePlugins(ctx));
  if (ownPlugins(ctx).length === 0) return stopProcess(ctx, NAME);
  const bundle = join(pulumiHome(ctx), HOST_FILE);
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    ...(await toolchainEnvironment(ctx)),
    ...dockerEnvironment(ctx),
  };
  // Another bundle, or another docker daemon: a new process.
  const stamp = createHash('sha256').update(readFileSync(bundle)).update(JSON.stringify(env)).digest('hex');
  const stampFile = join(ctx.directory, 'run', `${NAME}.stamp`);
  const same = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp;
  if (same && (await health(ctx)).healthy) return;
  await stopProcess(ctx, NAME);
  rmSync(portsFile(ctx), { force: true });
  await startProcess(ctx, {
    name: NAME,
    command: process.execPath,
    args: [bundle, portsFile(ctx)],
    env,
    // Programs name files relative to the project; the engine starts its plugins there as well.
    cwd: ctx.root,
  });
  await waitFor(() => health(ctx), {
    timeoutMs: 30_000,
    what: NAME,
    logFile: logFilePath(ctx, NAME),
    alive: () => isRunning(ctx, NAME),
  });
  writeFileSync(stampFile, stamp);
}

/** The repository's provider plugins in one warm process, where official ones cannot be had. */
export const pluginHost: Service = {
  name: NAME,
  url: 'loopback',
  dependsOn: ['docker'],
  health,
  start,
  stop: (ctx) => stopProcess(ctx, NAME),
};
