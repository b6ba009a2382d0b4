/** Runs `docker buildx build`. Secret values go through the environment of the child only, never its arguments. */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { dockerConfigDirectory, type RegistryCredentials } from '../docker/credentials.ts';
import { cacheArgument, csv, exportArgument, kindOf } from './arguments.ts';
import { withPrivateConfig } from './dockerConfig.ts';
import { buildFailure } from './failure.ts';
import type { ImageInputs } from './model.ts';
import { scrubber } from './scrub.ts';

export interface BuildRequest {
  readonly inputs: ImageInputs;
  /** Credentials, in rising priority. */
  readonly registries: readonly RegistryCredentials[];
  /** Address of the docker daemon; '' for docker's own default. */
  readonly host: string;
  /** Run every step but export nothing. */
  readonly preview: boolean;
  readonly signal: AbortSignal;
  /** Called with each line that the build prints, without secrets. */
  readonly onLine: (line: string) => void;
  /** Working directory that relative paths are meant from. @default the process's own */
  readonly directory?: string;
}

export interface BuildResult {
  /** `sha256:…` of what was exported; '' when nothing was. */
  readonly digest: string;
}

/** Lines kept for the error message. */
const KEPT_LINES = 400;

/** Builds an image. Throws an error with the failing step's last lines, without secrets. */
export async function runBuild(request: BuildRequest): Promise<BuildResult> {
  const clean = scrubber(secretsOf(request));
  const buildx = findBuildx();
  return withPrivateConfig(request.registries, buildx, async (config) => {
    const metadata = join(config.directory, 'metadata.json');
    const { args, env, input } = buildCommand(request, metadata);
    // The plugin binary itself does the work: `docker buildx` only where it is not in a place that we know.
    const [command, prefix] = buildx ? [buildx, []] : ['docker', ['buildx']];
    const environment: NodeJS.ProcessEnv = {
      ...process.env,
      ...config.env,
      ...env,
      BUILDX_NO_DEFAULT_ATTESTATIONS: '1',
    };
    if (request.inputs.exec) delete environment.BUILDX_NO_DEFAULT_ATTESTATIONS;
    if (request.host) environment.DOCKER_HOST = request.host;
    const lines: string[] = [];
    const code = await run(command, [...prefix, ...args], environment, input, request, (line) => {
      const safe = clean(line);
      lines.push(safe);
      if (lines.length > KEPT_LINES) lines.shift();
      request.onLine(safe);
    });
    if (code !== 0) throw buildFailure(lines, code, environment.DOCKER_HOST ?? '');
    return { digest: await readDigest(metadata) };
  });
}

async function readDigest(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '{}');
  const metadata = JSON.parse(text) as Record<string, unknown>;
  const digest = metadata['containerimage.digest'];
  return typeof digest === 'string' ? digest : '';
}

/** Every value that must not be seen: secrets, passwords, their encoded pairs and the keys of caches. */
function secretsOf(request: BuildRequest): string[] {
  const { inputs, registries } = request;
  const pairs = registries.filter((registry) => registry.password !== '');
  const keys = [...inputs.cacheFrom, ...inputs.cacheTo].flatMap((entry) => {
    const fields = kindOf(entry)[1];
    return [fields.secretAccessKey, fields.sessionToken].filter((key): key is string => typeof key === 'string');
  });
  return [
    ...Object.values(inputs.secrets),
    ...pairs.flatMap(({ username, password }) => [password, `${username}:${password}`]),
    ...keys,
  ];
}

interface Command {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Standard input: the Dockerfile when it is inline. */
  readonly input: string;
}

