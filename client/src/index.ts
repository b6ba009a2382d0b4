export {
  type Call,
  type Change,
  Client,
  type ClientOptions,
  createClient,
  type DatabaseFilter,
  type Listing,
  type OperationFilter,
  type Reference,
  type WaitOptions,
} from './client.ts';
export type { EventsOptions } from './events.ts';
export { OperationError, ProblemError } from './problem.ts';
export type { paths } from './schema.ts';
export type * from './types.ts';
