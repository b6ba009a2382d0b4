/**
 * The cluster of one provider: probed once, on first need; kinds discovered once per group and version; objects read and
 * written by their own apiVersion, kind, namespace and name.
 */

import type { PropertyMap } from '../framework/values.ts';
import type { Call, ContentType } from './client.ts';
import { Client } from './client.ts';
import type { ProviderConfig } from './config.ts';
import type { Connection } from './connection.ts';
import { connect, NoClusterError } from './connection.ts';
import { ApiError, ConnectionError, isNotFound, NoSuchKindError } from './errors.ts';
import { describeKind, knownScope } from './kinds.ts';
import type { GroupVersionKind, KubernetesObject } from './object.ts';
import { getList, getString, groupVersion, gvkOf, nameOf, namespaceOf } from './object.ts';

export type Reachability =
  | { readonly reachable: true; readonly client: Client; readonly version: string }
  | { readonly reachable: false; readonly cause: 'absent' | 'unreachable' | 'refused'; readonly reason: string };

interface ApiResource {
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface WriteOptions {
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
  readonly force?: boolean;
  readonly fieldValidation?: 'Warn' | 'Strict';
  readonly signal?: AbortSignal;
}

const PROBE_TIMEOUT_MS = 5000;

export class Cluster {
  private probing: Promise<Reachability> | undefined;
  private connecting: Promise<Connection> | undefined;
  private readonly discovered = new Map<string, Promise<Map<string, ApiResource> | undefined>>();
  /** Scopes of custom resource definitions that the program declares, `group/Kind`. */
  private readonly declared = new Map<string, boolean>();

  constructor(private readonly config: ProviderConfig) {}

  /** Asks once; every later call has the same answer. Never throws. */
  probe(): Promise<Reachability> {
    this.probing ??= this.ask();
    return this.probing;
  }

  private connection(): Promise<Connection> {
    this.connecting ??= connect(this.config);
    return this.connecting;
  }

  private async ask(): Promise<Reachability> {
    let connection: Connection;
    try {
      connection = await this.connection();
    } catch (error) {
      const reason =
        error instanceof NoClusterError ? error.message : `the kubeconfig cannot be used: ${String(error)}`;
      return { reachable: false, cause: 'absent', reason };
    }
    const client = new Client(connection);
    try {
      const version = await client.json<PropertyMap>({ method: 'GET', path: '/version', timeoutMs: PROBE_TIMEOUT_MS });
      return { reachable: true, client, version: getString(version, 'gitVersion') };
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        return {
          reachable: false,
          cause: 'refused',
          reason: `${connection.server} answers but refuses the credentials of user "${connection.user}". Log in again.`,
        };
      }
      // Hardened clusters forbid even /version to plain users; the operations themselves will tell.
      if (error instanceof ApiError) return { reachable: true, client, version: '' };
      const detail = error instanceof ConnectionError ? error.message : `${connection.server}: ${String(error)}`;
      return {
        reachable: false,
        cause: 'unreachable',
        reason: `${detail}. Is the cluster running, and is the kubeconfig's server address right?`,
      };
    }
  }

  /** The namespace for objects that name none. */
  async defaultNamespace(): Promise<string> {
    if (this.config.namespace) return this.config.namespace;
    try {
      return (await this.connection()).namespace;
    } catch {
      return 'default';
    }
  }

  async client(): Promise<Client> {
    const state = await this.probe();
    if (!state.reachable) throw new Error(`the Kubernetes cluster is ${state.cause}: ${state.reason}`);
    return state.client;
  }

  /** Remembers a custom resource definition of the program, so that its resources' scope is known before it is applied. */
  declare(definition: KubernetesObject): void {
    const spec = definition.spec;
    const kind = getString(spec, 'names', 'kind');
    if (kind !== '')
      this.declared.set(`${getString(spec, 'group')}/${kind}`, getString(spec, 'scope') === 'Namespaced');
  }

  /** Whether objects of a kind live in a namespace; true when nobody can tell yet. */
  async isNamespaced(gvk: GroupVersionKind): Promise<boolean> {
    const known = knownScope(gvk) ?? this.declared.get(`${gvk.group}/${gvk.kind}`);
    if (known !== undefined) return known;
    const state = await this.probe();
    if (!state.reachable) return true;
    return (await this.resource(gvk).catch(() => undefined))?.namespaced ?? true;
  }

  async serves(gvk: GroupVersionKind): Promise<boolean> {
    const state = await this.probe();
    return state.reachable && (await this.resource(gvk).catch(() => undefined)) !== undefined;
  }

  /** Forgets which kinds a group has: a custom resource definition came or went. */
  forget(group?: string): void {
    for (const key of this.discovered.keys()) {
      if (group === undefined || key.startsWith(`${group}/`)) this.discovered.delete(key);
    }
  }

