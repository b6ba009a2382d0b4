import * as grpc from '@grpc/grpc-js';
// First: its modules import each other in circles, which only this order loads.
import '@pulumi/pulumi';
import * as automation from '@pulumi/pulumi/automation/server.js';
import * as langrpc from '@pulumi/pulumi/proto/language_grpc_pb.js';
import messages from '@pulumi/pulumi/proto/language_pb.js';
import * as sdkSettings from '@pulumi/pulumi/runtime/settings.js';
import * as sdkState from '@pulumi/pulumi/runtime/state.js';

/** What the engine runs; its result are the stack's outputs. */
export type Program = () => Promise<Record<string, unknown>>;

type RunCall = grpc.ServerUnaryCall<unknown, InstanceType<typeof messages.RunResponse>>;
type RunCallback = grpc.sendUnaryData<InstanceType<typeof messages.RunResponse>>;

/** What the SDK keeps for one run of a program. */
interface Store {
  /** The engine went away from the program. */
  readonly terminated?: boolean;
  readonly settings: { monitor?: { close(): void }; engine?: { close(): void } };
}

/**
 * The SDK's own server for inline programs. The Automation API around it calls the CLI again and again (for the version,
 * the stack, its outputs, its history), which costs more than the update; the class is no part of its declared types.
 */
const { LanguageServer } = automation as unknown as {
  LanguageServer: new (program: Program) => { run(call: RunCall, callback: RunCallback): void };
};
const { getStore } = sdkState as unknown as { getStore(): Store };
const { grpcClientOptions } = sdkSettings as unknown as { grpcClientOptions: Record<string, unknown> };

// A connection is one run's: it neither waits for an engine that is gone, nor meets its successor at the same port.
grpcClientOptions['grpc.use_local_subchannel_pool'] = 1;

/**
 * The SDK takes it for a success when the engine goes away from a program that has not told all its resources yet. An
 * engine that hears of a success deletes what it was not told of.
 */
export const INCOMPLETE = 'the connection between the engine and its program was lost';

class ProgramServer extends LanguageServer {
  readonly #run: { store?: Store; told: boolean };
  #ended: () => void = () => undefined;
  #running: Promise<void> | undefined;

  constructor(program: Program) {
    const run: { store?: Store; told: boolean } = { told: false };
    super(async () => {
      run.store = getStore();
      const outputs = await program();
      run.told = true;
      return outputs;
    });
    this.#run = run;
  }

  /** Resolves when the program, if it was begun, has ended. */
  get ended(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  override run(call: RunCall, callback: RunCallback): void {
    this.#running = new Promise((resolve) => {
      this.#ended = resolve;
    });
    let answered = false;
    super.run(call, (error, response) => {
      // It answers twice when the program fails.
      if (answered) return;
      answered = true;
      const { store, told } = this.#run;
      // The SDK leaves them open: a third of a MiB for each run.
      store?.settings.monitor?.close();
      store?.settings.engine?.close();
      this.#ended();
      if (!error && (!told || store?.terminated)) {
        callback(null, new messages.RunResponse().setError(INCOMPLETE));
        return;
      }
      callback(error, response);
    });
  }
}

export interface ServedProgram {
  /** On 127.0.0.1, for the CLI's `--client`. */
  readonly port: number;
  /** Resolves when the program, if it was begun, has ended. */
  readonly ended: Promise<void>;
  close(): void;
}

/** Serves a program to one call of the engine, as the Automation API does for inline programs. */
export async function serveProgram(program: Program): Promise<ServedProgram> {
  const server = new grpc.Server();
  const language = new ProgramServer(() => program());
  // The SDK's server is written against the untyped service.
  const implementation = language as unknown as grpc.UntypedServiceImplementation;
  server.addService(langrpc.LanguageRuntimeService as unknown as grpc.ServiceDefinition, implementation);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return {
    port,
    get ended() {
      return language.ended;
    },
    close: () => server.forceShutdown(),
  };
}
