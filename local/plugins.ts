import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { PLUGIN_NAMES } from '../plugins/index.ts';
import { installPlugins } from '../plugins/install.ts';
import { tryRun } from './run.ts';
import type { Context } from './service.ts';
import { cacheDirectory } from './toolchain.ts';
import { toolchainEnvironment } from './toolchainEnvironment.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Where the CLI downloads official plugins from. */
const VENDOR_URLS = ['https://get.pulumi.com/', 'https://github.com/'];

/** PULUMI_HOME of the project: the user's own is never written to. */
export function pulumiHome(ctx: Pick<Context, 'directory'>): string {
  return join(ctx.directory, 'pulumi-home');
}

function ownListFile(ctx: Pick<Context, 'directory'>): string {
  return join(pulumiHome(ctx), 'own-plugins.json');
}

/** Names of the plugins of this repository that stand in for official ones. */
export function ownPlugins(ctx: Pick<Context, 'directory'>): string[] {
  try {
    return JSON.parse(readFileSync(ownListFile(ctx), 'utf8')) as string[];
  } catch {
    return [];
  }
}

export function ownPluginsInstalled(ctx: Pick<Context, 'directory'>): boolean {
  return ownPlugins(ctx).length > 0;
}

/**
 * Fills the project's PULUMI_HOME: for each package the official plugin where the user has it or it can be downloaded,
 * else the one of this repository.
 */
export async function ensurePlugins(ctx: Context): Promise<void> {
  const own: string[] = [];
  const officials = new Map<string, string>();
  for (const name of PLUGIN_NAMES) {
    const version = sdkVersion(ctx, name);
    const official = await findOfficial(ctx, name, version);
    if (official === undefined) own.push(name);
    else officials.set(`resource-${name}-v${version}`, official);
  }
  mkdirSync(pulumiHome(ctx), { recursive: true });
  // Bundling takes seconds: only when a source, a dependency or the list has changed.
  const stamp = sourceStamp(ctx, own);
  const stampFile = join(pulumiHome(ctx), 'own-plugins.stamp');
  if (!existsSync(stampFile) || readFileSync(stampFile, 'utf8') !== stamp) {
    // All of them, as the host serves all; the official ones then take their places.
    if (own.length > 0) await installPlugins(pulumiHome(ctx));
    for (const [folder, official] of officials) link(ctx, official, folder);
    writeFileSync(stampFile, stamp);
  }
  writeFileSync(ownListFile(ctx), JSON.stringify(own));
}

function sourceStamp(ctx: Pick<Context, 'root'>, own: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify(own));
  const folder = join(ctx.root, 'plugins');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  for (const file of files.sort()) hash.update(file).update(readFileSync(join(folder, file)));
  return hash.update(readFileSync(join(ctx.root, 'package-lock.json'))).digest('hex');
}

function sdkVersion(ctx: Pick<Context, 'root'>, name: string): string {
  const require = createRequire(join(ctx.root, 'package.json'));
  return (require(`@pulumi/${name}/package.json`) as { version: string }).version;
}

async function findOfficial(ctx: Context, name: string, version: string): Promise<string | undefined> {
  const folder = `resource-${name}-v${version}`;
  const users = join(process.env.PULUMI_HOME ?? join(homedir(), '.pulumi'), 'plugins', folder);
  if (existsSync(join(users, `pulumi-resource-${name}`))) return users;
  const cacheHome = join(cacheDirectory(), 'pulumi-home');
  const cached = join(cacheHome, 'plugins', folder);
  if (existsSync(join(cached, `pulumi-resource-${name}`))) return cached;
  if (!(await vendorIsReachable())) return undefined;
  const env = { ...(await toolchainEnvironment(ctx)), PULUMI_HOME: cacheHome };
  const installed = await ctx.progress.step(`official plugin ${name} ${version}`, async () =>
    tryRun(await ctx.tool('pulumi'), ['plugin', 'install', 'resource', name, `v${version}`], {
      env,
      timeoutMs: 10 * 60_000,
    }),
  );
  if (installed !== undefined && existsSync(join(cached, `pulumi-resource-${name}`))) return cached;
  rememberUnreachable();
  return undefined;
}

function unreachableFile(): string {
  return join(cacheDirectory(), 'plugins-unreachable');
}

/** Asked again after a day: a laptop may have been offline. */
async function vendorIsReachable(): Promise<boolean> {
  try {
    if (Date.now() - Number(readFileSync(unreachableFile(), 'utf8')) < DAY_MS) return false;
  } catch {
    // Never asked.
  }
  const answers = await Promise.all(
    VENDOR_URLS.map((url) =>
      tryRun('curl', ['-sS', '-o', '/dev/null', '--connect-timeout', '5', url], { timeoutMs: 15_000 }),
    ),
  );
  if (answers.some((answer) => answer !== undefined)) return true;
  rememberUnreachable();
  return false;
}

function rememberUnreachable(): void {
  mkdirSync(dirname(unreachableFile()), { recursive: true });
  writeFileSync(unreachableFile(), String(Date.now()));
}

/** A real folder with links to its files: the engine passes over folders that are links. */
function link(ctx: Pick<Context, 'directory'>, source: string, folder: string): void {
  const target = join(pulumiHome(ctx), 'plugins', folder);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const entry of readdirSync(source)) symlinkSync(join(source, entry), join(target, entry));
}