  private async resource(gvk: GroupVersionKind): Promise<ApiResource | undefined> {
    const key = groupVersion(gvk);
    let kinds = this.discovered.get(key);
    if (kinds === undefined) {
      kinds = this.discover(key);
      this.discovered.set(key, kinds);
      kinds.catch(() => this.discovered.delete(key));
    }
    const found = (await kinds)?.get(gvk.kind);
    // Not there now may be there in a moment: only what was found is remembered.
    if (found === undefined) this.discovered.delete(key);
    return found;
  }

  private async discover(key: string): Promise<Map<string, ApiResource> | undefined> {
    const client = await this.client();
    try {
      const list = await client.json<PropertyMap>({
        method: 'GET',
        path: key.includes('/') ? `/apis/${key}` : `/api/${key}`,
      });
      return new Map(
        getList(list, 'resources')
          .filter((item) => !getString(item, 'name').includes('/'))
          .map((item) => [
            getString(item, 'kind'),
            { plural: getString(item, 'name'), namespaced: item.namespaced === true },
          ]),
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** @throws NoSuchKindError */
  async path(gvk: GroupVersionKind, namespace: string, name?: string): Promise<string> {
    const resource = await this.resource(gvk);
    if (resource === undefined) throw new NoSuchKindError(describeKind(gvk));
    const root = gvk.group === '' ? `/api/${gvk.version}` : `/apis/${gvk.group}/${gvk.version}`;
    const scope = resource.namespaced
      ? `/namespaces/${encodeURIComponent(namespace || (await this.defaultNamespace()))}`
      : '';
    return `${root}${scope}/${resource.plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
  }

  async get(gvk: GroupVersionKind, namespace: string, name: string, signal?: AbortSignal): Promise<KubernetesObject> {
    return this.call({ method: 'GET', path: await this.path(gvk, namespace, name), signal });
  }

  /** The items of a list, each with its apiVersion and kind. */
  async list(
    gvk: GroupVersionKind,
    namespace: string,
    query: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<KubernetesObject[]> {
    const answer = await this.call({ method: 'GET', path: await this.path(gvk, namespace), query, signal });
    return getList(answer, 'items').map((item) => ({ apiVersion: groupVersion(gvk), kind: gvk.kind, ...item }));
  }

  async create(object: KubernetesObject, options: WriteOptions): Promise<KubernetesObject> {
    return this.call({
      method: 'POST',
      path: await this.path(gvkOf(object), namespaceOf(object)),
      query: writeQuery(options),
      body: object,
      signal: options.signal,
    });
  }

  async replace(object: KubernetesObject, options: WriteOptions): Promise<KubernetesObject> {
    return this.call({
      method: 'PUT',
      path: await this.path(gvkOf(object), namespaceOf(object), nameOf(object)),
      query: writeQuery(options),
      body: object,
      signal: options.signal,
    });
  }

  /** Server-side apply, or another kind of patch when `contentType` says so. */
  async patch(
    target: KubernetesObject,
    body: PropertyMap | PropertyMap[],
    options: WriteOptions,
    contentType: ContentType = 'application/apply-patch+yaml',
  ): Promise<KubernetesObject> {
    return this.call({
      method: 'PATCH',
      path: await this.path(gvkOf(target), namespaceOf(target), nameOf(target)),
      query: writeQuery(options),
      body,
      contentType,
      signal: options.signal,
    });
  }

  async delete(
    gvk: GroupVersionKind,
    namespace: string,
    name: string,
    body: PropertyMap,
    signal: AbortSignal,
  ): Promise<void> {
    await this.call({ method: 'DELETE', path: await this.path(gvk, namespace, name), body, signal });
  }

  async podLog(
    namespace: string,
    pod: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<string> {
    const path = await this.path({ group: '', version: 'v1', kind: 'Pod' }, namespace, pod);
    return (await this.client()).text({ method: 'GET', path: `${path}/log`, query, signal, timeoutMs: 10_000 });
  }

  private async call(call: Call): Promise<KubernetesObject> {
    return (await this.client()).json<KubernetesObject>(call);
  }

  async close(): Promise<void> {
    const state = await this.probing;
    if (state?.reachable) state.client.close();
  }
}

function writeQuery(options: WriteOptions): Record<string, string> {
  return {
    ...(options.fieldManager === undefined ? {} : { fieldManager: options.fieldManager }),
    ...(options.force === undefined ? {} : { force: String(options.force) }),
    ...(options.fieldValidation === undefined ? {} : { fieldValidation: options.fieldValidation }),
    ...(options.dryRun ? { dryRun: 'All' } : {}),
  };
}
