/** The remote procedures of pulumirpc.ResourceProvider, each from its message to the plugin and back. */

import * as grpc from '@grpc/grpc-js';
import plugins, { type PluginAttach } from '@pulumi/pulumi/proto/plugin_pb.js';
import messages, {
  type CheckRequest,
  type CheckResponse,
  type ConfigureRequest,
  type CreateRequest,
  type DeleteRequest,
  type DiffRequest,
  type DiffResponse,
  type InvokeRequest,
  type ProviderHandshakeRequest,
  type ReadRequest,
  type UpdateRequest,
} from '@pulumi/pulumi/proto/provider_pb.js';
import empties from 'google-protobuf/google/protobuf/empty_pb.js';
import type { Connection } from './connection.ts';
import { RpcError } from './errors.ts';
import type { CheckFailure, CheckResult, DiffKind, DiffResult, ResourceRequest } from './provider.ts';
import { decodeStruct, encodeStruct } from './wire.ts';

const KINDS = {
  add: messages.PropertyDiff.Kind.ADD,
  'add-replace': messages.PropertyDiff.Kind.ADD_REPLACE,
  delete: messages.PropertyDiff.Kind.DELETE,
  'delete-replace': messages.PropertyDiff.Kind.DELETE_REPLACE,
  update: messages.PropertyDiff.Kind.UPDATE,
  'update-replace': messages.PropertyDiff.Kind.UPDATE_REPLACE,
} satisfies Record<DiffKind, number>;

/**
 * The handshake answers for Configure too, and promises support for previews; a provider without it must not answer,
 * so that the engine falls back to the response of Configure.
 */
export async function handshake(connection: Connection, request: ProviderHandshakeRequest) {
  connection.log.connect(request.getEngineAddress());
  const { acceptSecrets, supportsPreview } = connection.provider.capabilities;
  if (!supportsPreview) throw new RpcError(grpc.status.UNIMPLEMENTED, 'Handshake is not implemented');
  return new messages.ProviderHandshakeResponse().setAcceptSecrets(acceptSecrets);
}

export async function attach(connection: Connection, request: PluginAttach) {
  connection.log.connect(request.getAddress());
  return new empties.Empty();
}

export async function cancel(connection: Connection) {
  connection.cancel();
  return new empties.Empty();
}

export async function getPluginInfo(connection: Connection) {
  return new plugins.PluginInfo().setVersion(connection.plugin.version);
}

export async function getSchema(connection: Connection) {
  const { provider, plugin } = connection;
  if (!provider.getSchema) {
    throw new RpcError(grpc.status.UNIMPLEMENTED, `the built-in "${plugin.name}" plugin has no schema`);
  }
  return new messages.GetSchemaResponse().setSchema(await provider.getSchema());
}

export async function checkConfig(connection: Connection, request: CheckRequest, signal: AbortSignal) {
  const olds = decodeStruct(request.getOlds());
  const news = decodeStruct(request.getNews());
  const result = await connection.provider.checkConfig?.({ ...common(request, signal), olds, news });
  return checkResponse(result ?? { inputs: news });
}

/** Without a plugin's own answer no change of configuration replaces a provider, which would replace all it made. */
export async function diffConfig(connection: Connection, request: DiffRequest, signal: AbortSignal) {
  const { provider } = connection;
  if (!provider.diffConfig) throw new RpcError(grpc.status.UNIMPLEMENTED, 'DiffConfig is not implemented');
  return diffResponse(await provider.diffConfig({ ...common(request, signal), ...changes(request) }));
}

export async function configure(connection: Connection, request: ConfigureRequest, signal: AbortSignal) {
  const { provider } = connection;
  await provider.configure({ inputs: decodeStruct(request.getArgs()), signal });
  connection.configured = true;
  return new messages.ConfigureResponse()
    .setAcceptsecrets(provider.capabilities.acceptSecrets)
    .setSupportspreview(provider.capabilities.supportsPreview);
}

export async function check(connection: Connection, request: CheckRequest, signal: AbortSignal) {
  const result = await configured(connection).check({
    ...common(request, signal),
    olds: decodeStruct(request.getOlds()),
    news: decodeStruct(request.getNews()),
    randomSeed: request.getRandomseed_asU8(),
  });
  return checkResponse(result);
}

export async function diff(connection: Connection, request: DiffRequest, signal: AbortSignal) {
  const provider = configured(connection);
  return diffResponse(await provider.diff({ ...common(request, signal), id: request.getId(), ...changes(request) }));
}

