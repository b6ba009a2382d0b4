import type pg from 'pg';
import type { Engine } from '../engine/engine.ts';
import type { OperationKind, OperationStatus } from '../model.ts';
import type { ApiSettings } from '../settings.ts';
import type { Tracer } from '../telemetry/trace.ts';

/** The part of pino's logger that is used here. */
export interface Log {
  debug(values: object, message: string): void;
  info(values: object, message: string): void;
  warn(values: object, message: string): void;
  error(values: object, message: string): void;
}

/** Told what happens, for metrics; every hook may be left out. */
export interface MetricsHooks {
  /** @param waitedSeconds time from the request to the start. */
  started?(kind: OperationKind, waitedSeconds: number): void;
  /** @param seconds time from the start of this attempt. */
  ended?(kind: OperationKind, status: OperationStatus, seconds: number): void;
  /** A run went back to the queue, because its replica stops or lost the database. */
  handedBack?(kind: OperationKind): void;
  /** Operations that a dead replica left. */
  takenOver?(count: number): void;
}

export interface OperationsOptions {
  /** Connection to the records and the queue. @default from the PG* variables, see store/connection.ts */
  readonly connection?: pg.ClientConfig;
  readonly engine: Engine;
  readonly settings: ApiSettings;
  /** 32 bytes: encrypts credentials that wait to be taken. */
  readonly encryptionKey: Buffer;
  readonly log: Log;
  readonly metrics?: MetricsHooks;
  /** @default nothing is recorded */
  readonly tracer?: Tracer;
  /** Where administrators' names and passwords are looked up. @default process.env */
  readonly environment?: NodeJS.ProcessEnv;
  /** How often dead replicas are looked for, in milliseconds. @default 2000 */
  readonly sweepInterval?: number;
  /** Pause before a run that was interrupted without a word is begun again, in milliseconds. @default 1000 */
  readonly grace?: number;
}
