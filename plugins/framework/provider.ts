/**
 * What a provider plugin implements. The engine's gRPC protocol (pulumi/provider.proto, version 1) is served by
 * `server.ts`; a plugin sees plain values only.
 *
 * Values are JSON values plus two wrappers (`Secret`, `UNKNOWN`); see `values.ts`.
 */

import type { PropertyMap } from './values.ts';

/** One invalid input. `property` is a property path such as `spec.replicas`, or '' for the whole resource. */
export interface CheckFailure {
  readonly property: string;
  readonly reason: string;
}

export interface CheckResult {
  /** The inputs with defaults filled in; what is stored in the state. */
  readonly inputs: PropertyMap;
  readonly failures?: readonly CheckFailure[];
}

export type DiffKind = 'add' | 'add-replace' | 'delete' | 'delete-replace' | 'update' | 'update-replace';

export interface PropertyDiff {
  readonly kind: DiffKind;
  /** True when the difference is between the old and the new inputs, false when between the old state and the new inputs. */
  readonly inputDiff: boolean;
}

export interface DiffResult {
  readonly changes: boolean;
  /** Top-level property names (or property paths) that force a replacement. */
  readonly replaces?: readonly string[];
  /** Top-level property names that will not change in an update. */
  readonly stables?: readonly string[];
  readonly deleteBeforeReplace?: boolean;
  /** Top-level property names that changed. */
  readonly diffs?: readonly string[];
  /** Property path (`spec.template.spec.containers[0].image`) to its change. */
  readonly detailedDiff?: Readonly<Record<string, PropertyDiff>>;
}

/** What every request about one resource carries. */
export interface ResourceRequest {
  readonly urn: string;
  /** Type token, e.g. `postgresql:index/role:Role`. */
  readonly type: string;
  /** Logical name. */
  readonly name: string;
  /** Aborted when the engine cancels or the connection is lost. */
  readonly signal: AbortSignal;
}

export interface CheckRequest extends ResourceRequest {
  /** Inputs in the state; empty for a resource that is not there yet. */
  readonly olds: PropertyMap;
  readonly news: PropertyMap;
  /** For random names; deterministic with `--plan`. */
  readonly randomSeed: Uint8Array;
}

export interface DiffRequest extends ResourceRequest {
  readonly id: string;
  /** The outputs in the state. */
  readonly olds: PropertyMap;
  readonly oldInputs: PropertyMap;
  /** Checked new inputs; may hold UNKNOWN in a preview. */
  readonly news: PropertyMap;
  readonly ignoreChanges: readonly string[];
}

export interface CreateRequest extends ResourceRequest {
  readonly inputs: PropertyMap;
  /** Seconds from `customTimeouts`; 0 when not given. */
  readonly timeoutSeconds: number;
  /** True in `pulumi preview`: nothing may be changed; return what is known and UNKNOWN for the rest. */
  readonly preview: boolean;
}

export interface ReadRequest extends ResourceRequest {
  readonly id: string;
  /** Empty on import. */
  readonly state: PropertyMap;
  /** Empty on import. */
  readonly inputs: PropertyMap;
}

export interface UpdateRequest extends ResourceRequest {
  readonly id: string;
  readonly olds: PropertyMap;
  readonly oldInputs: PropertyMap;
  readonly news: PropertyMap;
  readonly timeoutSeconds: number;
  readonly ignoreChanges: readonly string[];
  readonly preview: boolean;
}

export interface DeleteRequest extends ResourceRequest {
  readonly id: string;
  readonly state: PropertyMap;
  readonly oldInputs: PropertyMap;
  readonly timeoutSeconds: number;
}

export interface CreateResult {
  /** '' in a preview when it is not known. */
  readonly id: string;
  readonly state: PropertyMap;
}

export interface ReadResult {
  /** '' when the resource does not exist any more. */
  readonly id: string;
  readonly state: PropertyMap;
  readonly inputs: PropertyMap;
}

export interface UpdateResult {
  readonly state: PropertyMap;
}

export interface InvokeRequest {
  readonly token: string;
  readonly args: PropertyMap;
  readonly signal: AbortSignal;
}

export interface InvokeResult {
  readonly result: PropertyMap;
  readonly failures?: readonly CheckFailure[];
}

export interface ConfigureRequest {
  /** Provider inputs as typed values (nested objects arrive as objects, JSON strings are parsed by the plugin). */
  readonly inputs: PropertyMap;
  readonly signal: AbortSignal;
}

/** Messages for the person at the terminal; `urn` ties them to a resource ('' for the provider). */
export interface Log {
  debug(message: string, urn?: string): void;
  info(message: string, urn?: string): void;
  warn(message: string, urn?: string): void;
  error(message: string, urn?: string): void;
  /** A transient line beside the resource in the interactive display ("[1/2] waiting for pods"). */
  status(message: string, urn?: string): void;
}

/** Whether values arrive with their secret marks; where they do not, the engine marks outputs named like secret inputs. */
export interface Capabilities {
  readonly acceptSecrets: boolean;
  /** Create and Update are called in previews. */
  readonly supportsPreview: boolean;
}

/**
 * One configured provider: the server makes one per engine connection, so an implementation may keep state
 * (connections, caches) in fields without a thought for other stacks.
 */
export interface Provider {
  readonly capabilities: Capabilities;
  /** The Pulumi package schema as JSON, if the plugin has one. */
  getSchema?(): Promise<string>;
  checkConfig?(request: Omit<CheckRequest, 'randomSeed'>): Promise<CheckResult>;
  diffConfig?(request: Omit<DiffRequest, 'id'>): Promise<DiffResult>;
  configure(request: ConfigureRequest): Promise<void>;
  check(request: CheckRequest): Promise<CheckResult>;
  diff(request: DiffRequest): Promise<DiffResult>;
  create(request: CreateRequest): Promise<CreateResult>;
  read(request: ReadRequest): Promise<ReadResult>;
  update(request: UpdateRequest): Promise<UpdateResult>;
  delete(request: DeleteRequest): Promise<void>;
  invoke(request: InvokeRequest): Promise<InvokeResult>;
  /** Closes connections; called once when the engine's connection ends. */
  close?(): Promise<void>;
}

/** Makes a provider for one connection. */
export type ProviderFactory = (log: Log) => Provider;

/** A plugin: its package name, its version (that of the SDK in node_modules) and how to make a provider. */
export interface Plugin {
  readonly name: string;
  readonly version: string;
  readonly create: ProviderFactory;
}

/**
 * The resource was made (or changed) but did not become ready: the engine keeps `state` and reports `reasons`,
 * and the next update tries again. Thrown from create, read and update (pulumirpc.ErrorResourceInitFailed).
 */
export class ResourceInitError extends Error {
  constructor(
    readonly id: string,
    readonly state: PropertyMap,
    readonly inputs: PropertyMap,
    readonly reasons: readonly string[],
  ) {
    super(reasons.join('\n'));
    this.name = 'ResourceInitError';
  }
}

/** A type or function that our plugin lacks, with the command that installs the official one. */
export class UnsupportedTypeError extends Error {
  constructor(plugin: { readonly name: string; readonly version: string }, token: string) {
    super(
      `${token} is not among the types that the built-in "${plugin.name}" plugin provides. ` +
        `Install the official plugin, which has them all: pulumi plugin install resource ${plugin.name} v${plugin.version}`,
    );
    this.name = 'UnsupportedTypeError';
  }
}
