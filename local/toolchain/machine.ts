import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { tryRun } from '../run.ts';
import type { ToolName } from '../service.ts';
import { acceptsOnMachine, toolSetOf } from './sets.ts';

/** Where the docker CLI looks for plugins (Docker documentation, "CLI plugins"). */
function pluginDirectories(env: NodeJS.ProcessEnv): string[] {
  return [
    join(env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'cli-plugins'),
    '/usr/local/lib/docker/cli-plugins',
    '/usr/local/libexec/docker/cli-plugins',
    '/usr/lib/docker/cli-plugins',
    '/usr/libexec/docker/cli-plugins',
  ];
}

/** The first executable of that name on PATH (and in `more`); undefined when there is none. */
export function which(
  name: string,
  env: NodeJS.ProcessEnv = process.env,
  more: readonly string[] = [],
): string | undefined {
  for (const directory of [...(env.PATH ?? '').split(delimiter), ...more]) {
    if (directory === '') continue;
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

/** The first `major.minor.patch` in a program's output. */
export function parseVersion(output: string): [number, number, number] | undefined {
  const match = /(\d+)\.(\d+)\.(\d+)/.exec(output);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3])];
}

/**
 * A tool that is on the machine already, in a version that will do.
 *
 * @param memory a file that remembers versions by path, size and time, as asking costs a process each
 * @param exclude a folder that does not count (the toolchain's own, when it is on PATH)
 */
export async function findOnMachine(
  tool: ToolName,
  env: NodeJS.ProcessEnv,
  memory: string,
  exclude: string,
): Promise<string | undefined> {
  const candidates = [
    which(tool, env),
    ...(tool === 'docker-buildx' ? [which(tool, {}, pluginDirectories(env))] : []),
    // The official CLI brings the language host beside itself.
    ...(tool === 'pulumi-language-nodejs' ? [besidePulumi(env)] : []),
  ];
  for (const path of candidates) {
    if (path === undefined || path.startsWith(exclude)) continue;
    const version = await versionOf(tool, path, env, memory);
    if (version !== undefined && acceptsOnMachine(tool, version)) return path;
  }
  return undefined;
}

function besidePulumi(env: NodeJS.ProcessEnv): string | undefined {
  const pulumi = which('pulumi', env);
  if (pulumi === undefined) return undefined;
  const path = join(dirname(pulumi), 'pulumi-language-nodejs');
  return existsSync(path) ? path : undefined;
}

async function versionOf(
  tool: ToolName,
  path: string,
  env: NodeJS.ProcessEnv,
  memory: string,
): Promise<[number, number, number] | undefined> {
  const { size, mtimeMs } = statSync(path);
  const key = `${path}:${size}:${mtimeMs}`;
  const known = readMemory(memory);
  if (known[key] === undefined) {
    const args = tool === 'kubectl' ? ['version', '--client'] : toolSetOf(tool).onMachine.versionArgs;
    const answer = await tryRun(path, args, { env: { ...env, PULUMI_SKIP_UPDATE_CHECK: '1' }, timeoutMs: 10_000 });
    const version = answer === undefined ? undefined : parseVersion(`${answer.stdout}\n${answer.stderr}`);
    known[key] = version?.join('.') ?? 'none';
    try {
      mkdirSync(dirname(memory), { recursive: true });
      writeFileSync(memory, JSON.stringify(known, undefined, 2));
    } catch {
      // Asked again next time.
    }
  }
  return parseVersion(known[key] ?? '');
}

function readMemory(path: string): Record<string, string> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
  } catch {
    return {};
  }
}
