/** What a run of the engine does, in the terms of the API, the console and the comments on pull requests. */

export type StepOperation = 'create' | 'update' | 'replace' | 'delete' | 'read' | 'same';

export interface PropertyChange {
  /** Path of the property, such as `privileges[0]`. */
  readonly path: string;
  /** Values as JSON; a secret is `[secret]`, what is known only later `[unknown]`. */
  readonly from?: unknown;
  readonly to?: unknown;
}

/** One resource of a plan, or of a drift. */
export interface Step {
  readonly urn: string;
  /** Type token, such as `postgresql:index/role:Role`. */
  readonly type: string;
  readonly name: string;
  readonly operation: StepOperation;
  readonly changes: readonly PropertyChange[];
  /** What PostgreSQL is told, passwords redacted; empty for what is no SQL. */
  readonly sql: readonly string[];
}
