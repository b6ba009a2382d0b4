/**
 * The little of the registry HTTP API that is needed here: look at, tag and delete a manifest, read a blob
 * (https://distribution.github.io/distribution/spec/api/), with basic or token authentication
 * (https://distribution.github.io/distribution/spec/auth/token/).
 */

import { createHash } from 'node:crypto';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { Credentials } from './credentials.ts';
import { DOCKER_HUB, isLoopback, type Reference } from './reference.ts';

const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];
const TIMEOUT_MS = 30_000;
/** A manifest is a few kilobytes; registries refuse larger ones than 4 MiB (OCI distribution specification). */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** An answer of the registry that is neither success nor "not found". */
export class RegistryError extends Error {
  constructor(
    message: string,
    /** HTTP status; 0 when the registry could not be reached. */
    readonly status: number,
  ) {
    super(message);
    this.name = 'RegistryError';
  }
}

export interface RegistryClientOptions {
  readonly credentials?: Credentials;
  /** Accept any TLS certificate. @default false */
  readonly insecureSkipVerify?: boolean;
  /** `http:` or `https:`. @default http: for loopback addresses (as docker does), else https: */
  readonly protocol?: 'http:' | 'https:';
  readonly signal?: AbortSignal;
}

/** A manifest as the registry keeps it: its bytes are what the digest is of. */
export interface Manifest {
  readonly mediaType: string;
  readonly digest: string;
  readonly content: Buffer;
}

/** What an index says of a manifest (OCI image specification, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Body {
  readonly type: string;
  readonly content: Buffer;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** A client for one registry. Holds no connection between calls. */
export class RegistryClient {
  private readonly base: string;
  private authorization: string | undefined;

  constructor(
    private readonly registry: string,
    private readonly options: RegistryClientOptions = {},
  ) {
    const protocol = options.protocol ?? (isLoopback(registry) ? 'http:' : 'https:');
    this.base = `${protocol}//${registry === DOCKER_HUB ? 'registry-1.docker.io' : registry}`;
    const credentials = options.credentials;
    if (credentials?.password) this.authorization = basic(credentials);
  }

  /** The digest that a tag or digest has in the registry; undefined when the registry does not have it. */
  async digest(reference: Reference): Promise<string | undefined> {
    const path = manifestPath(reference);
    for (const method of ['HEAD', 'GET']) {
      const answer = await this.call(method, path, `repository:${reference.repository}:pull`);
      if (answer.status === 404) return undefined;
      this.expect(answer, 200, reference);
      const header = answer.headers['docker-content-digest'];
      if (typeof header === 'string' && header !== '') return header;
      if (answer.body.length > 0) return `sha256:${createHash('sha256').update(answer.body).digest('hex')}`;
    }
    throw new RegistryError(`${this.registry} names no digest for ${reference.repository}`, 200);
  }

  /** Asks whether the registry takes the credentials. Throws RegistryError when it does not, or does not answer. */
  async authenticate(): Promise<void> {
    const answer = await this.call('GET', '/v2/', '');
    this.expect(answer, 200, this.registry);
  }

  /** The manifest or index that a tag or digest names; undefined when the registry does not have it. */
  async manifest(reference: Reference): Promise<Manifest | undefined> {
    const answer = await this.call('GET', manifestPath(reference), `repository:${reference.repository}:pull`);
    if (answer.status === 404) return undefined;
    this.expect(answer, 200, reference);
    return {
      mediaType: answer.headers['content-type'] ?? '',
      digest: `sha256:${createHash('sha256').update(answer.body).digest('hex')}`,
      content: answer.body,
    };
  }

  /** What was attached to an image, by the referrers API or, where the registry has none, by its tag. */
  async referrers({ repository, digest = '' }: Reference): Promise<readonly Descriptor[]> {
    const scope = `repository:${repository}:pull`;
    const own = await this.call('GET', `/v2/${repository}/referrers/${digest}`, scope);
    const answer =
      own.status === 200
        ? own
        : await this.call('GET', `/v2/${repository}/manifests/${digest.replace(':', '-')}`, scope);
    if (answer.status === 404) return [];
    this.expect(answer, 200, { registry: this.registry, repository, qualified: true });
    return (JSON.parse(answer.body.toString('utf8')) as { manifests?: readonly Descriptor[] }).manifests ?? [];
  }

  /** Puts a manifest under a tag: nothing is copied, a tag of before moves. */
  async tag(manifest: Manifest, reference: Reference): Promise<void> {
    const body = { type: manifest.mediaType, content: manifest.content };
    const scope = `repository:${reference.repository}:pull,push`;
    this.expect(await this.call('PUT', manifestPath(reference), scope, body), 201, reference);
  }

