/**
 * Installs the repository's provider plugins where the Pulumi engine looks for them. Only ever into a PULUMI_HOME of
 * the project's own: in the user's they would hide the official plugins.
 */

import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isPluginName, PLUGIN_NAMES, type PluginName } from './index.ts';

const SOURCES = fileURLToPath(new URL('.', import.meta.url));

/** The bundle of `host.ts` in PULUMI_HOME: all plugins in one process. */
export const HOST_FILE = 'plugin-host.mjs';

/** Beside each bundle: the hash of what it was made from. */
const STAMP_FILE = 'sources.sha256';

/**
 * Started by the engine; the bundle beside it does the work. `exec`: signals and the parent's end reach node itself.
 * Options that a program needs (a TypeScript loader) would only slow the plugin down.
 */
// biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's expansion, not TypeScript's.
const LAUNCHER = '#!/bin/sh\nunset NODE_OPTIONS\nexec node "${0%/*}/main.mjs" "$@"\n';

/**
 * Bundles plugins and writes `<pulumiHome>/plugins/resource-<name>-v<version>/`. What has not changed is left alone;
 * what has is replaced in one step, so that a running engine, or a second install, never sees half of it.
 * Throws for an unknown name, for the user's own `~/.pulumi`, and when a plugin does not compile.
 *
 * @param pulumiHome absolute path of the project's PULUMI_HOME
 * @param names package names; all plugins and the host when left out
 */
export async function installPlugins(pulumiHome: string, names?: readonly string[]): Promise<void> {
  if (resolve(pulumiHome) === join(homedir(), '.pulumi')) {
    throw new Error(`${pulumiHome} is the user's own: plugins there would hide the official ones for all projects`);
  }
  const wanted = names ?? PLUGIN_NAMES;
  for (const name of wanted) {
    if (!isPluginName(name)) throw new Error(`no plugin "${name}"; there are ${PLUGIN_NAMES.join(', ')}`);
  }
  await mkdir(join(pulumiHome, 'plugins'), { recursive: true });
  const stamp = await sourceStamp();
  const results = await Promise.allSettled([
    ...wanted.map((name) => installPlugin(pulumiHome, name as PluginName, stamp)),
    ...(names === undefined ? [installHost(pulumiHome, stamp)] : []),
  ]);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

async function installPlugin(pulumiHome: string, name: PluginName, stamp: string): Promise<void> {
  const target = join(pulumiHome, 'plugins', `resource-${name}-v${packageVersion(`@pulumi/${name}`)}`);
  if ((await readText(join(target, STAMP_FILE))) === stamp) return;
  const code = await bundle(join(SOURCES, name, 'main.ts'));
  const launcher = `pulumi-resource-${name}`;
  if ((await stat(target).catch(ignoring('ENOENT'))) === undefined) {
    const fresh = `${target}.${randomUUID()}.partial`;
    try {
      await mkdir(fresh);
      await replaceFile(join(fresh, 'main.mjs'), code);
      await replaceFile(join(fresh, launcher), LAUNCHER, 0o755);
      // Another install may have been faster; what it left is looked at below.
      await rename(fresh, target).catch(ignoring('ENOTEMPTY', 'EEXIST'));
    } finally {
      await rm(fresh, { recursive: true, force: true });
    }
  }
  // Each file is whole by itself: an engine that starts the plugin now gets the old code or the new.
  await replaceFile(join(target, 'main.mjs'), code);
  await replaceFile(join(target, launcher), LAUNCHER, 0o755);
  await replaceFile(join(target, STAMP_FILE), stamp);
}

async function installHost(pulumiHome: string, stamp: string): Promise<void> {
  const target = join(pulumiHome, HOST_FILE);
  if ((await readText(`${target}.${STAMP_FILE}`)) === stamp) return;
  await replaceFile(target, await bundle(join(SOURCES, 'host.ts')));
  await replaceFile(`${target}.${STAMP_FILE}`, stamp);
}

/** Hash of all that a bundle is made from: the plugins' sources and the list of installed packages. */
async function sourceStamp(): Promise<string> {
  const entries = await readdir(SOURCES, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const packages = join(
    dirname(createRequire(import.meta.url).resolve('esbuild/package.json')),
    '../.package-lock.json',
  );
  const hash = createHash('sha256');
  for (const file of [...files.sort(), packages]) {
    hash.update(`${file}\0`).update((await readFile(file).catch(ignoring('ENOENT'))) ?? '');
  }
  return hash.digest('hex');
}

/** Writes a file in one step, unless it has this content. */
async function replaceFile(file: string, content: string, mode = 0o644): Promise<void> {
  if ((await readText(file)) === content) return;
  const fresh = `${file}.${randomUUID()}.partial`;
  try {
    await writeFile(fresh, content, { mode });
    await rename(fresh, file);
  } finally {
    await rm(fresh, { force: true });
  }
}

/** One self-contained ES module. */
async function bundle(entry: string): Promise<string> {
  const esbuild = await import('esbuild');
  const result = await esbuild.build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    minify: true,
    // Names of classes and functions are in error messages.
    keepNames: true,
    legalComments: 'none',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // Packages in CommonJS call `require` for Node's own modules, which an ES module has not got.
    banner: {
      js: `import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);`,
    },
    // An optional native binding of pg that is not installed.
    external: ['pg-native'],
    logLevel: 'silent',
    plugins: [{ name: 'package-versions', setup: inlinePackageVersions }],
  });
  const [file] = result.outputFiles;
  if (!file) throw new Error(`esbuild made no output for ${entry}`);
  return file.text;
}

const VERSION_LOOKUP = /createRequire\(import\.meta\.url\)\('([^']+)\/package\.json'\)/g;

/** Plugins look their SDK's version up in node_modules, which an installed plugin is far from: write it in. */
function inlinePackageVersions(build: import('esbuild').PluginBuild): void {
  build.onLoad({ filter: /[\\/]plugins[\\/].*\.ts$/ }, async ({ path }) => {
    if (path.includes('node_modules')) return undefined;
    const source = await readFile(path, 'utf8');
    const contents = source.replace(VERSION_LOOKUP, (_, name: string) => {
      return `(${JSON.stringify({ version: packageVersion(name) })})`;
    });
    return { contents, loader: 'ts' };
  });
}

function packageVersion(name: string): string {
  return (createRequire(import.meta.url)(`${name}/package.json`) as { version: string }).version;
}

async function readText(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(ignoring('ENOENT'));
}

function ignoring(...codes: string[]): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (error.code === undefined || !codes.includes(error.code)) throw error;
    return undefined;
  };
}
