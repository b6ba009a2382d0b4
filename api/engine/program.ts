import * as grpc from '@grpc/grpc-js';
// First: its modules import each other in circles, which only this order loads.
import '@pulumi/pulumi';
import * as automation from '@pulumi/pulumi/automation/server.js';
import * as langrpc from '@pulumi/pulumi/proto/language_grpc_pb.js';

/** What the engine runs; its result are the stack's outputs. */
export type Program = () => Promise<Record<string, unknown>>;

/**
 * The SDK's own server for inline programs. The Automation API around it calls the CLI again and again (for the version,
 * the stack, its outputs, its history), which costs more than the update; the class is no part of its declared types.
 */
const { LanguageServer } = automation as unknown as {
  LanguageServer: new (program: Program) => grpc.UntypedServiceImplementation;
};

export interface ServedProgram {
  /** On 127.0.0.1, for the CLI's `--client`. */
  readonly port: number;
  close(): void;
}

/** Serves a program to one call of the engine, as the Automation API does for inline programs. */
export async function serveProgram(program: Program): Promise<ServedProgram> {
  const server = new grpc.Server();
  // The SDK's server is written against the untyped service.
  server.addService(
    langrpc.LanguageRuntimeService as unknown as grpc.ServiceDefinition,
    new LanguageServer(() => program()),
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return { port, close: () => server.forceShutdown() };
}
