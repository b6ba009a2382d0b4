/**
 * What a part of the local environment implements. Each service is one file (or one folder) that starts, stops, checks
 * and removes one real component; `services.ts` lists them all.
 */

/** The binaries that the toolchain provides; see `toolchain.ts`. */
export const TOOL_NAMES = [
  'pulumi',
  'pulumi-language-nodejs',
  'docker-buildx',
  'kubectl',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'coredns',
  'act',
  'actionlint',
] as const;

export type ToolName = (typeof TOOL_NAMES)[number];

export interface Health {
  readonly healthy: boolean;
  /** One line for a person: what is wrong, or what was measured. Never a secret. */
  readonly detail: string;
}

/** Shows long work: what, how far, how long. */
export interface Progress {
  /**
   * Runs `work` under a title. The time is shown while it runs and when it ends.
   * `report` replaces the detail that is shown beside the title.
   */
  step<T>(title: string, work: (report: (detail: string) => void) => Promise<T>): Promise<T>;
  /** One line of its own. */
  note(line: string): void;
}

export interface Context {
  /** The repository (absolute). */
  readonly root: string;
  /** `.local` in the repository (absolute). */
  readonly directory: string;
  readonly progress: Progress;
  /** Absolute path of a tool; found, downloaded or built at the first call. */
  tool(name: ToolName): Promise<string>;
}

export interface Service {
  /** Also the name of its run file and log file, e.g. `postgres`. */
  readonly name: string;
  /** Shown by `status`. */
  readonly url: string;
  /** Names of the services that must be healthy before this one starts. */
  readonly dependsOn: readonly string[];
  /** Idempotent: running and healthy returns at once; what was killed is healed. */
  start(ctx: Context): Promise<void>;
  /** Returns when every process of the service has ended. */
  stop(ctx: Context): Promise<void>;
  /** Bounded (a few seconds); an unhealthy service is a result, not an error. */
  health(ctx: Context): Promise<Health>;
  /** Removes what lives outside `.local` (interfaces, mounts, nft tables). Called after every service has stopped. */
  clean?(ctx: Context): Promise<void>;
}

/** An error whose message is complete for a person: shown without a stack (`DEBUG=1` shows it). */
export class LocalError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LocalError';
  }
}
