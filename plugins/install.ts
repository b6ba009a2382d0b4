/**
 * Installs the repository's provider plugins where the Pulumi engine looks for them. Only ever into a PULUMI_HOME of
 * the project's own: in the user's they would hide the official plugins.
 */

import { createHash, randomUUID } from 'node:crypto';
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isPluginName, PLUGIN_NAMES, type PluginName } from './index.ts';

const SOURCES = fileURLToPath(new URL('.', import.meta.url));

/** The bundle of `host.ts` in PULUMI_HOME: all plugins in one process. */
export const HOST_FILE = 'plugin-host.mjs';

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
  await Promise.all([
    ...wanted.map((name) => installPlugin(pulumiHome, name as PluginName)),
    ...(names === undefined ? [installHost(pulumiHome)] : []),
  ]);
}

async function installPlugin(pulumiHome: string, name: PluginName): Promise<void> {
  const code = await bundle(join(SOURCES, name, 'main.ts'));
  const version = sdkVersion(name);
  const target = join(pulumiHome, 'plugins', `resource-${name}-v${version}`);
  const stamp = stampOf([code, LAUNCHER]);
  if ((await readText(join(target, 'stamp'))) === stamp) return;

  const fresh = `${target}.${randomUUID()}.partial`;
  const old = `${target}.${randomUUID()}.old`;
  try {
    await mkdir(fresh);
    await writeFile(join(fresh, 'main.mjs'), code);
    await writeFile(join(fresh, `pulumi-resource-${name}`), LAUNCHER);
    await chmod(join(fresh, `pulumi-resource-${name}`), 0o755);
    await writeFile(join(fresh, 'stamp'), stamp);
    // A folder cannot be renamed over a full one. Whoever loses a race finds the winner's folder, which is as good.
    await rename(target, old).catch(ignoring('ENOENT'));
    await rename(fresh, target).catch(ignoring('ENOTEMPTY', 'EEXIST'));
  } finally {
    await rm(fresh, { recursive: true, force: true });
    await rm(old, { recursive: true, force: true });
  }
}

async function installHost(pulumiHome: string): Promise<void> {
  const code = await bundle(join(SOURCES, 'host.ts'));
  const target = join(pulumiHome, HOST_FILE);
  if ((await readText(target)) === code) return;
  const fresh = `${target}.${randomUUID()}.partial`;
  try {
    await writeFile(fresh, code);
    await rename(fresh, target);
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

function sdkVersion(name: PluginName): string {
  return packageVersion(`@pulumi/${name}`);
}

function packageVersion(name: string): string {
  return (createRequire(import.meta.url)(`${name}/package.json`) as { version: string }).version;
}

function stampOf(parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
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
