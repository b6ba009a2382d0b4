/**
 * What the service speaks of: a wanted database, the plan that leads to it, the operation that carries it out. Every
 * room of the service and the OpenAPI document use these names.
 */

import type { PropertyChange, Step, StepOperation } from '../engineEvents/model.ts';

export type { PropertyChange, Step, StepOperation };

/** What a login role may do; see `components/postgres/privileges.ts`. */
export type Access = 'owner' | 'write' | 'read';

export interface WantedRole {
  readonly access: Access;
  /** Most connections at once, -1 for no limit. */
  readonly connectionLimit?: number;
}

/** Where the credentials go: a Kubernetes Secret for each role, or once to the caller. */
export type Delivery = { readonly type: 'secret'; readonly namespace: string } | { readonly type: 'return' };

/** The wanted state of one database. */
export interface WantedDatabase {
  /** Name in PostgreSQL; with its environment the identity of the database. */
  readonly name: string;
  readonly environment: string;
  readonly schemas: readonly string[];
  /** Login roles by a short name; in PostgreSQL `<database>_<role>`. */
  readonly roles: Readonly<Record<string, WantedRole>>;
  readonly connectionLimit?: number;
  readonly credentials: Delivery;
}

/** Data that a request gives up by name. */
export interface Drop {
  /** Name of the database, when it is deleted with what it holds. */
  readonly database?: string;
  /** Names of schemas that are deleted with what they hold. */
  readonly schemas?: readonly string[];
}

export type PlanStatus = 'planning' | 'ready' | 'failed' | 'applied' | 'stale';
export type PlanAction = 'put' | 'delete' | 'rotate';

export interface Plan {
  readonly id: string;
  readonly environment: string;
  readonly database: string;
  readonly action: PlanAction;
  readonly status: PlanStatus;
  readonly wanted: WantedDatabase | null;
  /** SHA-256 of what is to be done and of the state that it starts from; null until it is ready. */
  readonly hash: string | null;
  readonly steps: readonly Step[];
  readonly counts: Readonly<Partial<Record<StepOperation, number>>>;
  readonly operationId: string;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly error: Problem | null;
}

export type OperationKind = 'plan' | 'apply' | 'put' | 'delete' | 'rotate' | 'drift';
export type OperationStatus = 'queued' | 'running' | 'succeeded' | 'failed' | 'canceled';

export interface Operation {
  readonly id: string;
  readonly kind: OperationKind;
  readonly environment: string;
  readonly database: string;
  readonly status: OperationStatus;
  /** How often it was begun: more than 1 after a replica died, or a retry. */
  readonly attempt: number;
  readonly planId: string | null;
  readonly requestedBy: string;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** What was done, once it has ended; of a drift: what differs. */
  readonly steps: readonly Step[];
  readonly error: Problem | null;
  /** Whether credentials wait to be taken, once. */
  readonly credentials: boolean;
}

export interface OperationEvent {
  readonly sequence: number;
  readonly at: string;
  readonly type: 'status' | 'step' | 'diagnostic';
  readonly data: Readonly<Record<string, unknown>>;
}

export type DatabaseStatus = 'creating' | 'ready' | 'changing' | 'deleting' | 'failed' | 'deleted';

export interface DatabaseRecord {
  readonly name: string;
  readonly environment: string;
  readonly status: DatabaseStatus;
  /** What was applied last; null while it is made for the first time. */
  readonly applied: WantedDatabase | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly lastOperationId: string;
  /** When the last comparison with the server was made, and what it found. */
  readonly drift: { readonly at: string; readonly steps: readonly Step[] } | null;
}

/** The dependency graph of a database's resources. */
export interface Graph {
  readonly nodes: readonly { readonly urn: string; readonly type: string; readonly name: string }[];
  /** `from` needs `to`. */
  readonly edges: readonly { readonly from: string; readonly to: string }[];
}

/** Connection settings of one role, as libpq's environment variables (PGHOST, PGUSER, PGPASSWORD, …). */
export type Credentials = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  /** `<issuer>#<subject>`. */
  readonly caller: string;
  /** Such as `PUT /v1/databases/{name}`. */
  readonly action: string;
  readonly environment: string | null;
  readonly database: string | null;
  readonly operationId: string | null;
  readonly planHash: string | null;
  /** `accepted`, `refused`, and once it has ended the operation's status. */
  readonly result: string;
  readonly requestId: string;
}

/** RFC 9457. */
export interface Problem {
  /** `urn:development-operations:problem:<code>`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What is wrong, where, and the cure. */
  readonly detail: string;
  readonly instance?: string;
  readonly errors?: readonly { readonly path: string; readonly problem: string }[];
}

export type Action = 'read' | 'plan' | 'apply' | 'admin';

/** Who asks, after the token was verified. */
export interface Caller {
  readonly issuer: string;
  readonly subject: string;
  /** `<environment>:<action>`; admin holds the other three, apply holds plan and read, plan holds read. */
  readonly scopes: readonly string[];
  /** Namespaces into which Secrets may be written for this caller; `*` for all that the service may write. */
  readonly namespaces: readonly string[];
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Cursor of the next page. */
  readonly next: string | null;
}
