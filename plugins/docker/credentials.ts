/**
 * Registry credentials: those given to the provider first, then the docker configuration of the user (plain entries,
 * credential store, credential helpers) as the docker CLI looks them up
 * (https://docs.docker.com/reference/cli/docker/login/#credential-stores).
 */

import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { DOCKER_HUB, registryHost } from './reference.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** An OAuth refresh token, which some credential helpers give in place of a password. */
  readonly identityToken?: string;
}

/** Credentials for one registry, as they arrive in configuration. */
export interface RegistryCredentials extends Credentials {
  readonly address: string;
}

interface AuthEntry {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
}

/** What is read of docker's config.json; other keys are kept as they are. */
export interface DockerConfig {
  readonly auths?: Readonly<Record<string, AuthEntry>>;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly [key: string]: unknown;
}

/** The user's docker configuration directory: `DOCKER_CONFIG`, else `~/.docker`. */
export function dockerConfigDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return env.DOCKER_CONFIG || join(homedir(), '.docker');
}

/** Reads a docker config.json; an absent file is an empty configuration. */
export async function readDockerConfig(file: string): Promise<DockerConfig> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  return parseDockerConfig(text, file);
}

/** Parses a docker config.json. The error never shows the text, which holds passwords. */
export function parseDockerConfig(text: string, where: string): DockerConfig {
  let value: unknown;
  try {
    value = text.trim() === '' ? {} : JSON.parse(text);
  } catch {
    throw new Error(`${where} is not valid JSON: repair it, or log in again with docker login`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${where} is not a docker configuration: a JSON object is expected`);
  }
  return value as DockerConfig;
}

/** The key under which docker stores the credentials of a registry. */
export function credentialKey(address: string): string {
  const host = registryHost(address);
  return host === DOCKER_HUB ? 'https://index.docker.io/v1/' : host;
}

function fromEntry(entry: AuthEntry): Credentials | undefined {
  if (entry.identitytoken) {
    return { username: entry.username ?? '', password: '', identityToken: entry.identitytoken };
  }
  if (entry.username && entry.password) return { username: entry.username, password: entry.password };
  if (!entry.auth) return undefined;
  const decoded = Buffer.from(entry.auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = decoded.indexOf(':');
  return colon < 0 ? undefined : { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

/**
 * Asks a credential helper (`docker-credential-<name> get`, the server on standard input). Undefined when it has none.
 * Throws when the helper is missing or fails: a store that is skipped in silence would show as a puzzling 401 later.
 */
export async function askHelper(name: string, server: string, signal?: AbortSignal): Promise<Credentials | undefined> {
  const command = `docker-credential-${name}`;
  const { code, stdout, stderr } = await new Promise<{ code: number | null; stdout: string; stderr: string }>(
    (resolve, reject) => {
      const child = spawn(command, ['get'], { stdio: ['pipe', 'pipe', 'pipe'], timeout: 30_000, signal });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (chunk: Buffer) => {
        stdout += chunk.toString();
      });
      child.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk.toString();
      });
      child.on('error', (error: NodeJS.ErrnoException) => {
        reject(
          error.code === 'ENOENT'
            ? new Error(
                `docker's configuration names the credential helper ${command}, which is not on PATH: install it`,
              )
            : error,
        );
      });
      child.on('close', (code) => resolve({ code, stdout, stderr }));
      // A helper that ends before it has read its input must not end this process with EPIPE.
      child.stdin.on('error', () => undefined);
      child.stdin.end(server);
    },
  );
  if (code !== 0) {
    // The helpers' protocol: "credentials not found in native keychain" on standard output, exit code 1.
    if (/credentials not found/i.test(stdout + stderr)) return undefined;
    throw new Error(`${command} get failed for ${server} (exit code ${code}): ${firstLine(stderr) || 'no message'}`);
  }
  const answer = JSON.parse(stdout) as { Username?: string; Secret?: string };
  if (!answer.Secret) return undefined;
  return answer.Username === '<token>'
    ? { username: '', password: '', identityToken: answer.Secret }
    : { username: answer.Username ?? '', password: answer.Secret };
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}

/** The credentials that a docker configuration holds for a registry. */
export async function credentialsFromConfig(
  config: DockerConfig,
  registry: string,
  signal?: AbortSignal,
): Promise<Credentials | undefined> {
  const host = registryHost(registry);
  const key = credentialKey(registry);
  const helper = config.credHelpers?.[host] ?? config.credHelpers?.[key] ?? config.credsStore;
  if (helper) {
    const found = await askHelper(helper, key, signal);
    if (found) return found;
  }
  for (const [address, entry] of Object.entries(config.auths ?? {})) {
    if (registryHost(address) === host) {
      const found = fromEntry(entry);
      if (found) return found;
    }
  }
  return undefined;
}

/** The last of `given` for this registry (later ones win), else what the user's docker configuration has. */
export async function findCredentials(
  registry: string,
  given: readonly RegistryCredentials[],
  signal?: AbortSignal,
): Promise<Credentials | undefined> {
  const host = registryHost(registry);
  const own = given.filter((entry) => registryHost(entry.address) === host).at(-1);
  if (own && (own.username || own.password)) return own;
  const config = await readDockerConfig(join(dockerConfigDirectory(), 'config.json'));
  return credentialsFromConfig(config, registry, signal);
}
