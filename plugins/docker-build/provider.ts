/** The `docker-build` provider: the resource `Image`, built with buildx. */

import { execFile } from 'node:child_process';
import type { RegistryCredentials } from '../docker/credentials.ts';
import {
  type CheckRequest,
  type CheckResult,
  type ConfigureRequest,
  type CreateRequest,
  type CreateResult,
  type DeleteRequest,
  type DiffRequest,
  type DiffResult,
  type InvokeRequest,
  type InvokeResult,
  type Log,
  type Plugin,
  type Provider,
  type ReadRequest,
  type ReadResult,
  UnsupportedTypeError,
  type UpdateRequest,
  type UpdateResult,
} from '../framework/provider.ts';
import { containsUnknown, type PropertyMap, type PropertyValue, unwrap } from '../framework/values.ts';
import { checkImage } from './check.ts';
import { diffImage } from './diff.ts';
import { buildImage, existingTags, localReferences, pushedReferences, removePushed } from './image.ts';
import { fillInputs } from './inputs.ts';
import { registries, toImageInputs } from './model.ts';

const IMAGE = 'docker-build:index:Image';
const REMOVE_TIMEOUT_MS = 30_000;

export class DockerBuildProvider implements Provider {
  readonly capabilities = { acceptSecrets: true, supportsPreview: true };
  private host = '';
  private registries: readonly RegistryCredentials[] = [];

  constructor(
    private readonly plugin: Pick<Plugin, 'name' | 'version'>,
    private readonly log: Log,
  ) {}

  async checkConfig(request: { readonly news: PropertyMap }): Promise<CheckResult> {
    return { inputs: { ...request.news, host: request.news.host ?? process.env.DOCKER_HOST ?? '' } };
  }

  async configure(request: ConfigureRequest): Promise<void> {
    const { host, registries: given } = request.inputs;
    const address = host === undefined ? '' : unwrap(host);
    this.host = typeof address === 'string' ? address : '';
    this.registries = readRegistries(given);
  }

  async check(request: CheckRequest): Promise<CheckResult> {
    this.expectImage(request.type);
    const inputs = fillInputs(request.news);
    return { inputs, failures: await checkImage(request.news, inputs) };
  }

  async diff(request: DiffRequest): Promise<DiffResult> {
    this.expectImage(request.type);
    return diffImage(request.olds, request.news, request.ignoreChanges);
  }

  async create(request: CreateRequest): Promise<CreateResult> {
    this.expectImage(request.type);
    const state = await this.build(request, request.inputs, true);
    // The official provider's id: the digest, or the resource's name where nothing was exported.
    const digest = typeof state.digest === 'string' ? state.digest : '';
    return { id: request.preview ? '' : digest || request.name, state };
  }

  async update(request: UpdateRequest): Promise<UpdateResult> {
    this.expectImage(request.type);
    return { state: await this.build(request, request.news, false) };
  }

  private build(
    request: { readonly urn: string; readonly preview: boolean; readonly signal: AbortSignal },
    inputs: PropertyMap,
    create: boolean,
  ): Promise<PropertyMap> {
    const { urn, preview, signal } = request;
    return buildImage(inputs, {
      urn,
      preview,
      create,
      signal,
      host: this.host,
      registries: this.registries,
      log: this.log,
    });
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    this.expectImage(request.type);
    const { id, state, inputs } = request;
    if (Object.keys(state).length === 0) {
      throw new Error(
        'an Image cannot be imported: an image does not tell what it was built from. Let it be built anew.',
      );
    }
    const own = registries(unwrap(inputs.registries ?? state.registries ?? null));
    const tags = await existingTags(state, [...this.registries, ...own], request.signal, (message) =>
      this.log.warn(message, request.urn),
    );
    if (tags === undefined) return { id, state, inputs };
    if (tags.length === 0) return { id: '', state: {}, inputs: {} };
    return { id, state: { ...state, tags }, inputs };
  }

  async delete(request: DeleteRequest): Promise<void> {
    this.expectImage(request.type);
    const { state, signal, urn } = request;
    const own = registries(unwrap(state.registries ?? null));
    const warn = (message: string): void => this.log.warn(message, urn);
    await this.removeLocally(state);
    await removePushed(pushedReferences(state), [...this.registries, ...own], signal, warn);
  }

  /**
   * Takes the image out of the daemon's own store, as far as that is possible. A tag goes only where it still names
   * this image. A daemon that is gone holds no image: no reason to keep the resource.
   */
  private async removeLocally(state: PropertyMap): Promise<void> {
    const digest = typeof state.digest === 'string' ? state.digest : '';
    const tags = digest === '' ? [] : toImageInputs(state).tags;
    for (const tag of tags) {
      const digests = await this.docker('image', 'inspect', '--format', '{{.Id}} {{.RepoDigests}}', tag);
      if (digests.includes(digest)) await this.docker('image', 'rm', '--force', tag);
    }
    for (const reference of localReferences(state)) await this.docker('image', 'rm', '--force', reference);
  }

  /** What the docker CLI prints; '' when it fails. */
  private docker(...args: string[]): Promise<string> {
    const env = this.host ? { ...process.env, DOCKER_HOST: this.host } : process.env;
    return new Promise((done) => {
      execFile('docker', args, { env, timeout: REMOVE_TIMEOUT_MS }, (error, stdout) => done(error ? '' : stdout));
    });
  }

  async invoke(request: InvokeRequest): Promise<InvokeResult> {
    throw new UnsupportedTypeError(this.plugin, request.token);
  }

  private expectImage(type: string): void {
    if (type !== IMAGE) throw new UnsupportedTypeError(this.plugin, type);
  }
}

/** The provider's `registries`: a list, or its JSON text as the SDK sends it. */
function readRegistries(value: PropertyValue | undefined): RegistryCredentials[] {
  if (value === undefined || value === null || containsUnknown(value)) return [];
  const plain = unwrap(value);
  return registries(typeof plain === 'string' && plain !== '' ? (JSON.parse(plain) as PropertyValue) : plain);
}
