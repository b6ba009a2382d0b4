/** Versions of an application's images for one test: copies of what `npm run up` has pushed, made by the registry's API alone. */

import { createHash } from 'node:crypto';
import { REGISTRY_ADDRESS } from '../../../local/facts.ts';
import { registryAuthorization } from '../../../local/registry.ts';

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

interface Manifest {
  readonly mediaType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** The part of an image's configuration that tests change (OCI image specification, config.md). */
export interface ImageConfig {
  Cmd?: string[];
  Entrypoint?: string[];
  Labels?: Record<string, string>;
}

const MANIFESTS = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

type Context = Parameters<typeof registryAuthorization>[0];

/** The local registry, as its user. */
export class Images {
  readonly #pushed = new Map<string, Set<string>>();

  constructor(private readonly ctx: Context) {}

  /**
   * Puts a version of an image into a repository of the test's own. It shares the layers; a label makes its digest
   * another one than that of every other version.
   *
   * @param from repository and tag of the image that is copied: `orders:local`
   * @param to repository and tag: `mine/orders:1`
   * @param change of the image's configuration, such as another command. @default none but the label
   * @returns the digest
   */
  async copy(from: string, to: string, change: (config: ImageConfig) => void = () => undefined): Promise<string> {
    const [source = '', sourceTag = 'latest'] = from.split(':');
    const [target = '', version = 'latest'] = to.split(':');
    const found = await this.#call('GET', `/v2/${source}/manifests/${sourceTag}`, { headers: { accept: MANIFESTS } });
    const mediaType = found.headers.get('content-type') ?? '';
    const manifest = (await found.json()) as Manifest;
    for (const { digest } of manifest.layers) {
      await this.#call('POST', `/v2/${target}/blobs/uploads/?mount=${digest}&from=${source}`);
    }
    const config = await this.#call('GET', `/v2/${source}/blobs/${manifest.config.digest}`);
    const image = (await config.json()) as { config: ImageConfig };
    image.config.Labels = { ...image.config.Labels, version };
    change(image.config);
    const changed = Buffer.from(JSON.stringify(image));
    const digest = `sha256:${createHash('sha256').update(changed).digest('hex')}`;
    await this.#upload(target, changed, digest);
    const body = JSON.stringify({ ...manifest, config: { ...manifest.config, digest, size: changed.length } });
    const put = await this.#call('PUT', `/v2/${target}/manifests/${version}`, {
      headers: { 'content-type': mediaType },
      body,
    });
    const pushed = put.headers.get('docker-content-digest') ?? '';
    this.#pushed.set(target, (this.#pushed.get(target) ?? new Set()).add(pushed));
    return pushed;
  }

  /** Removes everything that was put. */
  async remove(): Promise<void> {
    for (const [repository, digests] of this.#pushed) {
      for (const digest of digests) await this.#call('DELETE', `/v2/${repository}/manifests/${digest}`, {}, [404]);
    }
    this.#pushed.clear();
  }

  async #upload(repository: string, content: Buffer, digest: string): Promise<void> {
    const begun = await this.#call('POST', `/v2/${repository}/blobs/uploads/`);
    const url = new URL(begun.headers.get('location') ?? '', `http://${REGISTRY_ADDRESS}`);
    url.searchParams.set('digest', digest);
    await this.#call('PUT', `${url.pathname}${url.search}`, {
      headers: { 'content-type': 'application/octet-stream' },
      body: new Uint8Array(content),
    });
  }

  async #call(method: string, path: string, init: RequestInit = {}, also: readonly number[] = []): Promise<Response> {
    const headers = { authorization: registryAuthorization(this.ctx), ...(init.headers as Record<string, string>) };
    const answer = await fetch(`http://${REGISTRY_ADDRESS}${path}`, { ...init, method, headers });
    if (answer.ok || also.includes(answer.status)) return answer;
    throw new Error(`the registry answered ${answer.status} to ${method} ${path}: ${await answer.text()}`);
  }
}
