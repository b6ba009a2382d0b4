/** Messages from a plugin to the engine, which shows them beside the resource that they belong to. */

import * as grpc from '@grpc/grpc-js';
import engineServices, { type EngineClient } from '@pulumi/pulumi/proto/engine_grpc_pb.js';
import engineMessages, { type LogRequest } from '@pulumi/pulumi/proto/engine_pb.js';
import type { Log } from './provider.ts';

/** A log whose engine becomes known later (Handshake or Attach); messages before that are dropped. */
export class EngineLog implements Log {
  #client: EngineClient | undefined;
  #address: string | undefined;
  readonly #pending = new Set<Promise<void>>();

  /** `address` is `host:port` of the engine's gRPC server. */
  connect(address: string): void {
    if (address === '' || address === this.#address) return;
    this.#client?.close();
    this.#address = address;
    this.#client = new engineServices.EngineClient(address, grpc.credentials.createInsecure());
  }

  debug(message: string, urn?: string): void {
    this.#send(engineMessages.LogSeverity.DEBUG, message, urn);
  }

  info(message: string, urn?: string): void {
    this.#send(engineMessages.LogSeverity.INFO, message, urn);
  }

  warn(message: string, urn?: string): void {
    this.#send(engineMessages.LogSeverity.WARNING, message, urn);
  }

  error(message: string, urn?: string): void {
    this.#send(engineMessages.LogSeverity.ERROR, message, urn);
  }

  status(message: string, urn?: string): void {
    this.#send(engineMessages.LogSeverity.INFO, message, urn, true);
  }

  /** Waits for what was sent: the engine shows a message only while the request it belongs to is open. */
  async flush(): Promise<void> {
    await Promise.all(this.#pending);
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  #send(severity: ReturnType<LogRequest['getSeverity']>, message: string, urn = '', ephemeral = false): void {
    const client = this.#client;
    if (!client) return;
    const request = new engineMessages.LogRequest();
    request.setSeverity(severity).setMessage(message).setUrn(urn).setEphemeral(ephemeral);
    // A message that cannot be delivered (the engine is gone) is no reason to fail the operation it tells of.
    const sent = new Promise<void>((resolve) => {
      client.log(request, new grpc.Metadata(), { deadline: Date.now() + 5000 }, () => resolve());
    });
    this.#pending.add(sent);
    void sent.then(() => this.#pending.delete(sent));
  }
}
