/**
 * The service's side of the console's tests: answers as the real service gives them, from memory, so that every state
 * can be brought about at once. The console with the real service behind it is tested in test/api/e2e.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ServiceError } from '../../../api/errors.ts';
import type {
  AuditEntry,
  Credentials,
  DatabaseRecord,
  Drop,
  Graph,
  Operation,
  OperationEvent,
  OperationKind,
  Page,
  Plan,
  Step,
  WantedDatabase,
} from '../../../api/model.ts';
import type { Listing, OperationsService, Request } from '../../../api/operations/service.ts';

const TYPES = {
  database: 'postgresql:index/database:Database',
  role: 'postgresql:index/role:Role',
  schema: 'postgresql:index/schema:Schema',
};
export const PASSWORD = 'Shown-once/1';

const urn = (type: string, name: string): string => `urn:pulumi:local::databases::${type}::${name}`;

function step(type: string, name: string, operation: Step['operation'], rest: Partial<Step> = {}): Step {
  return { urn: urn(type, name), type, name, operation, changes: [], sql: [], ...rest };
}

export function wanted(name: string, rest: Partial<WantedDatabase> = {}): WantedDatabase {
  return {
    name,
    environment: 'local',
    schemas: ['app'],
    roles: { owner: { access: 'owner' }, app: { access: 'write', connectionLimit: 20 } },
    connectionLimit: 50,
    credentials: { type: 'return' },
    ...rest,
  };
}

export class ScriptedService implements OperationsService {
  readonly records = new Map<string, DatabaseRecord>();
  readonly plans = new Map<string, Plan>();
  readonly known = new Map<string, Operation>();
  /** Databases that hold data: their deletion needs the name. */
  readonly full = new Set<string>();
  /** What was called, for the tests to see. */
  readonly calls: { readonly method: string; readonly hash?: string; readonly drop?: Drop }[] = [];
  readonly #events = new Map<string, OperationEvent[]>();
  readonly #ends = new Map<string, () => void>();
  /** How long a step takes, in milliseconds. */
  pace = 30;
  /** Runs go on after each step once it is resolved. @default at once */
  gate: Promise<void> | undefined;

  add(name: string, rest: Partial<DatabaseRecord> = {}): void {
    const at = '2026-01-02T03:04:05.000Z';
    const { id } = this.#finished('put', name);
    this.records.set(name, {
      ...{ name, environment: 'local', status: 'ready', applied: wanted(name), createdAt: at, updatedAt: at },
      ...{ lastOperationId: id, drift: null },
      ...rest,
    });
  }

  #finished(kind: OperationKind, database: string): Operation {
    const operation = this.#operation(kind, database);
    const ended: Operation = { ...operation, status: 'succeeded', finishedAt: operation.createdAt };
    this.known.set(operation.id, ended);
    return ended;
  }

  #operation(kind: OperationKind, database: string, planId: string | null = null): Operation {
    const now = new Date().toISOString();
    const operation: Operation = {
      ...{ id: randomUUID(), kind, environment: 'local', database, status: 'queued', attempt: 1, planId },
      ...{ requestedBy: 'https://issuer.test#tester', createdAt: now, startedAt: null, finishedAt: null },
      ...{ steps: [], error: null, credentials: false },
    };
    this.known.set(operation.id, operation);
    this.#events.set(operation.id, []);
    return operation;
  }

  #emit(id: string, type: OperationEvent['type'], data: Record<string, unknown>): void {
    const events = this.#events.get(id) ?? [];
    events.push({ sequence: events.length + 1, at: new Date().toISOString(), type, data });
  }

  /** Carries out step after step in the background, as a runner would, unless it is canceled. */
  #run(operation: Operation, steps: readonly Step[], end: Partial<Operation>, done?: () => void): void {
    const { id } = operation;
    let canceled = false;
    this.#ends.set(id, () => {
      canceled = true;
    });
    const work = async (): Promise<void> => {
      this.known.set(id, { ...operation, status: 'running', startedAt: new Date().toISOString() });
      this.#emit(id, 'status', { status: 'running' });
      for (const one of steps) {
        await sleep(this.pace);
        if (canceled) break;
        this.#emit(id, 'step', { ...one });
        await this.gate;
      }
      await sleep(this.pace);
      const status = canceled ? 'canceled' : (end.status ?? 'succeeded');
      const running = found(this.known.get(id), 'operation');
      this.known.set(id, { ...running, steps, finishedAt: new Date().toISOString(), ...end, status });
      if (!canceled) done?.();
      this.#emit(id, 'status', { status });
    };
    void work();
  }

  async requestPlan(_request: Request, want: WantedDatabase, drop?: Drop): Promise<Plan> {
    this.calls.push({ method: 'requestPlan', drop });
    if (!/^[a-z_][a-z0-9_]*$/.test(want.name)) {
      throw new ServiceError('invalid-request', 'The name is not one that PostgreSQL takes: use lower case letters.', [
        { path: '/database/name', problem: 'must match ^[a-z_][a-z0-9_]*$' },
      ]);
    }
    const isNew = !this.records.has(want.name);
    const operation = isNew ? 'create' : 'update';
    const steps = [
      step(TYPES.database, want.name, operation, {
        changes: [{ path: 'connectionLimit', from: isNew ? undefined : 50, to: want.connectionLimit ?? -1 }],
        sql: [isNew ? `CREATE DATABASE "${want.name}"` : `ALTER DATABASE "${want.name}" CONNECTION LIMIT 10`],
      }),
      ...Object.keys(want.roles).map((role) =>
        step(TYPES.role, `${want.name}_${role}`, isNew ? 'create' : 'same', {
          changes: isNew ? [{ path: 'password', to: '[secret]' }] : [],
          sql: isNew ? [`CREATE ROLE "${want.name}_${role}" LOGIN PASSWORD '[secret]'`] : [],
        }),
      ),
    ];
    return this.#plan('put', want.name, want, steps);
  }

  async requestDeletionPlan(_request: Request, _environment: string, name: string, drop?: Drop): Promise<Plan> {
    this.calls.push({ method: 'requestDeletionPlan', drop });
    const steps = [step(TYPES.database, name, 'delete', { sql: [`DROP DATABASE "${name}"`] })];
    const problem = new ServiceError('holds-data', `${name} holds 3 tables: give up what it holds by its name.`);
    const refused = this.full.has(name) && drop?.database !== name;
    return this.#plan('delete', name, this.records.get(name)?.applied ?? null, steps, refused ? problem : undefined);
  }

  #plan(action: Plan['action'], database: string, want: WantedDatabase | null, steps: Step[], error?: ServiceError) {
    const operation = this.#operation('plan', database);
    const counts: Partial<Record<Step['operation'], number>> = {};
    for (const one of steps) counts[one.operation] = (counts[one.operation] ?? 0) + 1;
    const plan: Plan = {
      ...{ id: randomUUID(), environment: 'local', database, action, status: 'planning', wanted: want, hash: null },
      ...{ steps: [], counts: {}, operationId: operation.id, createdAt: operation.createdAt, error: null },
      createdBy: 'https://issuer.test#tester',
    };
    this.plans.set(plan.id, plan);
    const end: Partial<Plan> = error
      ? { status: 'failed', error: error.problem() }
      : { status: 'ready', hash: 'a'.repeat(64), steps, counts };
    this.#run({ ...operation, planId: plan.id }, [], error ? { status: 'failed', error: error.problem() } : {}, () =>
      this.plans.set(plan.id, { ...plan, ...end }),
    );
    return plan;
  }

  async plan(id: string): Promise<Plan> {
    return found(this.plans.get(id), 'plan');
  }

  async applyPlan(_request: Request, id: string, hash?: string): Promise<Operation> {
    this.calls.push({ method: 'applyPlan', hash });
    const plan = await this.plan(id);
    if (plan.status === 'stale') throw new ServiceError('plan-stale', 'Somebody changed the server: plan again.');
    const operation = this.#operation('apply', plan.database, id);
    const credentials = plan.action === 'put';
    this.#run(operation, plan.steps, { credentials }, () => {
      this.plans.set(id, { ...plan, status: 'applied' });
      if (plan.action === 'delete') this.records.delete(plan.database);
      else if (plan.wanted) this.add(plan.database, { applied: plan.wanted, lastOperationId: operation.id });
    });
    return operation;
  }

  put(): Promise<Operation> {
    throw new Error('the console plans before it applies');
  }

  remove(): Promise<Operation> {
    throw new Error('the console plans before it deletes');
  }

  async rotate(_request: Request, _environment: string, name: string): Promise<Operation> {
    this.calls.push({ method: 'rotate' });
    const operation = this.#operation('rotate', name);
    this.#run(operation, [step(TYPES.role, `${name}_app`, 'update')], { credentials: true });
    return operation;
  }

  async drift(_request: Request, _environment: string, name: string): Promise<Operation> {
    this.calls.push({ method: 'drift' });
    const operation = this.#operation('drift', name);
    const changes = [{ path: 'connectionLimit', from: 20, to: 99 }];
    const steps = [step(TYPES.role, `${name}_app`, 'update', { changes })];
    this.#run(operation, steps, {}, () => {
      const record = found(this.records.get(name), 'database');
      this.records.set(name, { ...record, drift: { at: new Date().toISOString(), steps } });
    });
    return operation;
  }

  async databases(
    filter: { readonly status?: string; readonly prefix?: string },
    listing: Listing,
  ): Promise<Page<DatabaseRecord>> {
    const all = [...this.records.values()].filter(
      ({ name, status }) => name.startsWith(filter.prefix ?? '') && (filter.status ?? status) === status,
    );
    return pageOf(all, listing);
  }

  async database(_environment: string, name: string): Promise<DatabaseRecord> {
    return found(this.records.get(name), 'database');
  }

  async graph(_environment: string, name: string): Promise<Graph> {
    const nodes = [
      { type: TYPES.database, name },
      { type: TYPES.role, name: `${name}_owner` },
      { type: TYPES.role, name: `${name}_app` },
      { type: TYPES.schema, name: `${name}-app` },
    ].map((node) => ({ ...node, urn: urn(node.type, node.name) }));
    const [database, owner, app, schema] = nodes.map((node) => node.urn) as [string, string, string, string];
    const edges = [
      { from: database, to: owner },
      { from: schema, to: database },
      { from: schema, to: app },
    ];
    return { nodes, edges };
  }

  async operations(
    filter: { readonly status?: string; readonly database?: string },
    listing: Listing,
  ): Promise<Page<Operation>> {
    const all = [...this.known.values()].filter(
      ({ database, status }) => (filter.database ?? database) === database && (filter.status ?? status) === status,
    );
    return pageOf(all.reverse(), listing);
  }

  async operation(id: string): Promise<Operation> {
    return found(this.known.get(id), 'operation');
  }

  async *events(id: string, after: number, signal: AbortSignal): AsyncGenerator<OperationEvent> {
    for (let next = after; !signal.aborted; ) {
      const event = this.#events.get(id)?.[next];
      if (event === undefined) {
        const { status } = await this.operation(id);
        if (status !== 'queued' && status !== 'running') return;
        await sleep(10);
        continue;
      }
      next += 1;
      yield event;
    }
  }

  async wait(id: string): Promise<Operation> {
    return this.operation(id);
  }

  async cancel(_request: Request, id: string): Promise<Operation> {
    this.calls.push({ method: 'cancel' });
    this.#ends.get(id)?.();
    return this.operation(id);
  }

  async retry(_request: Request, id: string): Promise<Operation> {
    this.calls.push({ method: 'retry' });
    const before = await this.operation(id);
    const operation: Operation = { ...before, status: 'queued', attempt: before.attempt + 1, finishedAt: null };
    this.known.set(id, { ...operation, error: null });
    this.#emit(id, 'status', { status: 'queued' });
    this.#run({ ...operation, error: null }, before.steps, {});
    return operation;
  }

  async takeCredentials(_request: Request, id: string): Promise<Credentials> {
    const operation = await this.operation(id);
    if (!operation.credentials) throw new ServiceError('credentials-gone', 'They were handed out already: rotate.');
    this.known.set(id, { ...operation, credentials: false });
    return { app: { PGUSER: `${operation.database}_app`, PGPASSWORD: PASSWORD } };
  }

  async audit(): Promise<Page<AuditEntry>> {
    return { items: [], next: null };
  }

  async refused(): Promise<void> {}

  async ready(): Promise<{ readonly ready: boolean }> {
    return { ready: true };
  }
}

function pageOf<T>(all: readonly T[], { limit, cursor }: Listing): Page<T> {
  const start = Number(cursor ?? 0);
  return { items: all.slice(start, start + limit), next: start + limit < all.length ? String(start + limit) : null };
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new ServiceError('not-found', `There is no such ${what}.`);
  return value;
}
