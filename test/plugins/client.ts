/**
 * A plugin under test behind its real server: requests go through a real gRPC client over loopback, as the engine's
 * do, so that marks, unknowns and error details are tested on the wire.
 *
 *     const client = await connect(plugin);
 *     await client.configure({ host: '127.0.0.1' });
 *     const { id, state } = await client.create('random:index/randomId:RandomId', 'a', inputs);
 *     …
 *     await client.close();
 */

import * as grpc from '@grpc/grpc-js';
import plugins from '@pulumi/pulumi/proto/plugin_pb.js';
import services, { type ResourceProviderClient } from '@pulumi/pulumi/proto/provider_grpc_pb.js';
import messages, { type CheckFailure as CheckFailureMessage } from '@pulumi/pulumi/proto/provider_pb.js';
import statuses from '@pulumi/pulumi/proto/status_pb.js';
import empties from 'google-protobuf/google/protobuf/empty_pb.js';
import type {
  CheckFailure,
  CreateResult,
  DiffKind,
  DiffResult,
  InvokeResult,
  Plugin,
  PropertyDiff,
  ReadResult,
} from '../../plugins/framework/provider.ts';
import { startServer } from '../../plugins/framework/server.ts';
import type { PropertyMap } from '../../plugins/framework/values.ts';
import { decodeStruct, encodeStruct } from '../../plugins/framework/wire.ts';

const KINDS: readonly DiffKind[] = ['add', 'add-replace', 'delete', 'delete-replace', 'update', 'update-replace'];

/** What the engine would be told of a resource that was made but did not become ready. */
export interface InitFailure {
  readonly id: string;
  readonly state: PropertyMap;
  readonly inputs: PropertyMap;
  readonly reasons: readonly string[];
}

/** A request that the plugin refused. `message` is what the user would read. */
export class PluginError extends Error {
  constructor(
    readonly code: grpc.status,
    message: string,
    readonly initFailure: InitFailure | undefined,
  ) {
    super(message);
    this.name = 'PluginError';
  }
}

export interface ChangeOptions {
  /** @default false */
  readonly preview?: boolean;
  /** @default 0 */
  readonly timeoutSeconds?: number;
  /** @default none */
  readonly ignoreChanges?: readonly string[];
}

export interface CheckAnswer {
  readonly inputs: PropertyMap;
  readonly failures: readonly CheckFailure[];
}

/** An existing resource as the engine keeps it. */
export interface Existing {
  readonly id: string;
  /** Outputs in the state. */
  readonly state: PropertyMap;
  /** Checked inputs in the state. */
  readonly inputs: PropertyMap;
}

/** Starts the plugin's server in this process and connects to it. `close` ends both. */
export async function connect(plugin: Plugin): Promise<PluginClient> {
  const server = await startServer(plugin);
  return new PluginClient(server.port, () => server.close());
}

type Callback<T> = (error: grpc.ServiceError | null, response: T) => void;

export class PluginClient {
  readonly #rpc: ResourceProviderClient;

