import * as pulumi from '@pulumi/pulumi';
import * as settings from '@pulumi/pulumi/runtime/settings.js';

/** One resource as the program registered it with the engine. */
export interface Registration {
  readonly type: string;
  readonly name: string;
  /** Name of the parent. */
  readonly parent: string;
  /** Inputs as they were sent; a secret value is `{secret: value}`, an unknown one is `UNKNOWN`. */
  readonly inputs: Record<string, unknown>;
  /** Names of the resources it waits for. */
  readonly dependencies: string[];
  readonly protect: boolean;
  readonly deletedWith: string;
  /** Name of the explicit provider, or ''. */
  readonly provider: string;
  readonly version: string;
  readonly createTimeout: string;
}

export const UNKNOWN = '<unknown>';
export const DIGEST = `sha256:${'a'.repeat(64)}`;

export interface Recording {
  /** All registrations so far, when every one has been answered. */
  registrations(): Promise<Registration[]>;
  /** The one with this name and, where several have it, this type's last part. */
  find(name: string, kind?: string): Promise<Registration>;
  /** The calls of functions. */
  readonly calls: { token: string; inputs: Record<string, unknown> }[];
}

export interface RecordOptions {
  readonly preview?: boolean;
  readonly stack?: string;
  /** Further outputs of a resource, by its type. */
  readonly outputs?: Readonly<Record<string, (inputs: Record<string, unknown>) => Record<string, unknown>>>;
  /** Answers the calls of functions; may throw. */
  readonly call?: (inputs: Record<string, unknown>) => Record<string, unknown>;
}

/** Starts a new recording: resources registered from now on are answered with their inputs as outputs. */
export async function record(options: RecordOptions = {}): Promise<Recording> {
  const found: Registration[] = [];
  const calls: { token: string; inputs: Record<string, unknown> }[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => ({
        id: `${name}-id`,
        state: { ...inputs, ...(options.preview ? {} : computed(type, inputs, options)) },
      }),
      call: ({ token, inputs }) => {
        calls.push({ token, inputs });
        return options.call?.(inputs) ?? { ...inputs, sha256Digest: DIGEST };
      },
    },
    'development-operations',
    options.stack ?? 'test',
    options.preview ?? false,
  );
  const monitor = settings.getMonitor() as unknown as {
    registerResource(request: Request, callback: unknown): unknown;
  };
  const answer = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, callback) => {
    found.push(registration(request));
    return answer(request, callback);
  };
  const registrations = async () => {
    await (settings as unknown as { waitForRPCs(): Promise<void> }).waitForRPCs();
    return found;
  };
  return {
    registrations,
    calls,
    async find(name, kind) {
      const all = await registrations();
      const hits = all.filter((one) => one.name === name && (kind === undefined || one.type.endsWith(`:${kind}`)));
      if (hits.length === 1 && hits[0]) return hits[0];
      const names = all.map((one) => `${one.type} ${one.name}`).join('\n');
      throw new Error(`${hits.length} registrations of ${kind ?? ''} "${name}" among:\n${names}`);
    },
  };
}

/** The value of an output, with whether it is secret; fails when it is not known. */
export async function resolved<T>(output: pulumi.Input<T> | undefined): Promise<{ value: unknown; secret: boolean }> {
  if (output === undefined) throw new Error('there is no output');
  const full = pulumi.output(output) as unknown as {
    promise(): Promise<T>;
    isKnown: Promise<boolean>;
    isSecret: Promise<boolean>;
  };
  if (!(await full.isKnown)) return { value: UNKNOWN, secret: await full.isSecret };
  return { value: await full.promise(), secret: await full.isSecret };
}

/** The lines of findings in the error that the work throws. */
export function findingsOf(work: () => unknown): string[] {
  try {
    work();
  } catch (error) {
    if (!pulumi.RunError.isInstance(error)) throw error;
    return (error as Error).message
      .split('\n')
      .slice(1)
      .map((line) => line.replace(/^ {2}- /, ''));
  }
  throw new Error('nothing was refused');
}

/** What the tests read of the engine's RegisterResourceRequest. */
interface Request {
  getType(): string;
  getName(): string;
  getParent(): string;
  getObject(): { toJavaScript(): Record<string, unknown> };
  getDependenciesList(): string[];
  getProtect(): boolean;
  getDeletedwith(): string;
  getProvider(): string;
  getProvidersMap(): { toArray(): [string, string][] };
  getVersion(): string;
  getCustomtimeouts(): { getCreate(): string } | undefined;
}

function registration(request: Request): Registration {
  return {
    type: request.getType(),
    name: request.getName(),
    parent: nameOf(request.getParent()),
    inputs: readable(request.getObject().toJavaScript()) as Record<string, unknown>,
    dependencies: request.getDependenciesList().map(nameOf).sort(),
    protect: request.getProtect(),
    deletedWith: nameOf(request.getDeletedwith()),
    provider: nameOf(request.getProvider().replace(/::[^:]*$/, '')),
    version: request.getVersion(),
    createTimeout: request.getCustomtimeouts()?.getCreate() ?? '',
  };
}

function nameOf(urn: string): string {
  return urn.slice(urn.lastIndexOf('::') + (urn.includes('::') ? 2 : 1));
}

/** Marks of the engine's wire format: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig/sig.go */
const SIGNATURE = '4dabf18193072939515e22adb298388d';
const SECRET = '1b47061264138c4ac30d75fd1eb44270';
const UNKNOWN_TEXT = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';

function readable(value: unknown): unknown {
  if (value === UNKNOWN_TEXT) return UNKNOWN;
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  const record = value as Record<string, unknown>;
  if (record[SIGNATURE] === SECRET) return { secret: readable(record.value) };
  return Object.fromEntries(Object.entries(record).map(([key, item]) => [key, readable(item)]));
}

function computed(type: string, inputs: Record<string, unknown>, options: RecordOptions): Record<string, unknown> {
  const own = options.outputs?.[type]?.(inputs);
  if (own) return own;
  if (type === 'docker-build:index:Image') return { digest: DIGEST };
  if (type === 'random:index/randomPassword:RandomPassword') return { result: 'p'.repeat(Number(inputs.length)) };
  return {};
}
