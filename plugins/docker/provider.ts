/** The `docker` provider: the function `getRegistryImage`. Needs no docker daemon. */

import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  type CheckResult,
  type ConfigureRequest,
  type CreateResult,
  type DiffResult,
  type InvokeRequest,
  type InvokeResult,
  type Plugin,
  type Provider,
  type ReadResult,
  UnsupportedTypeError,
  type UpdateResult,
} from '../framework/provider.ts';
import { containsUnknown, isMap, type PropertyMap, type PropertyValue, unwrap } from '../framework/values.ts';
import { type Credentials, credentialsFromConfig, findCredentials, parseDockerConfig } from './credentials.ts';
import { parseReference, registryHost } from './reference.ts';
import { RegistryClient, RegistryError } from './registryClient.ts';

const GET_REGISTRY_IMAGE = 'docker:index/getRegistryImage:getRegistryImage';

/** One entry of the provider's `registryAuth`. */
interface RegistryAuth {
  readonly address: string;
  readonly authDisabled: boolean;
  readonly username: string;
  readonly password: string;
  readonly configFile: string;
  readonly configFileContent: string;
}

export class DockerProvider implements Provider {
  readonly capabilities = { acceptSecrets: true, supportsPreview: true };
  private auths: readonly RegistryAuth[] = [];

  constructor(private readonly plugin: Pick<Plugin, 'name' | 'version'>) {}

  async configure(request: ConfigureRequest): Promise<void> {
    this.auths = readRegistryAuth(request.inputs.registryAuth);
  }

  async invoke(request: InvokeRequest): Promise<InvokeResult> {
    if (request.token !== GET_REGISTRY_IMAGE) throw new UnsupportedTypeError(this.plugin, request.token);
    const args = unwrap(request.args) as PropertyMap;
    const name = args.name;
    if (typeof name !== 'string' || name === '') {
      return { result: {}, failures: [{ property: 'name', reason: 'an image name is required, e.g. node:20' }] };
    }
    const insecureSkipVerify = args.insecureSkipVerify === true;
    const digest = await this.digest(name, insecureSkipVerify, request.signal);
    return { result: { id: digest, insecureSkipVerify, name, sha256Digest: digest } };
  }

  private async digest(name: string, insecureSkipVerify: boolean, signal: AbortSignal): Promise<string> {
    const reference = parseReference(name);
    const auth = this.auths.filter((entry) => registryHost(entry.address) === reference.registry).at(-1);
    const protocol = auth?.address.startsWith('http://') ? 'http:' : undefined;
    const credentials = await this.credentials(reference.registry, auth, signal);
    const client = new RegistryClient(reference.registry, { credentials, insecureSkipVerify, protocol, signal });
    let digest: string | undefined;
    try {
      digest = await client.digest(reference);
    } catch (error) {
      if (error instanceof RegistryError) throw new Error(`cannot look up the image "${name}": ${error.message}`);
      throw error;
    }
    if (digest === undefined) {
      throw new Error(`the image "${name}" does not exist: check its name and tag, or push it first`);
    }
    return digest;
  }

  /** In the official order: username, then content, then file; without an entry, the user's docker configuration. */
  private async credentials(
    registry: string,
    auth: RegistryAuth | undefined,
    signal: AbortSignal,
  ): Promise<Credentials | undefined> {
    if (auth?.authDisabled) return undefined;
    if (auth?.username) return { username: auth.username, password: auth.password };
    if (auth?.configFileContent) {
      const config = parseDockerConfig(auth.configFileContent, 'registryAuth.configFileContent');
      return credentialsFromConfig(config, registry, signal);
    }
    if (auth?.configFile) {
      const file = auth.configFile.replace(/^~\//, `${homedir()}/`);
      return credentialsFromConfig(parseDockerConfig(await readConfigFile(file), file), registry, signal);
    }
    return findCredentials(registry, [], signal);
  }

  async check(request: { readonly type: string }): Promise<CheckResult> {
    throw new UnsupportedTypeError(this.plugin, request.type);
  }

  async diff(request: { readonly type: string }): Promise<DiffResult> {
    throw new UnsupportedTypeError(this.plugin, request.type);
  }

  async create(request: { readonly type: string }): Promise<CreateResult> {
    throw new UnsupportedTypeError(this.plugin, request.type);
  }

  async read(request: { readonly type: string }): Promise<ReadResult> {
    throw new UnsupportedTypeError(this.plugin, request.type);
  }

  async update(request: { readonly type: string }): Promise<UpdateResult> {
    throw new UnsupportedTypeError(this.plugin, request.type);
  }

  async delete(request: { readonly type: string }): Promise<void> {
    throw new UnsupportedTypeError(this.plugin, request.type);
  }
}

/** `DOCKER_CONFIG` may name a directory or a file, so both are read. */
async function readConfigFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EISDIR') return readFile(join(file, 'config.json'), 'utf8');
    throw new Error(`registryAuth.configFile: cannot read ${file} (${code}): give the path of a docker config.json`);
  }
}

function readRegistryAuth(value: PropertyValue | undefined): RegistryAuth[] {
  if (value === undefined || value === null || containsUnknown(value)) return [];
  const plain = unwrap(value);
  const list = typeof plain === 'string' ? (JSON.parse(plain) as PropertyValue) : plain;
  if (!Array.isArray(list)) throw new Error('docker:registryAuth: a list of registries is expected');
  return list.map((item, index) => {
    if (!isMap(item) || typeof item.address !== 'string' || item.address === '') {
      throw new Error(`docker:registryAuth[${index}].address: the address of a registry is expected`);
    }
    const text = (key: string): string => (typeof item[key] === 'string' ? item[key] : '');
    return {
      address: item.address,
      authDisabled: item.authDisabled === true,
      username: text('username') || process.env.DOCKER_REGISTRY_USER || '',
      password: text('password') || process.env.DOCKER_REGISTRY_PASS || '',
      configFile: text('configFile'),
      configFileContent: text('configFileContent'),
    };
  });
}
