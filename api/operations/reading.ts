import type pg from 'pg';
import type { Engine } from '../engine/engine.ts';
import { ServiceError } from '../errors.ts';
import type { AuditEntry, DatabaseRecord, Graph, Operation, OperationEvent, Page, Plan } from '../model.ts';
import { listAudit } from '../store/audit.ts';
import { isConnectionError } from '../store/connection.ts';
import { listDatabases, publicDatabase, readDatabase } from '../store/databases.ts';
import { readEvents } from '../store/events.ts';
import { decodeCursor, isUuid, stackName } from '../store/identifiers.ts';
import { listOperations, publicOperation, readOperation } from '../store/operations.ts';
import { publicPlan, readPlan } from '../store/plans.ts';
import { retryRead } from '../store/transaction.ts';
import type { Hub } from './hub.ts';
import type { Listing, OperationsService } from './service.ts';

/** Events that are read at once. */
const BATCH = 500;
/** The records are looked at this often even when no news comes, in milliseconds. */
const LOOK = 5_000;
const LARGEST_PAGE = 500;

/** Requests that change nothing. They are tried again while the connection to the records fails. */
export class Reading {
  constructor(
    private readonly pool: pg.Pool,
    private readonly hub: Hub,
    private readonly engine: Engine,
  ) {}

  async plan(id: string): Promise<Plan> {
    const plan = isUuid(id) ? await retryRead(() => readPlan(this.pool, id)) : undefined;
    if (!plan) throw new ServiceError('not-found', `There is no plan ${id}.`);
    return publicPlan(plan);
  }

  async databases(
    filter: Parameters<OperationsService['databases']>[0],
    listing: Listing,
  ): Promise<Page<DatabaseRecord>> {
    const after = cursorOf(listing, databaseCursor);
    return await retryRead(() => listDatabases(this.pool, filter, limitOf(listing), after));
  }

  async database(environment: string, name: string): Promise<DatabaseRecord> {
    const database = await retryRead(() => readDatabase(this.pool, environment, name));
    if (!database || database.status === 'deleted') {
      throw new ServiceError('not-found', `"${environment}" has no database "${name}".`);
    }
    return publicDatabase(database);
  }

  async graph(environment: string, name: string): Promise<Graph> {
    await this.database(environment, name);
    return await this.engine.graph(stackName(environment, name));
  }

  async operations(filter: Parameters<OperationsService['operations']>[0], listing: Listing): Promise<Page<Operation>> {
    const before = cursorOf(listing, (key) => (isUuid(key) ? key : undefined));
    return await retryRead(() => listOperations(this.pool, filter, limitOf(listing), before));
  }

  async operation(id: string): Promise<Operation> {
    const operation = isUuid(id) ? await retryRead(() => readOperation(this.pool, id)) : undefined;
    if (!operation) throw new ServiceError('not-found', `There is no operation ${id}.`);
    return publicOperation(operation);
  }

  async *events(id: string, after: number, signal: AbortSignal): AsyncGenerator<OperationEvent> {
    await this.operation(id);
    const news = this.hub.subscribe(id);
    try {
      for (let last = after; !signal.aborted; ) {
        const seen = last;
        const read = await this.#readEvents(id, seen, signal);
        if (!read) return;
        for (const event of read.events) {
          if (signal.aborted) return;
          last = event.sequence;
          yield event;
        }
        if (read.events.length === BATCH) continue;
        // The status is of the same moment as the events: after the end there are no more.
        if (hasEnded(read.status)) return;
        await news.next(LOOK, signal);
      }
    } finally {
      news.close();
    }
  }

  async #readEvents(id: string, after: number, signal: AbortSignal): ReturnType<typeof readEvents> {
    for (;;) {
      try {
        return await retryRead(() => readEvents(this.pool, id, after, BATCH));
      } catch (error) {
        if (!isConnectionError(error) || signal.aborted) throw error;
      }
    }
  }

  async wait(id: string, milliseconds: number, signal?: AbortSignal): Promise<Operation> {
    const end = Date.now() + milliseconds;
    const news = this.hub.subscribe(id);
    try {
      for (;;) {
        const left = end - Date.now();
        try {
          const operation = await this.operation(id);
          if (hasEnded(operation.status) || left <= 0 || signal?.aborted) return operation;
        } catch (error) {
          // Who waits has time to wait for the records, too.
          if (!isConnectionError(error) || left <= 0 || signal?.aborted) throw error;
        }
        await news.next(Math.min(left, LOOK), signal);
      }
    } finally {
      news.close();
    }
  }

  async audit(filter: { readonly environments: readonly string[] }, listing: Listing): Promise<Page<AuditEntry>> {
    const before = cursorOf(listing, (key) => (/^\d{1,18}$/.test(key) ? key : undefined));
    return await retryRead(() => listAudit(this.pool, filter.environments, limitOf(listing), before));
  }
}

function hasEnded(status: Operation['status']): boolean {
  return status !== 'queued' && status !== 'running';
}

function limitOf({ limit }: Listing): number {
  return Math.max(1, Math.min(Math.trunc(limit), LARGEST_PAGE));
}

function cursorOf<T>({ cursor }: Listing, parse: (key: string) => T | undefined): T | undefined {
  if (cursor === undefined) return undefined;
  const key = decodeCursor(cursor);
  const parsed = key === undefined ? undefined : parse(key);
  if (parsed !== undefined) return parsed;
  throw new ServiceError('invalid-request', 'The cursor is not one of this list: begin without one.', [
    { path: 'cursor', problem: 'is not a cursor of this list' },
  ]);
}

function databaseCursor(key: string): [string, string] | undefined {
  try {
    const parsed: unknown = JSON.parse(key);
    if (!Array.isArray(parsed)) return undefined;
    const [environment, name]: unknown[] = parsed;
    return typeof environment === 'string' && typeof name === 'string' ? [environment, name] : undefined;
  } catch {
    return undefined;
  }
}