  /** The content of a blob, such as a layer, as it comes. The caller reads it to its end or destroys it. */
  async blob(repository: string, digest: string): Promise<Readable> {
    const path = `/v2/${repository}/blobs/${digest}`;
    // With the token that the last call got; a registry may hand over to a store of its own, which wants none.
    const first = await fetch(`${this.base}${path}`, {
      headers: this.authorization ? { authorization: this.authorization } : {},
      signal: this.options.signal,
    });
    if (!first.ok || first.body === null) {
      throw new RegistryError(`${this.registry}/${repository}: the registry answered ${first.status}`, first.status);
    }
    return Readable.fromWeb(first.body as ReadableStream);
  }

  /** Deletes a manifest by digest. False when the registry does not have it. */
  async delete(reference: Reference): Promise<boolean> {
    const answer = await this.call('DELETE', manifestPath(reference), `repository:${reference.repository}:pull,delete`);
    if (answer.status === 404) return false;
    this.expect(answer, 202, reference);
    return true;
  }

  private expect(answer: Answer, status: number, where: Reference | string): void {
    if (answer.status === status || (status === 202 && answer.status === 200)) return;
    const what = typeof where === 'string' ? where : `${this.registry}/${where.repository}`;
    const known: Readonly<Record<number, string>> = {
      401: this.options.credentials
        ? `${what}: the registry refuses the username or password`
        : `${what}: the registry asks for credentials and none are configured for ${this.registry}`,
      403: `${what}: these credentials do not give the right to do this`,
      405: `${what}: this registry does not allow deleting`,
      429: `${what}: the registry limits the number of requests: try again later, or log in`,
    };
    throw new RegistryError(known[answer.status] ?? `${what}: the registry answered ${answer.status}`, answer.status);
  }

  private async call(method: string, path: string, scope: string, body?: Body): Promise<Answer> {
    const first = await this.send(method, `${this.base}${path}`, this.authorization, body);
    if (first.status !== 401) return first;
    const challenge = first.headers['www-authenticate'] ?? '';
    if (!/^bearer\s/i.test(challenge)) return first;
    const token = await this.token(challenge, scope);
    if (token === undefined) return first;
    this.authorization = `Bearer ${token}`;
    return this.send(method, `${this.base}${path}`, this.authorization, body);
  }

  /** A token of the authorization server that the challenge names. */
  private async token(challenge: string, scope: string): Promise<string | undefined> {
    const fields = Object.fromEntries([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map((m) => [m[1] ?? '', m[2] ?? '']));
    if (!fields.realm) return undefined;
    const url = new URL(fields.realm);
    // Credentials go over TLS only, save to this machine itself: the challenge comes from the other side.
    if (url.protocol !== 'https:' && !isLoopback(url.host)) {
      throw new RegistryError(
        `${this.registry} sends credentials to ${url.origin}, which is not encrypted: refused`,
        401,
      );
    }
    const credentials = this.options.credentials;
    let answer: Answer;
    if (credentials?.identityToken) {
      const form = new URLSearchParams({
        grant_type: 'refresh_token',
        service: fields.service ?? '',
        scope: fields.scope ?? scope,
        client_id: 'development-operations',
        refresh_token: credentials.identityToken,
      });
      const content = Buffer.from(form.toString());
      answer = await this.send('POST', url.href, undefined, { type: 'application/x-www-form-urlencoded', content });
    } else {
      if (fields.service) url.searchParams.set('service', fields.service);
      const wanted = fields.scope ?? scope;
      if (wanted !== '') url.searchParams.set('scope', wanted);
      answer = await this.send('GET', url.href, credentials?.password ? basic(credentials) : undefined);
    }
    if (answer.status !== 200) return undefined;
    const value = JSON.parse(answer.body.toString('utf8')) as { token?: string; access_token?: string };
    return value.token || value.access_token;
  }

  private send(method: string, url: string, authorization: string | undefined, body?: Body): Promise<Answer> {
    const secure = url.startsWith('https:');
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => {
        const text = `${this.registry} cannot be reached: ${error.code ?? ''} ${error.message}`;
        reject(this.options.signal?.aborted ? error : new RegistryError(text, 0));
      };
      const headers = {
        accept: MANIFEST_TYPES.join(', '),
        ...(authorization ? { authorization } : {}),
        ...(body ? { 'content-type': body.type, 'content-length': body.content.length } : {}),
      };
      const settings = { method, headers, timeout: TIMEOUT_MS, signal: this.options.signal, agent: false as const };
      const request = secure
        ? httpsRequest(url, { ...settings, rejectUnauthorized: !this.options.insecureSkipVerify })
        : httpRequest(url, settings);
      request.on('timeout', () => request.destroy(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)));
      request.on('error', failed);
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_BODY_BYTES) request.destroy(new Error('the answer is larger than 4 MiB'));
          else chunks.push(chunk);
        });
        response.on('error', failed);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
        );
      });
      request.end(body?.content);
    });
  }
}

function basic(credentials: Credentials): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
}

function manifestPath(reference: Reference): string {
  return `/v2/${reference.repository}/manifests/${reference.digest ?? reference.tag ?? 'latest'}`;
}
