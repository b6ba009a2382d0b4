/**
 * The kubernetes provider of one engine connection. Each request is a few steps; what a step does is in the file it is
 * imported from. Behaviour and state follow the official provider, version 4.
 */

import type {
  CheckFailure,
  CheckRequest,
  CheckResult,
  ConfigureRequest,
  CreateRequest,
  CreateResult,
  DeleteRequest,
  DiffRequest,
  DiffResult,
  InvokeRequest,
  InvokeResult,
  Log,
  Plugin,
  Provider,
  ReadRequest,
  ReadResult,
  ResourceRequest,
  UpdateRequest,
  UpdateResult,
} from '../framework/provider.ts';
import { ResourceInitError, UnsupportedTypeError } from '../framework/provider.ts';
import type { PropertyMap } from '../framework/values.ts';
import { containsUnknown } from '../framework/values.ts';
import { DEFAULT_TIMEOUT_SECONDS, timeoutOf } from './annotations.ts';
import type { UpdateContext, WriteContext } from './apply.ts';
import { createObject, deleteObject, updateObject } from './apply.ts';
import type { Awaiter, AwaitOptions } from './await/awaiter.ts';
import { awaitReady, checkReady, NotReadyError } from './await/awaiter.ts';
import { awaiterFor } from './await/index.ts';
import { checkInputs } from './check.ts';
import { Cluster } from './cluster.ts';
import type { ProviderConfig } from './config.ts';
import { configFailures, parseConfig } from './config.ts';
import { diffResource } from './diffResource.ts';
import {
  explain,
  isAlreadyExists,
  isDryRunRefused,
  isForbidden,
  isNamespaceMissing,
  isNotFound,
  NoSuchKindError,
} from './errors.ts';
import { inputsFromLive } from './import.ts';
import { parseToken } from './kinds.ts';
import { normalize, pruneTo } from './normalize.ts';
import type { KubernetesObject } from './object.ts';
import {
  getMap,
  groupVersion,
  gvkOf,
  idOf,
  isCustomResourceDefinition,
  kindOf,
  nameOf,
  namespaceOf,
  parseId,
  withMetadata,
} from './object.ts';
import { withPreviewUnknowns } from './preview.ts';
import { GONE, Reach } from './reach.ts';
import {
  checkpoint,
  fieldManagerOf,
  initialApiVersionOf,
  parseCheckpoint,
  scrub,
  secretTexts,
  toObject,
  withSecretMarks,
} from './state.ts';

export class KubernetesProvider implements Provider {
  readonly capabilities = { acceptSecrets: true, supportsPreview: true };
  private config: ProviderConfig = parseConfig({});
  private cluster = new Cluster(this.config);
  private reach: Reach;

  constructor(
    private readonly plugin: Pick<Plugin, 'name' | 'version'>,
    private readonly log: Log,
  ) {
    this.reach = new Reach(this.cluster, this.config, log);
  }

  async checkConfig(request: { readonly news: PropertyMap }): Promise<CheckResult> {
    return { inputs: request.news, failures: configFailures(request.news) };
  }

  async diffConfig(request: { readonly olds: PropertyMap; readonly news: PropertyMap }): Promise<DiffResult> {
    const { diffProviderConfig } = await import('./diffConfig.ts');
    return diffProviderConfig(request.olds, request.news);
  }

  async configure(request: ConfigureRequest): Promise<void> {
    this.config = parseConfig(request.inputs);
    await this.cluster.close();
    this.cluster = new Cluster(this.config);
    this.reach = new Reach(this.cluster, this.config, this.log);
    // The answer is needed by most requests that follow: ask while the engine goes on.
    void this.cluster.probe();
  }

  async check(request: CheckRequest): Promise<CheckResult> {
    const gvk = parseToken(this.plugin, request.type);
    if (
      !(await this.reach.isReachable(request.urn)) &&
      this.config.skipUpdateUnreachable &&
      Object.keys(request.olds).length > 0
    ) {
      this.log.warn('The cluster is not reachable and skipUpdateUnreachable is set: skipped.', request.urn);
      return { inputs: request.olds };
    }
    const failures: CheckFailure[] = [];
    const inputs = await checkInputs(request, gvk, {
      cluster: this.cluster,
      config: this.config,
      log: this.log,
      failures,
    });
    if (isCustomResourceDefinition(inputs)) this.cluster.declare(inputs);
    return { inputs: withSecretMarks(inputs, request.news), failures };
  }

  async diff(request: DiffRequest): Promise<DiffResult> {
    parseToken(this.plugin, request.type);
    return diffResource(request, {
      cluster: this.cluster,
      config: this.config,
      warn: (message) => this.log.warn(message, request.urn),
    });
  }

