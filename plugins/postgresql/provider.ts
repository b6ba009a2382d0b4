/** The provider: checks and diffs without a connection, does the rest through the type's handler. */

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
  type Provider,
  type ReadRequest,
  type ReadResult,
  ResourceInitError,
  UnsupportedTypeError,
  type UpdateRequest,
  type UpdateResult,
} from '../framework/provider.ts';
import { containsUnknown, type PropertyMap, UNKNOWN, unwrapMap } from '../framework/values.ts';
import { check } from './check.ts';
import { configFailures, serverConfig } from './config.ts';
import { Server } from './connection.ts';
import type { Definition } from './definitions.ts';
import { diff, planned } from './diff.ts';
import { packageSchema } from './packageSchema.ts';
import type { Context, Handler } from './resources/handler.ts';
import { importedInputs, refreshedInputs, stateOf } from './state.ts';
import { TYPES } from './types.ts';

export class PostgresProvider implements Provider {
  // As the official plugin: values arrive without marks, and the engine marks the outputs of secret inputs.
  readonly capabilities = { acceptSecrets: false, supportsPreview: true };
  #server: Server | undefined;
  #configuration: PropertyMap = {};

  constructor(
    private readonly plugin: { readonly name: string; readonly version: string },
    private readonly log: Log,
  ) {}

  async getSchema(): Promise<string> {
    return packageSchema(this.plugin);
  }

  async checkConfig(request: Omit<CheckRequest, 'randomSeed'>): Promise<CheckResult> {
    return { inputs: request.news, failures: configFailures(this.plugin, request.news) };
  }

  /** Another server or another password never replaces the resources: the official plugin's config forces nothing. */
  async diffConfig(request: Omit<DiffRequest, 'id'>): Promise<DiffResult> {
    const olds = unwrapMap(request.oldInputs);
    const news = unwrapMap(request.news);
    const names = [...new Set([...Object.keys(olds), ...Object.keys(news)])];
    const diffs = names.filter(
      (name) => containsUnknown(news[name] ?? null) || JSON.stringify(olds[name]) !== JSON.stringify(news[name]),
    );
    return { changes: diffs.length > 0, diffs };
  }

  async configure(request: ConfigureRequest): Promise<void> {
    const [failure] = configFailures(this.plugin, request.inputs);
    if (failure) throw new Error(`postgresql:${failure.property}: ${failure.reason}`);
    this.#configuration = request.inputs;
  }

  async check(request: CheckRequest): Promise<CheckResult> {
    return check(this.#definition(request.type), request);
  }

  async diff(request: DiffRequest): Promise<DiffResult> {
    return diff(this.#definition(request.type), request);
  }

  async create(request: CreateRequest): Promise<CreateResult> {
    const definition = this.#definition(request.type);
    const handler = this.#handler(request.type);
    const values = planned(definition, {}, unwrapMap(request.inputs));
    if (request.preview) return { id: '', state: stateOf(definition, UNKNOWN, values) };
    const known = withoutUnknown(values);
    const context = this.#context(request.signal);
    const { id, values: live } = await handler.create(context, known);
    if (live) return { id, state: stateOf(definition, id, live) };
    try {
      const found = await handler.read(context, id, known);
      if (!found) throw new Error(`${id} was made, and is gone already: somebody else removed it`);
      return { id, state: stateOf(definition, id, found.values) };
    } catch (error) {
      // It is there: the state has to know it, or the next update would make it again.
      throw new ResourceInitError(id, stateOf(definition, id, known), request.inputs, [(error as Error).message]);
    }
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const definition = this.#definition(request.type);
    const { id, ...state } = { ...unwrapMap(request.state), id: request.id };
    const found = await this.#handler(request.type).read(this.#context(request.signal), id, state);
    if (!found) return { id: '', state: {}, inputs: {} };
    const importing = Object.keys(request.state).length === 0;
    const values = { ...state, ...found.values };
    return {
      id: found.id,
      state: stateOf(definition, found.id, values),
      inputs: importing
        ? importedInputs(definition, values)
        : refreshedInputs(definition, unwrapMap(request.inputs), values),
    };
  }

  async update(request: UpdateRequest): Promise<UpdateResult> {
    const definition = this.#definition(request.type);
    const handler = this.#handler(request.type);
    const olds = unwrapMap(request.olds);
    const values = planned(definition, olds, unwrapMap(request.news), unwrapMap(request.oldInputs));
    const id = olds.id ?? request.id;
    if (request.preview)
      return { state: stateOf(definition, id, { ...values, roles: values.roles ?? olds.roles ?? null }) };
    const known = withoutUnknown(values);
    const context = this.#context(request.signal);
    const changed = await handler.update(context, olds, known);
    if (changed?.values) return { state: stateOf(definition, changed.id, changed.values) };
    try {
      const found = await handler.read(context, request.id, known);
      return { state: stateOf(definition, found?.id ?? id, found?.values ?? known) };
    } catch (error) {
      throw new ResourceInitError(String(id), stateOf(definition, id, known), request.news, [(error as Error).message]);
    }
  }

  async delete(request: DeleteRequest): Promise<void> {
    const handler = this.#handler(request.type);
    await handler.delete(this.#context(request.signal), unwrapMap(request.state));
  }

  async invoke(request: InvokeRequest): Promise<InvokeResult> {
    throw new UnsupportedTypeError(this.plugin, request.token);
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  /** The connection is opened by the first operation that needs it: a preview without a change needs none. */
  #context(signal: AbortSignal): Context {
    if (containsUnknown(this.#configuration.host ?? null)) {
      throw new Error('postgresql:host is not known yet: it is an output of a resource that does not exist');
    }
    this.#server ??= new Server(serverConfig(this.#configuration), this.log);
    return { server: this.#server, signal };
  }

  #definition(type: string): Definition {
    const definition = TYPES[type]?.definition;
    if (!definition) throw new UnsupportedTypeError(this.plugin, type);
    return definition;
  }

  #handler(type: string): Handler {
    const handler = TYPES[type]?.handler;
    if (!handler) throw new UnsupportedTypeError(this.plugin, type);
    return handler;
  }
}

/** For an operation that is not a preview: what the server is to fill in is absent. */
function withoutUnknown(values: PropertyMap): PropertyMap {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, containsUnknown(value) ? null : value]));
}