/** Arguments, environment and standard input of the build. */
export function buildCommand(request: BuildRequest, metadata: string): Command {
  const { inputs, preview } = request;
  const args = ['build', '--progress', 'plain', '--metadata-file', metadata];
  const env: Record<string, string> = {};
  const option = (name: string, value: string): void => {
    if (value !== '') args.push(name, value);
  };
  const pairs = (name: string, map: Readonly<Record<string, string>>): void => {
    for (const key of Object.keys(map).sort()) option(name, `${key}=${map[key] ?? ''}`);
  };
  option('--builder', inputs.builder);
  pairs('--build-arg', inputs.buildArgs);
  pairs('--label', inputs.labels);
  pairs('--build-context', inputs.named);
  for (const host of inputs.addHosts) option('--add-host', host);
  for (const entry of inputs.cacheFrom) option('--cache-from', cacheArgument(entry));
  for (const entry of inputs.cacheTo) option('--cache-to', cacheArgument(entry));
  Object.assign(env, cacheKeys(inputs));
  option('--network', inputs.network);
  if (inputs.noCache) args.push('--no-cache');
  if (inputs.pull) args.push('--pull');
  for (const platform of inputs.platforms) option('--platform', platform);
  for (const { id, paths } of inputs.ssh) option('--ssh', paths.length > 0 ? `${id}=${paths.join(',')}` : id);
  for (const tag of inputs.tags) option('--tag', tag);
  option('--target', inputs.target);
  outputs(inputs, preview, args);
  for (const [index, id] of Object.keys(inputs.secrets).sort().entries()) {
    const variable = `DEVOPS_BUILD_SECRET_${index}`;
    env[variable] = inputs.secrets[id] ?? '';
    args.push(
      '--secret',
      csv([
        ['id', id],
        ['env', variable],
      ]),
    );
  }
  if (inputs.inline !== '') args.push('--file', '-');
  else option('--file', inputs.dockerfile);
  args.push('--', inputs.context);
  return { args, env, input: inputs.inline };
}

/** A preview runs the steps and exports nothing, not even to a local directory. */
function outputs(inputs: ImageInputs, preview: boolean, args: string[]): void {
  if (preview) {
    args.push('--output', 'type=cacheonly');
    return;
  }
  for (const entry of inputs.exports) {
    const argument = exportArgument(entry);
    if (argument !== '') args.push('--output', argument);
  }
  if (inputs.push) args.push('--push');
  if (inputs.load) args.push('--load');
}

/** The access keys of S3 caches: buildx reads them from the environment as the AWS tools do. */
function cacheKeys(inputs: ImageInputs): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of [...inputs.cacheFrom, ...inputs.cacheTo]) {
    const [kind, fields] = kindOf(entry);
    if (kind !== 's3' || entry.disabled === true) continue;
    const keys = {
      AWS_ACCESS_KEY_ID: fields.accessKeyId,
      AWS_SECRET_ACCESS_KEY: fields.secretAccessKey,
      AWS_SESSION_TOKEN: fields.sessionToken,
    };
    for (const [name, value] of Object.entries(keys)) {
      if (typeof value !== 'string' || value === '') continue;
      if (found[name] !== undefined && found[name] !== value) {
        throw new Error('S3 caches with different access keys in one build are not possible: use one set of keys');
      }
      found[name] = value;
    }
  }
  return found;
}

function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  input: string,
  request: BuildRequest,
  onLine: (line: string) => void,
): Promise<number> {
  return new Promise((done, reject) => {
    const child = spawn(command, args, {
      cwd: request.directory,
      env,
      stdio: ['pipe', 'pipe', 'pipe'],
      // SIGTERM lets buildx tell the daemon to stop the steps that run.
      killSignal: 'SIGTERM',
      signal: request.signal,
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') return reject(error);
      reject(
        new Error(
          `cannot run ${command}: install docker and its buildx plugin (docker.com/go/buildx), ` +
            'or set DEVOPS_BUILDX to the path of the docker-buildx binary',
        ),
      );
    });
    const read = (stream: Readable): Promise<void> =>
      new Promise((end) => {
        const reader = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
        reader.on('line', onLine);
        reader.on('close', end);
      });
    const read2 = Promise.all([read(child.stdout), read(child.stderr)]);
    child.on('close', (code) => void read2.then(() => done(code ?? 1)));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** The buildx binary: `DEVOPS_BUILDX`, else where docker looks for plugins; undefined leaves it to the docker CLI. */
export function findBuildx(): string | undefined {
  const given = process.env.DEVOPS_BUILDX;
  if (given) {
    if (!existsSync(given)) {
      throw new Error(`DEVOPS_BUILDX names ${given}, which does not exist: set it to the path of docker-buildx`);
    }
    return resolve(given);
  }
  const directories = [
    join(dockerConfigDirectory(), 'cli-plugins'),
    join(homedir(), '.docker', 'cli-plugins'),
    '/usr/local/lib/docker/cli-plugins',
    '/usr/local/libexec/docker/cli-plugins',
    '/usr/lib/docker/cli-plugins',
    '/usr/libexec/docker/cli-plugins',
  ];
  return directories.map((directory) => join(directory, 'docker-buildx')).find((path) => existsSync(path));
}