  async create(request: CreateRequest): Promise<CreateResult> {
    parseToken(this.plugin, request.type);
    const inputs = toObject(request.inputs);
    const unpreviewed: CreateResult = { id: '', state: request.inputs };
    if (request.preview) {
      const known = this.config.enableServerSideApply && !containsUnknown(inputs);
      if (!known || !(await this.cluster.serves(gvkOf(inputs)))) return unpreviewed;
    }
    const fieldManager = fieldManagerOf({}, inputs, this.config.enableServerSideApply);
    const context = this.writeContext(request, fieldManager, request.preview);
    return this.guarded(request, request.inputs, `creating ${describe(inputs)}`, async () => {
      let live: KubernetesObject;
      try {
        live = await createObject(inputs, context);
      } catch (error) {
        if (request.preview && isUnpreviewable(error)) return unpreviewed;
        throw error;
      }
      const state = (object: KubernetesObject): PropertyMap =>
        checkpoint(inputs, object, request.inputs, apiVersion(inputs), fieldManager);
      if (request.preview) return { id: '', state: withPreviewUnknowns(state(live), inputs) };
      const ready = await this.ready(request, live, inputs, undefined, request.inputs, state);
      this.forgetKinds(inputs);
      return { id: idOf(ready), state: state(ready) };
    });
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const gvk = parseToken(this.plugin, request.type);
    if (!(await this.reach.isReachable(request.urn))) return this.reach.read(request);
    const old = parseCheckpoint(request.state);
    let inputs = normalize(toObject(request.inputs));
    const importing = apiVersion(inputs) === '' && apiVersion(old.live) === '';
    const id = parseId(request.id);
    if (apiVersion(inputs) === '') {
      const known = importing ? { apiVersion: groupVersion(gvk), kind: gvk.kind } : old.live;
      inputs = { ...inputs, apiVersion: apiVersion(known), kind: kindOf(known) };
      if (nameOf(inputs) === '') inputs = withMetadata(inputs, 'name', id.name);
      if (namespaceOf(inputs) === '' && id.namespace !== '') inputs = withMetadata(inputs, 'namespace', id.namespace);
    }
    return this.guarded(request, request.inputs, `reading ${describe(inputs)}`, async () => {
      let live: KubernetesObject;
      try {
        live = await this.cluster.get(gvkOf(inputs), id.namespace || namespaceOf(inputs), id.name, request.signal);
      } catch (error) {
        if (isNotFound(error) || error instanceof NoSuchKindError) return GONE;
        throw error;
      }
      const found = importing ? inputsFromLive(live) : pruneTo(live, inputs);
      const fieldManager = fieldManagerOf(request.state, inputs, this.config.enableServerSideApply);
      const version = initialApiVersionOf(request.state, inputs);
      const result: ReadResult = {
        id: request.id === '' ? idOf(live) : request.id,
        state: checkpoint(found, live, request.inputs, version, fieldManager),
        inputs: withSecretMarks(found, request.inputs),
      };
      const awaiter = importing ? undefined : awaiterFor(inputs, live);
      if (awaiter === undefined || awaiter.onRead === false) return result;
      try {
        await checkReady(live, awaiter, this.awaitOptions(request, inputs, undefined, 0));
      } catch (error) {
        throw this.initError(error, result, secretTexts(request.inputs));
      }
      return result;
    });
  }

  async update(request: UpdateRequest): Promise<UpdateResult> {
    parseToken(this.plugin, request.type);
    const inputs = normalize(toObject(request.news));
    if (request.preview && (containsUnknown(inputs) || !(await this.cluster.serves(gvkOf(inputs))))) {
      return { state: request.news };
    }
    const old = parseCheckpoint(request.olds);
    const oldInputs = normalize(old.inputs);
    const ssa = this.config.enableServerSideApply;
    const context: UpdateContext = {
      ...this.writeContext(request, fieldManagerOf(request.olds, inputs, ssa), request.preview),
      formerFieldManager: fieldManagerOf(request.olds, oldInputs, ssa),
      ignoreChanges: request.ignoreChanges,
    };
    const version = initialApiVersionOf(request.olds, oldInputs);
    const state = (object: KubernetesObject): PropertyMap =>
      checkpoint(inputs, object, request.news, version, context.fieldManager);
    return this.guarded(request, request.news, `updating ${describe(inputs)}`, async () => {
      let updated: { before: KubernetesObject; after: KubernetesObject };
      try {
        updated = await updateObject(oldInputs, inputs, context);
      } catch (error) {
        if (request.preview && (isForbidden(error) || isDryRunRefused(error))) return { state: request.news };
        throw error;
      }
      if (request.preview) return { state: state(updated.after) };
      const ready = await this.ready(request, updated.after, inputs, updated.before, request.news, state);
      this.forgetKinds(inputs);
      return { state: state(ready) };
    });
  }

