/** Errors as the engine reads them: a message without a stack, and the details of a half-made resource. */

import * as grpc from '@grpc/grpc-js';
import messages from '@pulumi/pulumi/proto/provider_pb.js';
import statuses from '@pulumi/pulumi/proto/status_pb.js';
import anys from 'google-protobuf/google/protobuf/any_pb.js';
import { ResourceInitError } from './provider.ts';
import { encodeStruct } from './wire.ts';

/** Where gRPC puts a google.rpc.Status with details (grpc/grpc: doc/statuscodes, "Richer error model"). */
const STATUS_METADATA_KEY = 'grpc-status-details-bin';

/** An error that already carries its gRPC code; everything else is sent as UNKNOWN. */
export class RpcError extends Error {
  constructor(
    readonly code: grpc.status,
    message: string,
  ) {
    super(message);
    this.name = 'RpcError';
  }
}

/** What is sent for whatever a plugin threw: only the message, because a stack says nothing to the user. */
export function toStatus(error: unknown): Partial<grpc.StatusObject> {
  const details = messageOf(error);
  if (error instanceof RpcError) return { code: error.code, details };
  if (error instanceof ResourceInitError) {
    return { code: grpc.status.UNKNOWN, details, metadata: initFailure(error, details) };
  }
  return { code: grpc.status.UNKNOWN, details };
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node reports "connect ECONNREFUSED" to several addresses as an AggregateError with an empty message.
  if (error.message === '' && error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return error.message === '' ? error.name : error.message;
}

function initFailure(error: ResourceInitError, message: string): grpc.Metadata {
  const failure = new messages.ErrorResourceInitFailed();
  failure.setId(error.id).setProperties(encodeStruct(error.state)).setInputs(encodeStruct(error.inputs));
  failure.setReasonsList([...error.reasons]);
  const any = new anys.Any();
  any.pack(failure.serializeBinary(), 'pulumirpc.ErrorResourceInitFailed');
  const status = new statuses.Status();
  status.setCode(grpc.status.UNKNOWN).setMessage(message).setDetailsList([any]);
  const metadata = new grpc.Metadata();
  metadata.set(STATUS_METADATA_KEY, Buffer.from(status.serializeBinary()));
  return metadata;
}
