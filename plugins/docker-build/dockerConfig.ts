/**
 * A private docker configuration for one build: the user's own, with the given registry credentials on top. It lives
 * in a directory of mode 0700 and is removed afterwards, whatever happened.
 */

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  credentialKey,
  type DockerConfig,
  dockerConfigDirectory,
  parseDockerConfig,
  type RegistryCredentials,
  readDockerConfig,
} from '../docker/credentials.ts';

export interface PrivateConfig {
  readonly directory: string;
  /** Variables that make docker and buildx use it. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The user's configuration with `registries` in front of its credential helpers. Later entries win. */
export function layerCredentials(config: DockerConfig, registries: readonly RegistryCredentials[]): DockerConfig {
  const auths: Record<string, unknown> = { ...config.auths };
  const credHelpers: Record<string, string> = { ...config.credHelpers };
  for (const { address, username, password } of registries) {
    if (username === '' && password === '') continue;
    const key = credentialKey(address);
    auths[key] = { auth: Buffer.from(`${username}:${password}`).toString('base64') };
    // An empty helper makes docker read this registry's entry from the file although a credential store is set.
    if (config.credsStore || credHelpers[key] !== undefined) credHelpers[key] = '';
  }
  return { ...config, auths, credHelpers } as DockerConfig;
}

/** Runs `work` with a private configuration. */
export async function withPrivateConfig<T>(
  registries: readonly RegistryCredentials[],
  buildx: string | undefined,
  work: (config: PrivateConfig) => Promise<T>,
): Promise<T> {
  // mkdtemp makes the directory with mode 0700.
  const directory = await mkdtemp(join(tmpdir(), 'devops-docker-'));
  try {
    const own = resolve(dockerConfigDirectory());
    const config = mergeEnvironment(await readDockerConfig(join(own, 'config.json')));
    await writeFile(join(directory, 'config.json'), JSON.stringify(layerCredentials(config, registries)), {
      mode: 0o600,
    });
    if (existsSync(join(own, 'contexts'))) await symlink(join(own, 'contexts'), join(directory, 'contexts'));
    if (buildx) {
      await mkdir(join(directory, 'cli-plugins'));
      await symlink(buildx, join(directory, 'cli-plugins', 'docker-buildx'));
    } else if (existsSync(join(own, 'cli-plugins'))) {
      await symlink(join(own, 'cli-plugins'), join(directory, 'cli-plugins'));
    }
    const env = {
      DOCKER_CONFIG: directory,
      // Builders that the user made stay reachable.
      BUILDX_CONFIG: process.env.BUILDX_CONFIG || join(own, 'buildx'),
      DOCKER_AUTH_CONFIG: undefined,
    };
    return await work({ directory, env });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Newer docker CLIs prefer `DOCKER_AUTH_CONFIG` to the file; its entries go into the file, below the given ones. */
function mergeEnvironment(config: DockerConfig): DockerConfig {
  const text = process.env.DOCKER_AUTH_CONFIG;
  if (!text) return config;
  const auths = { ...config.auths, ...parseDockerConfig(text, 'the variable DOCKER_AUTH_CONFIG').auths };
  return { ...config, auths };
}
