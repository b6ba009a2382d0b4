import type {
  AuditEntry,
  Caller,
  Credentials,
  DatabaseRecord,
  DatabaseStatus,
  Drop,
  Graph,
  Operation,
  OperationEvent,
  OperationStatus,
  Page,
  Plan,
  WantedDatabase,
} from '../model.ts';

/** What belongs to every change that a caller asks for. */
export interface Request {
  readonly caller: Caller;
  readonly requestId: string;
  /** Such as `PUT /v1/databases/{name}`, for the audit log. */
  readonly action: string;
  /** `traceparent` of what the request's operation belongs to. @default nothing is recorded */
  readonly trace?: string;
  /** The header `Idempotency-Key`: the same key of the same caller gives the same answer, once. */
  readonly idempotencyKey?: string;
}

export interface Listing {
  readonly limit: number;
  readonly cursor?: string;
}

/**
 * What the service can do, without HTTP. Every method throws `ServiceError` (see errors.ts) for what a caller can
 * mend. Whether the caller's scopes allow it was checked before.
 */
export interface OperationsService {
  requestPlan(request: Request, wanted: WantedDatabase, drop?: Drop): Promise<Plan>;
  requestDeletionPlan(request: Request, environment: string, name: string, drop?: Drop): Promise<Plan>;
  plan(id: string): Promise<Plan>;
  applyPlan(request: Request, id: string, hash?: string): Promise<Operation>;

  put(request: Request, wanted: WantedDatabase, drop?: Drop): Promise<Operation>;
  remove(request: Request, environment: string, name: string, drop?: Drop): Promise<Operation>;
  rotate(request: Request, environment: string, name: string, roles?: readonly string[]): Promise<Operation>;
  drift(request: Request, environment: string, name: string): Promise<Operation>;

  databases(
    filter: { readonly environments: readonly string[]; readonly status?: DatabaseStatus; readonly prefix?: string },
    listing: Listing,
  ): Promise<Page<DatabaseRecord>>;
  database(environment: string, name: string): Promise<DatabaseRecord>;
  graph(environment: string, name: string): Promise<Graph>;

  operations(
    filter: { readonly environments: readonly string[]; readonly status?: OperationStatus; readonly database?: string },
    listing: Listing,
  ): Promise<Page<Operation>>;
  operation(id: string): Promise<Operation>;
  /** Events after `after` (0 for all), then those that come, until the operation has ended or `signal` fires. */
  events(id: string, after: number, signal: AbortSignal): AsyncIterable<OperationEvent>;
  /** Resolves with the operation when it has ended, or as it is after `milliseconds`. */
  wait(id: string, milliseconds: number, signal?: AbortSignal): Promise<Operation>;
  cancel(request: Request, id: string): Promise<Operation>;
  retry(request: Request, id: string): Promise<Operation>;
  /** The credentials of a finished operation, once: they are gone with the answer. Only for who asked, or an admin. */
  takeCredentials(request: Request, id: string): Promise<Credentials>;

  audit(filter: { readonly environments: readonly string[] }, listing: Listing): Promise<Page<AuditEntry>>;
  /** A request that was refused before it reached the service, for the audit log. */
  refused(entry: Omit<AuditEntry, 'id' | 'at'>): Promise<void>;
  /** Whether the records, the queue and the engine can be used; the reason when they cannot. */
  ready(): Promise<{ readonly ready: boolean; readonly reason?: string }>;
}