export async function create(connection: Connection, request: CreateRequest, signal: AbortSignal) {
  const result = await configured(connection).create({
    ...common(request, signal),
    inputs: decodeStruct(request.getProperties()),
    timeoutSeconds: request.getTimeout(),
    preview: request.getPreview(),
  });
  return new messages.CreateResponse().setId(result.id).setProperties(encodeStruct(result.state));
}

export async function read(connection: Connection, request: ReadRequest, signal: AbortSignal) {
  const result = await configured(connection).read({
    ...common(request, signal),
    id: request.getId(),
    state: decodeStruct(request.getProperties()),
    inputs: decodeStruct(request.getInputs()),
  });
  const response = new messages.ReadResponse().setId(result.id);
  // Properties of a resource that is gone would be taken for one that is there.
  if (result.id === '') return response;
  return response.setProperties(encodeStruct(result.state)).setInputs(encodeStruct(result.inputs));
}

export async function update(connection: Connection, request: UpdateRequest, signal: AbortSignal) {
  const result = await configured(connection).update({
    ...common(request, signal),
    id: request.getId(),
    ...changes(request),
    timeoutSeconds: request.getTimeout(),
    preview: request.getPreview(),
  });
  return new messages.UpdateResponse().setProperties(encodeStruct(result.state));
}

export async function remove(connection: Connection, request: DeleteRequest, signal: AbortSignal) {
  await configured(connection).delete({
    ...common(request, signal),
    id: request.getId(),
    state: decodeStruct(request.getProperties()),
    oldInputs: decodeStruct(request.getOldInputs()),
    timeoutSeconds: request.getTimeout(),
  });
  return new empties.Empty();
}

export async function invoke(connection: Connection, request: InvokeRequest, signal: AbortSignal) {
  const result = await configured(connection).invoke({
    token: request.getTok(),
    args: decodeStruct(request.getArgs()),
    signal,
  });
  return new messages.InvokeResponse()
    .setReturn(encodeStruct(result.result))
    .setFailuresList((result.failures ?? []).map(failureMessage));
}

/** A connection that the engine made anew (its channel was idle for long) has lost its configuration. */
function configured(connection: Connection) {
  if (connection.configured) return connection.provider;
  throw new RpcError(
    grpc.status.FAILED_PRECONDITION,
    `the "${connection.plugin.name}" plugin was used on a connection that is not configured; run the command again`,
  );
}

function common(request: Pick<CheckRequest, 'getUrn' | 'getType' | 'getName'>, signal: AbortSignal): ResourceRequest {
  const urn = request.getUrn();
  // Engines before 3.133 send the URN only: urn:pulumi:<stack>::<project>::<parent types$type>::<name>.
  const [, , types = '', ...name] = urn.split('::');
  return {
    urn,
    type: request.getType() || (types.split('$').at(-1) ?? ''),
    name: request.getName() || name.join('::'),
    signal,
  };
}

function changes(request: Pick<DiffRequest, 'getOlds' | 'getOldInputs' | 'getNews' | 'getIgnorechangesList'>) {
  return {
    olds: decodeStruct(request.getOlds()),
    oldInputs: decodeStruct(request.getOldInputs()),
    news: decodeStruct(request.getNews()),
    ignoreChanges: request.getIgnorechangesList(),
  };
}

function failureMessage(failure: CheckFailure) {
  return new messages.CheckFailure().setProperty(failure.property).setReason(failure.reason);
}

function checkResponse(result: CheckResult): CheckResponse {
  return new messages.CheckResponse()
    .setInputs(encodeStruct(result.inputs))
    .setFailuresList((result.failures ?? []).map(failureMessage));
}

function diffResponse(result: DiffResult): DiffResponse {
  const { DIFF_SOME, DIFF_NONE } = messages.DiffResponse.DiffChanges;
  const response = new messages.DiffResponse()
    .setChanges(result.changes ? DIFF_SOME : DIFF_NONE)
    .setReplacesList([...(result.replaces ?? [])])
    .setStablesList([...(result.stables ?? [])])
    .setDiffsList([...(result.diffs ?? [])])
    .setDeletebeforereplace(result.deleteBeforeReplace ?? false)
    .setHasdetaileddiff(result.detailedDiff !== undefined);
  const detailed = response.getDetaileddiffMap();
  for (const [path, { kind, inputDiff }] of Object.entries(result.detailedDiff ?? {})) {
    detailed.set(path, new messages.PropertyDiff().setKind(KINDS[kind]).setInputdiff(inputDiff));
  }
  return response;
}
