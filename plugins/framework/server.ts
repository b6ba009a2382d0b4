/**
 * Serves a plugin over the engine's gRPC protocol. Each engine connection has a provider of its own: with
 * PULUMI_DEBUG_PROVIDERS several engines, and several provider instances of one engine, dial the same port.
 */

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import services from '@pulumi/pulumi/proto/provider_grpc_pb.js';
import { Connection } from './connection.ts';
import { RpcError, toStatus } from './errors.ts';
import * as handlers from './handlers.ts';
import { endWithParent } from './lifetime.ts';
import type { Plugin } from './provider.ts';

export interface ServerOptions {
  /** TCP port on 127.0.0.1. @default 0, a free one */
  readonly port?: number;
  /** `host:port` of the engine, where it is known before the engine's first request. @default none */
  readonly engineAddress?: string;
  /**
   * All connections are one engine's, with one provider that is closed with the server. An engine that started the
   * plugin for itself dials again after 30 idle minutes (grpc-go closes idle channels) and does not configure again.
   * @default false, a provider for each connection
   */
  readonly singleEngine?: boolean;
}

export interface RunningServer {
  readonly port: number;
  /** Aborts what runs, closes every provider and connection, frees the port. */
  close(): Promise<void>;
}

/** Kubernetes objects and archives outgrow gRPC's 4 MiB; the engine's own limit is 400 MiB. */
const SERVER_OPTIONS = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

/** Starts serving on loopback. Throws when the port is taken. */
export async function startServer(plugin: Plugin, options: ServerOptions = {}): Promise<RunningServer> {
  const connections = new Map<string, Connection>();
  const sockets = new Map<string, Socket>();
  const server = new grpc.Server(SERVER_OPTIONS);
  server.addService(
    services.ResourceProviderService,
    implementation((peer) => connections.get(peer)),
  );

  // The sockets are accepted here, not in gRPC, because their ends tell when a provider has served its time.
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  let shared: Connection | undefined;
  const listener = createServer({ noDelay: true }, (socket) => {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    const connection = shared ?? new Connection(plugin);
    if (options.singleEngine) shared = connection;
    if (options.engineAddress) connection.log.connect(options.engineAddress);
    connections.set(peer, connection);
    sockets.set(peer, socket);
    socket.once('close', () => {
      connections.delete(peer);
      sockets.delete(peer);
      if (connection !== shared) connection.close().catch((error: unknown) => reportCloseFailure(plugin, error));
    });
    injector.injectConnection(socket);
  });
  await listen(listener, plugin, options.port ?? 0);

  return {
    port: (listener.address() as AddressInfo).port,
    async close() {
      const open = new Set(connections.values());
      if (shared) open.add(shared);
      const ended = [...open].map((connection) => connection.close());
      listener.close();
      injector.destroy();
      for (const socket of sockets.values()) socket.destroy();
      server.forceShutdown();
      await Promise.allSettled(ended);
    },
  };
}

/** A plugin's whole main program: prints the port for the engine and ends when the engine ends. */
export function serve(plugin: Plugin): void {
  const engineAddress = process.argv.slice(2).find((argument) => !argument.startsWith('-'));
  startServer(plugin, { engineAddress, singleEngine: true }).then(
    (server) => {
      endWithParent(() => server.close());
      process.stdout.write(`${server.port}\n`);
    },
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
      process.exit(1);
    },
  );
}

async function listen(listener: NetServer, plugin: Plugin, port: number): Promise<void> {
  listener.listen(port, '127.0.0.1');
  try {
    await once(listener, 'listening');
  } catch (error) {
    throw new Error(`cannot serve the "${plugin.name}" plugin on 127.0.0.1:${port}: ${(error as Error).message}`);
  }
}

type Find = (peer: string) => Connection | undefined;
type Handler<Request, Response> = (connection: Connection, request: Request, signal: AbortSignal) => Promise<Response>;

function implementation(find: Find): grpc.UntypedServiceImplementation {
  const unary = <Request, Response>(handler: Handler<Request, Response>): grpc.handleUnaryCall<Request, Response> => {
    return (call, callback) => {
      respond(find, handler, call).then(
        (response) => callback(null, response),
        (error: unknown) => callback(toStatus(error)),
      );
    };
  };
  // Procedures that are not here (Call, Construct, StreamInvoke, Parameterize, GetMapping, …) answer "unimplemented".
  return {
    handshake: unary(handlers.handshake),
    attach: unary(handlers.attach),
    cancel: unary(handlers.cancel),
    getPluginInfo: unary(handlers.getPluginInfo),
    getSchema: unary(handlers.getSchema),
    checkConfig: unary(handlers.checkConfig),
    diffConfig: unary(handlers.diffConfig),
    configure: unary(handlers.configure),
    check: unary(handlers.check),
    diff: unary(handlers.diff),
    create: unary(handlers.create),
    read: unary(handlers.read),
    update: unary(handlers.update),
    delete: unary(handlers.remove),
    invoke: unary(handlers.invoke),
  };
}

async function respond<Request, Response>(
  find: Find,
  handler: Handler<Request, Response>,
  call: grpc.ServerUnaryCall<Request, Response>,
): Promise<Response> {
  const connection = find(call.getPeer());
  if (!connection) throw new RpcError(grpc.status.UNAVAILABLE, 'the connection to the engine was lost');
  return connection.run(
    (abort) => call.once('cancelled', abort),
    (signal) => handler(connection, call.request, signal),
  );
}

function reportCloseFailure(plugin: Plugin, error: unknown): void {
  process.stderr.write(
    `closing the "${plugin.name}" plugin failed: ${error instanceof Error ? error.message : error}\n`,
  );
}
