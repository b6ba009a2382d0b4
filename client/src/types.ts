import type { components } from './schema.ts';

type Schemas = components['schemas'];

/** What the service speaks of; described in the OpenAPI document. */
export type AuditEntry = Schemas['AuditEntry'];
export type Credentials = Schemas['Credentials'];
export type DatabaseBody = Schemas['DatabaseBody'];
export type DatabaseRecord = Schemas['DatabaseRecord'];
export type DatabaseStatus = DatabaseRecord['status'];
export type Drop = Schemas['Drop'];
export type Environment = Schemas['Environment'];
export type Graph = Schemas['Graph'];
export type Operation = Schemas['Operation'];
export type OperationEvent = Schemas['OperationEvent'];
export type OperationStatus = Operation['status'];
export type Plan = Schemas['Plan'];
export type PlannedDatabase = Schemas['PlannedDatabase'];
export type Problem = Schemas['Problem'];
export type PropertyChange = Schemas['PropertyChange'];
export type Step = Schemas['Step'];
export type WantedDatabase = Schemas['WantedDatabase'];
export type WantedRole = Schemas['WantedRole'];
export type Access = WantedRole['access'];

export interface Page<T> {
  readonly items: readonly T[];
  /** Cursor of the next page. */
  readonly next: string | null;
}