  /** `port`: of a running plugin; `closeServer` runs after the connection is closed. */
  constructor(
    readonly port: number,
    private readonly closeServer: () => Promise<void> = async () => {},
  ) {
    // A channel of its own for each client: gRPC shares connections between equal channels, the engine does not.
    this.#rpc = new services.ResourceProviderClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
    });
  }

  async close(): Promise<void> {
    this.#rpc.close();
    await this.closeServer();
  }

  async handshake(engineAddress: string): Promise<{ acceptSecrets: boolean }> {
    const request = new messages.ProviderHandshakeRequest().setEngineAddress(engineAddress);
    const response = await call<InstanceType<typeof messages.ProviderHandshakeResponse>>((done) =>
      this.#rpc.handshake(request, done),
    );
    return { acceptSecrets: response.getAcceptSecrets() };
  }

  async attach(engineAddress: string): Promise<void> {
    await call((done) => this.#rpc.attach(new plugins.PluginAttach().setAddress(engineAddress), done));
  }

  async cancel(): Promise<void> {
    await call((done) => this.#rpc.cancel(new empties.Empty(), done));
  }

  async version(): Promise<string> {
    const info = await call<InstanceType<typeof plugins.PluginInfo>>((done) =>
      this.#rpc.getPluginInfo(new empties.Empty(), done),
    );
    return info.getVersion();
  }

  async schema(): Promise<string> {
    const response = await call<InstanceType<typeof messages.GetSchemaResponse>>((done) =>
      this.#rpc.getSchema(new messages.GetSchemaRequest(), done),
    );
    return response.getSchema();
  }

  async checkConfig(news: PropertyMap, olds: PropertyMap = {}): Promise<CheckAnswer> {
    const request = new messages.CheckRequest().setUrn(urnOf('pulumi:providers:test', 'default'));
    request.setName('default').setType('pulumi:providers:test').setNews(encodeStruct(news)).setOlds(encodeStruct(olds));
    return checkAnswer(await call((done) => this.#rpc.checkConfig(request, done)));
  }

  async configure(inputs: PropertyMap = {}): Promise<{ acceptSecrets: boolean; supportsPreview: boolean }> {
    const request = new messages.ConfigureRequest().setArgs(encodeStruct(inputs)).setAcceptsecrets(true);
    request.setSendsOldInputs(true).setSendsOldInputsToDelete(true);
    const response = await call<InstanceType<typeof messages.ConfigureResponse>>((done) =>
      this.#rpc.configure(request, done),
    );
    return { acceptSecrets: response.getAcceptsecrets(), supportsPreview: response.getSupportspreview() };
  }

  async check(
    type: string,
    name: string,
    news: PropertyMap,
    olds: PropertyMap = {},
    randomSeed: Uint8Array = new Uint8Array(32),
  ): Promise<CheckAnswer> {
    const request = new messages.CheckRequest().setUrn(urnOf(type, name)).setName(name).setType(type);
    request.setNews(encodeStruct(news)).setOlds(encodeStruct(olds)).setRandomseed(randomSeed);
    return checkAnswer(await call((done) => this.#rpc.check(request, done)));
  }

  async diff(
    type: string,
    name: string,
    existing: Existing,
    news: PropertyMap,
    options: Pick<ChangeOptions, 'ignoreChanges'> = {},
  ): Promise<DiffResult & Required<Omit<DiffResult, 'detailedDiff'>>> {
    const request = new messages.DiffRequest().setUrn(urnOf(type, name)).setName(name).setType(type);
    request.setId(existing.id).setOlds(encodeStruct(existing.state)).setOldInputs(encodeStruct(existing.inputs));
    request.setNews(encodeStruct(news)).setIgnorechangesList([...(options.ignoreChanges ?? [])]);
    const response = await call<InstanceType<typeof messages.DiffResponse>>((done) => this.#rpc.diff(request, done));
    const detailed: Record<string, PropertyDiff> = {};
    response.getDetaileddiffMap().forEach((entry, path) => {
      detailed[path] = { kind: KINDS[entry.getKind()] ?? 'update', inputDiff: entry.getInputdiff() };
    });
    return {
      changes: response.getChanges() === messages.DiffResponse.DiffChanges.DIFF_SOME,
      replaces: response.getReplacesList(),
      stables: response.getStablesList(),
      diffs: response.getDiffsList(),
      deleteBeforeReplace: response.getDeletebeforereplace(),
      detailedDiff: response.getHasdetaileddiff() ? detailed : undefined,
    };
  }

  /** `inputs`: as `check` returned them. */
  async create(type: string, name: string, inputs: PropertyMap, options: ChangeOptions = {}): Promise<CreateResult> {
    const request = new messages.CreateRequest().setUrn(urnOf(type, name)).setName(name).setType(type);
    request.setProperties(encodeStruct(inputs)).setPreview(options.preview ?? false);
    request.setTimeout(options.timeoutSeconds ?? 0);
    const response = await call<InstanceType<typeof messages.CreateResponse>>((done) =>
      this.#rpc.create(request, done),
    );
    return { id: response.getId(), state: decodeStruct(response.getProperties()) };
  }

  /** Checks, then creates: what the engine does for a new resource. Throws on a check failure. */
  async checkAndCreate(type: string, name: string, news: PropertyMap, options: ChangeOptions = {}): Promise<Existing> {
    const { inputs, failures } = await this.check(type, name, news);
    if (failures.length > 0) {
      throw new Error(failures.map((failure) => `${failure.property}: ${failure.reason}`).join('; '));
    }
    return { ...(await this.create(type, name, inputs, options)), inputs };
  }

  async read(type: string, name: string, existing: Partial<Existing> & { id: string }): Promise<ReadResult> {
    const request = new messages.ReadRequest().setUrn(urnOf(type, name)).setName(name).setType(type);
    request.setId(existing.id).setProperties(encodeStruct(existing.state ?? {}));
    request.setInputs(encodeStruct(existing.inputs ?? {}));
    const response = await call<InstanceType<typeof messages.ReadResponse>>((done) => this.#rpc.read(request, done));
    return {
      id: response.getId(),
      state: decodeStruct(response.getProperties()),
      inputs: decodeStruct(response.getInputs()),
    };
  }

  async update(
    type: string,
    name: string,
    existing: Existing,
    news: PropertyMap,
    options: ChangeOptions = {},
  ): Promise<{ state: PropertyMap }> {
    const request = new messages.UpdateRequest().setUrn(urnOf(type, name)).setName(name).setType(type);
    request.setId(existing.id).setOlds(encodeStruct(existing.state)).setOldInputs(encodeStruct(existing.inputs));
    request.setNews(encodeStruct(news)).setIgnorechangesList([...(options.ignoreChanges ?? [])]);
    request.setPreview(options.preview ?? false).setTimeout(options.timeoutSeconds ?? 0);
    const response = await call<InstanceType<typeof messages.UpdateResponse>>((done) =>
      this.#rpc.update(request, done),
    );
    return { state: decodeStruct(response.getProperties()) };
  }

  async delete(
    type: string,
    name: string,
    existing: Existing,
    options: Pick<ChangeOptions, 'timeoutSeconds'> = {},
  ): Promise<void> {
    const request = new messages.DeleteRequest().setUrn(urnOf(type, name)).setName(name).setType(type);
    request.setId(existing.id).setProperties(encodeStruct(existing.state));
    request.setOldInputs(encodeStruct(existing.inputs)).setTimeout(options.timeoutSeconds ?? 0);
    await call((done) => this.#rpc.delete(request, done));
  }

  async invoke(token: string, args: PropertyMap = {}): Promise<InvokeResult> {
    const request = new messages.InvokeRequest().setTok(token).setArgs(encodeStruct(args));
    const response = await call<InstanceType<typeof messages.InvokeResponse>>((done) =>
      this.#rpc.invoke(request, done),
    );
    return {
      result: decodeStruct(response.getReturn()),
      failures: response.getFailuresList().map(failureOf),
    };
  }
}

/** The URN of a resource in the stack of the tests. */
export function urnOf(type: string, name: string): string {
  return `urn:pulumi:test::test::${type}::${name}`;
}

function call<T>(start: (done: Callback<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, response) => {
      if (error) reject(new PluginError(error.code, error.details, initFailureOf(error)));
      else resolve(response);
    });
  });
}

function initFailureOf(error: grpc.ServiceError): InitFailure | undefined {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  if (!(bytes instanceof Buffer)) return undefined;
  for (const detail of statuses.Status.deserializeBinary(bytes).getDetailsList()) {
    const failure = detail.unpack(
      messages.ErrorResourceInitFailed.deserializeBinary,
      'pulumirpc.ErrorResourceInitFailed',
    );
    if (failure) {
      return {
        id: failure.getId(),
        state: decodeStruct(failure.getProperties()),
        inputs: decodeStruct(failure.getInputs()),
        reasons: failure.getReasonsList(),
      };
    }
  }
  return undefined;
}

function checkAnswer(response: InstanceType<typeof messages.CheckResponse>): CheckAnswer {
  return { inputs: decodeStruct(response.getInputs()), failures: response.getFailuresList().map(failureOf) };
}

function failureOf(failure: CheckFailureMessage): CheckFailure {
  return { property: failure.getProperty(), reason: failure.getReason() };
}
