import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import lockfile from 'proper-lockfile';
import { bootId } from './process.ts';
import { LocalError, type Progress, type ToolName } from './service.ts';
import { buildFromModules } from './toolchain/build.ts';
import { download, sha256, Unreachable } from './toolchain/download.ts';
import { launcherIsCurrent, writeLauncher } from './toolchain/launcher.ts';
import { findOnMachine } from './toolchain/machine.ts';
import { currentPlatform, type ToolSet, toolSetOf } from './toolchain/sets.ts';

export interface ToolchainOptions {
  readonly progress: Progress;
  /** @default `${XDG_CACHE_HOME:-~/.cache}/development-operations` */
  readonly cache?: string;
  /** @default this process's environment */
  readonly env?: NodeJS.ProcessEnv;
  /** How a set is had when it is neither on the machine nor in the cache. @default download, else build */
  readonly obtain?: (set: ToolSet, directory: string, report: (detail: string) => void) => Promise<Way>;
}

export type Way = 'downloaded' | 'built';

export interface Toolchain {
  /** Absolute path; found, downloaded or built at the first call. */
  tool(name: ToolName): Promise<string>;
}

interface Manifest {
  readonly way: Way;
  readonly files: Record<string, { readonly sha256: string; readonly size: number; readonly mtimeMs: number }>;
}

const MODULES = fileURLToPath(new URL('toolchain/modules', import.meta.url));

/** What outlives a clone: the toolchain, base images, remembered durations. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'development-operations');
}

/**
 * The tools in pinned versions: from the machine, else from the cache, else downloaded from the vendor, else built from
 * Go modules. The way is chosen by trying; nobody sets a flag.
 */
export function createToolchain(options: ToolchainOptions): Toolchain {
  const env = options.env ?? process.env;
  const root = join(options.cache ?? cacheDirectory(env), 'toolchain');
  const found = new Map<ToolName, Promise<string>>();
  const sets = new Map<string, Promise<string>>();
  // One set at a time: a build uses every core and a download the whole line.
  let queue: Promise<unknown> = Promise.resolve();

  const ensure = (set: ToolSet): Promise<string> => {
    let directory = sets.get(set.name);
    if (directory === undefined) {
      directory = queue.then(() => ensureSet(set, root, options));
      queue = directory.catch(() => undefined);
      sets.set(set.name, directory);
    }
    return directory;
  };
  const locate = async (name: ToolName): Promise<string> => {
    const set = toolSetOf(name);
    const there = await findOnMachine(name, env, join(root, 'machine.json'), root);
    return there ?? join(await ensure(set), name);
  };
  return {
    tool(name) {
      let path = found.get(name);
      if (path === undefined) {
        path = locate(name);
        found.set(name, path);
      }
      return path;
    },
  };
}

async function ensureSet(set: ToolSet, root: string, options: ToolchainOptions): Promise<string> {
  const directory = join(root, set.name, set.version);
  if (await isCurrent(set, directory)) return directory;
  mkdirSync(join(root, set.name), { recursive: true });
  const title = `toolchain: ${set.name} ${set.version}`;
  return await options.progress.step(title, async (report) => {
    const release = await lockSet(join(root, set.name), report);
    try {
      // Another clone may have finished it while this one waited.
      if (await isIntact(directory)) {
        await renewLauncher(set, directory);
        return directory;
      }
      removeAbandoned(join(root, set.name));
      const temporary = join(root, set.name, `.${set.version}.${process.pid}`);
      mkdirSync(temporary, { recursive: true });
      try {
        const way = await (options.obtain ?? obtain)(set, temporary, report);
        await writeManifest(set, temporary, way);
        rmSync(directory, { recursive: true, force: true });
        renameSync(temporary, directory);
      } finally {
        rmSync(temporary, { recursive: true, force: true });
      }
      return directory;
    } finally {
      await release();
    }
  });
}

/** Intact, and with the present launcher. */
async function isCurrent(set: ToolSet, directory: string): Promise<boolean> {
  if (!(await isIntact(directory))) return false;
  return !hasLauncher(set, directory) || launcherIsCurrent(set.launcher, directory);
}

/** The program of a cache that an earlier version made is kept: building it takes a minute. */
async function renewLauncher(set: ToolSet, directory: string): Promise<void> {
  if (!hasLauncher(set, directory) || launcherIsCurrent(set.launcher, directory)) return;
  writeLauncher(set.launcher, directory);
  await writeManifest(set, directory, 'built');
}

/** Only a tool that was built has one. */
function hasLauncher(
  set: ToolSet,
  directory: string,
): set is ToolSet & { readonly launcher: NonNullable<ToolSet['launcher']> } {
  return set.launcher !== undefined && existsSync(join(directory, set.launcher.binary));
}

async function lockSet(path: string, report: (detail: string) => void): Promise<() => Promise<void>> {
  const options = { stale: 60_000, update: 10_000 };
  try {
    return await lockfile.lock(path, options);
  } catch {
    report('waiting for another run that is working on it');
    return await lockfile.lock(path, { ...options, retries: { forever: true, minTimeout: 1000, maxTimeout: 3000 } });
  }
}

/** Temporary folders of runs that were killed. Called under the lock. */
function removeAbandoned(path: string): void {
  for (const entry of readdirSync(path)) {
    if (/^\..*\.\d+$/.test(entry)) rmSync(join(path, entry), { recursive: true, force: true });
  }
}

async function obtain(set: ToolSet, directory: string, report: (detail: string) => void): Promise<Way> {
  const downloads = set.downloads(currentPlatform());
  try {
    for (const item of downloads) await download(item, set.tools, directory, report);
    return 'downloaded';
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    report(`${error.message}; building it from Go modules`);
  }
  await buildFromModules(set, MODULES, directory, report);
  return 'built';
}

async function writeManifest(set: ToolSet, directory: string, way: Way): Promise<void> {
  const files: Manifest['files'] = {};
  const built = way === 'built' && set.launcher !== undefined ? [set.launcher.binary] : [];
  for (const tool of [...set.tools, ...built]) {
    const path = join(directory, tool);
    if (!existsSync(path)) {
      // The servers of Kubernetes are for Linux only.
      if (currentPlatform().os !== 'linux') continue;
      throw new LocalError(`${set.name} ${set.version} was ${way}, but ${tool} is not in it`);
    }
    const { size, mtimeMs } = statSync(path);
    files[tool] = { sha256: await sha256(path), size, mtimeMs };
  }
  const manifest = join(directory, 'manifest.json');
  writeFileSync(`${manifest}.new`, JSON.stringify({ way, files } satisfies Manifest, undefined, 2));
  renameSync(`${manifest}.new`, manifest);
  writeFileSync(join(directory, 'verified'), bootId());
}

/**
 * Whether a cached set is whole. Size and time at every use; the checksum once a boot, as reading all of it takes
 * seconds.
 */
async function isIntact(directory: string): Promise<boolean> {
  try {
    const manifest = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8')) as Manifest;
    const stamp = join(directory, 'verified');
    const verified = existsSync(stamp) && readFileSync(stamp, 'utf8') === bootId();
    for (const [tool, expected] of Object.entries(manifest.files)) {
      const path = join(directory, tool);
      const { size, mtimeMs } = statSync(path);
      if (size !== expected.size || mtimeMs !== expected.mtimeMs) return false;
      if (!verified && (await sha256(path)) !== expected.sha256) return false;
    }
    if (!verified) writeFileSync(stamp, bootId());
    return true;
  } catch {
    return false;
  }
}