  async delete(request: DeleteRequest): Promise<void> {
    const gvk = parseToken(this.plugin, request.type);
    if (!(await this.reach.isReachable(request.urn))) {
      return this.reach.delete(request.urn);
    }
    const { inputs, live } = parseCheckpoint(request.state);
    const target = apiVersion(live) === '' ? { apiVersion: groupVersion(gvk), kind: gvk.kind } : live;
    const { namespace, name } = parseId(request.id);
    const seconds = timeoutOf(request.timeoutSeconds, inputs) ?? DEFAULT_TIMEOUT_SECONDS;
    const context = this.writeContext(request, '', false);
    await this.guarded(request, request.state, `deleting ${kindOf(target)} ${request.id}`, () =>
      deleteObject(gvkOf(target), namespace || namespaceOf(live), name, inputs, seconds, context),
    );
    this.forgetKinds(live);
  }

  async invoke(request: InvokeRequest): Promise<InvokeResult> {
    if (request.token !== 'kubernetes:yaml:decode') throw new UnsupportedTypeError(this.plugin, request.token);
    const { decodeYaml } = await import('./decode.ts');
    return { result: decodeYaml(request.args, this.config.namespace) };
  }

  async close(): Promise<void> {
    await this.cluster.close();
  }

  private writeContext(request: ResourceRequest, fieldManager: string, preview: boolean): WriteContext {
    const { cluster, config } = this;
    const status = (message: string): void => this.log.status(message, request.urn);
    return { cluster, config, fieldManager, preview, signal: request.signal, status };
  }

  private awaitOptions(
    request: ResourceRequest,
    inputs: KubernetesObject,
    before: KubernetesObject | undefined,
    timeoutSeconds: number,
  ): AwaitOptions {
    const status = (message: string): void => this.log.status(message, request.urn);
    return { cluster: this.cluster, inputs, before, timeoutSeconds, signal: request.signal, status };
  }

  /** Waits as the kind and the annotations say; what is not ready in time is kept in the state with its reasons. */
  private async ready(
    request: CreateRequest | UpdateRequest,
    live: KubernetesObject,
    inputs: KubernetesObject,
    before: KubernetesObject | undefined,
    marked: PropertyMap,
    state: (object: KubernetesObject) => PropertyMap,
  ): Promise<KubernetesObject> {
    const secrets = secretTexts(marked);
    try {
      const awaiter: Awaiter | undefined = awaiterFor(inputs, live);
      if (awaiter === undefined) return live;
      const seconds = timeoutOf(request.timeoutSeconds, inputs) ?? awaiter.defaultTimeout ?? DEFAULT_TIMEOUT_SECONDS;
      return await awaitReady(live, awaiter, this.awaitOptions(request, inputs, before, seconds));
    } catch (error) {
      const seen = error instanceof NotReadyError ? error.live : live;
      throw this.initError(error, { id: idOf(seen), state: state(seen), inputs: marked }, secrets);
    }
  }

  private initError(error: unknown, result: ReadResult, secrets: readonly string[]): Error {
    const reasons =
      error instanceof NotReadyError ? [error.message, ...error.reasons] : [String((error as Error).message)];
    return new ResourceInitError(
      result.id,
      result.state,
      result.inputs,
      reasons.map((reason) => scrub(reason, secrets)),
    );
  }

  /** Runs an operation; its errors say which resource, why and what to do, and hold no secret of the inputs. */
  private async guarded<T>(
    request: ResourceRequest,
    marked: PropertyMap,
    what: string,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ResourceInitError) throw error;
      const explained = explain(error, what);
      const message = scrub(explained.message, secretTexts(marked));
      this.log.debug(`${request.name}: ${message}`, request.urn);
      // The original error is not kept as the cause: its text is not scrubbed.
      throw new Error(message);
    }
  }

  private forgetKinds(object: KubernetesObject): void {
    if (isCustomResourceDefinition(object)) this.cluster.forget(String(getMap(object, 'spec').group ?? ''));
  }
}

const apiVersion = (object: KubernetesObject): string => {
  const value = object.apiVersion;
  return typeof value === 'string' ? value : '';
};

const describe = (object: KubernetesObject): string => `${apiVersion(object)} ${kindOf(object)} ${idOf(object)}`;

/** Things a dry run cannot tell yet: the namespace is part of the same update, or we may not write at all. */
const isUnpreviewable = (error: unknown): boolean =>
  isForbidden(error) || isNamespaceMissing(error) || isDryRunRefused(error) || isAlreadyExists(error);
