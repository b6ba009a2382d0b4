import type { Credentials, Graph, Step, WantedDatabase } from '../model.ts';

/** Inputs of one run of the engine on the stack of one database. */
export interface EngineRequest {
  /** Unique per environment and database. */
  readonly stack: string;
  /** What the database shall be. For `destroy`, and `refresh`: what was applied last. */
  readonly wanted: WantedDatabase;
  /** Changes with every rotation of a role's password, by role; also for roles that are not named: `''`. */
  readonly rotations: Readonly<Record<string, string>>;
  /** Schemas that are being dropped with what they hold. */
  readonly dropSchemas?: readonly string[];
  /** Ends the engine (SIGINT, then SIGKILL). */
  readonly signal: AbortSignal;
  /** Called as resources are done. */
  readonly onStep?: (step: Step) => void;
}

export interface EngineResult {
  readonly steps: readonly Step[];
  /** By role; only after an `apply` of a database whose credentials are returned. */
  readonly credentials?: Credentials;
}

export interface EnginePreview extends EngineResult {
  /** SHA-256 of the steps and of the state that they start from: the same world gives the same hash. */
  readonly hash: string;
}

/** A failure that the engine reported: `message` is scrubbed and meant for the caller. */
export class EngineError extends Error {}

/** The engine did not end by itself: what it did is not known, and another run has to recover first. */
export class EngineEnded extends Error {}

/** Runs `stacks/database.ts` through the real engine, one child process per run; no two on one stack at once. */
export interface Engine {
  /** What would be done, compared with what the server really has; changes nothing. */
  preview(request: EngineRequest, goal: 'apply' | 'destroy'): Promise<EnginePreview>;
  apply(request: EngineRequest): Promise<EngineResult>;
  /** Deletes everything of the stack, then the stack. */
  destroy(request: EngineRequest): Promise<EngineResult>;
  /** What the server has that the state does not, and the other way; changes nothing. */
  drift(request: EngineRequest): Promise<EngineResult>;
  graph(stack: string): Promise<Graph>;
  /**
   * After a run that did not end by itself: takes away the dead run's lock, and takes into the state what it had begun
   * to make and what is there. Only to be called where nothing of these names was there before the first attempt.
   */
  recover(request: EngineRequest): Promise<void>;
  ready(): Promise<{ readonly ready: boolean; readonly reason?: string }>;
  close(): Promise<void>;
}
