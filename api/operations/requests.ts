import type pg from 'pg';
import { ServiceError } from '../errors.ts';
import type { Drop, Operation, OperationKind, Plan, WantedDatabase } from '../model.ts';
import type { ApiSettings } from '../settings.ts';
import { readDatabase, type StoredDatabase } from '../store/databases.ts';
import { isUuid, timeOrderedId } from '../store/identifiers.ts';
import { addOperation, type OperationInput } from '../store/operations.ts';
import { addPlan, markPlanApplied, publicPlan, readPlan } from '../store/plans.ts';
import type { Queryable } from '../store/transaction.ts';
import { type About, callerName, Journal } from './journal.ts';
import { refuseBadNames, reservedProblem } from './safety.ts';
import type { Request } from './service.ts';

interface NewOperation {
  readonly kind: OperationKind;
  readonly environment: string;
  readonly database: string;
  readonly input: OperationInput;
  readonly planId?: string;
  readonly planHash?: string;
}

/** Requests that change something: each is one transaction that leaves an answer, its job and its audit entry. */
export class Requests {
  readonly #journal: Journal;

  constructor(
    private readonly pool: pg.Pool,
    private readonly settings: ApiSettings,
    private readonly ownDatabase: string,
  ) {
    this.#journal = new Journal(pool);
  }

  async requestPlan(request: Request, wanted: WantedDatabase, drop?: Drop): Promise<Plan> {
    return await this.#journal.audited(
      request,
      { environment: wanted.environment, database: wanted.name },
      async () => {
        this.#refuseUnknown(wanted.environment);
        refuseBadNames(wanted, this.ownDatabase);
        return await this.#plan(request, wanted.environment, wanted.name, { wanted, drop, goal: 'put' });
      },
    );
  }

  async requestDeletionPlan(request: Request, environment: string, name: string, drop?: Drop): Promise<Plan> {
    return await this.#journal.audited(request, { environment, database: name }, async () => {
      this.#refuseOther(name, drop);
      await this.#existing(this.pool, environment, name);
      return await this.#plan(request, environment, name, { drop, goal: 'delete' });
    });
  }

  async applyPlan(request: Request, id: string, hash?: string): Promise<Operation> {
    const about: About = { environment: null, database: null };
    return await this.#journal.audited(request, about, () =>
      this.#journal.once(request, { id, hash }, async (client, operationId) => {
        const plan = isUuid(id) ? await readPlan(client, id, true) : undefined;
        if (!plan) throw new ServiceError('not-found', `There is no plan ${id}.`);
        Object.assign(about, { environment: plan.environment, database: plan.database });
        if (plan.status === 'stale') throw new ServiceError('plan-stale', `Plan ${id} is stale: make a new one.`);
        if (plan.status !== 'ready' || plan.hash === null) {
          const by = plan.appliedBy ? ` by operation ${plan.appliedBy}` : '';
          throw new ServiceError(
            'conflict',
            `Plan ${id} is ${plan.status}${by}; only a plan that is ready can be applied.`,
          );
        }
        if (hash !== undefined && hash !== plan.hash) {
          throw new ServiceError(
            'plan-stale',
            `Plan ${id} has the hash ${plan.hash}, not the one that was given: read it again.`,
          );
        }
        await markPlanApplied(client, id, operationId);
        return await this.#add(client, request, operationId, {
          kind: 'apply',
          environment: plan.environment,
          database: plan.database,
          planId: id,
          planHash: plan.hash,
          input: {
            wanted: plan.wanted ?? undefined,
            drop: plan.drop ?? undefined,
            goal: plan.action === 'delete' ? 'delete' : 'put',
            hash: plan.hash,
          },
        });
      }),
    );
  }

  async put(request: Request, wanted: WantedDatabase, drop?: Drop): Promise<Operation> {
    const { environment, name: database } = wanted;
    return await this.#journal.audited(request, { environment, database }, async () => {
      this.#refuseUnknown(environment);
      refuseBadNames(wanted, this.ownDatabase);
      return await this.#journal.once(
        request,
        { wanted, drop },
        (client, id) => this.#add(client, request, id, { kind: 'put', environment, database, input: { wanted, drop } }),
        undefined,
        true,
      );
    });
  }

  async remove(request: Request, environment: string, name: string, drop?: Drop): Promise<Operation> {
    return await this.#journal.audited(request, { environment, database: name }, async () => {
      this.#refuseOther(name, drop);
      return await this.#journal.once(request, { environment, name, drop }, async (client, id) => {
        await this.#existing(client, environment, name);
        return await this.#add(client, request, id, { kind: 'delete', environment, database: name, input: { drop } });
      });
    });
  }

  async rotate(request: Request, environment: string, name: string, roles?: readonly string[]): Promise<Operation> {
    return await this.#journal.audited(request, { environment, database: name }, () =>
      this.#journal.once(request, { environment, name, roles }, async (client, id) => {
        const { applied } = await this.#existing(client, environment, name);
        const unknown = (roles ?? []).filter((role) => applied && !Object.hasOwn(applied.roles, role));
        if (unknown.length > 0) {
          const errors = unknown.map((role) => ({ path: 'roles', problem: `"${name}" has no role "${role}"` }));
          throw new ServiceError('invalid-request', 'Only roles that the database has can be rotated.', errors);
        }
        return await this.#add(client, request, id, { kind: 'rotate', environment, database: name, input: { roles } });
      }),
    );
  }

  async drift(request: Request, environment: string, name: string): Promise<Operation> {
    return await this.#journal.audited(request, { environment, database: name }, () =>
      this.#journal.once(request, { environment, name }, async (client, id) => {
        await this.#existing(client, environment, name);
        return await this.#add(client, request, id, { kind: 'drift', environment, database: name, input: {} });
      }),
    );
  }

  async #plan(
    request: Request,
    environment: string,
    database: string,
    input: OperationInput & { readonly goal: 'put' | 'delete' },
  ): Promise<Plan> {
    return await this.#journal.once(
      request,
      { environment, database, ...input },
      async (client, id) => {
        const operationId = timeOrderedId();
        const { goal: action, wanted = null, drop = null } = input;
        const createdBy = callerName(request.caller);
        const plan = await addPlan(client, { id, environment, database, action, wanted, drop, operationId, createdBy });
        await this.#add(client, request, operationId, { kind: 'plan', environment, database, planId: id, input });
        return publicPlan(plan);
      },
      async (id) => {
        const plan = await readPlan(this.pool, id);
        return plan && publicPlan(plan);
      },
    );
  }

  async #add(client: Queryable, request: Request, id: string, operation: NewOperation): Promise<Operation> {
    const { planId = null, planHash = null, ...rest } = operation;
    const { requestId, action, trace = null } = request;
    const requestedBy = callerName(request.caller);
    return await addOperation(client, { ...rest, id, planId, planHash, requestedBy, requestId, action, trace });
  }

  async #existing(client: Queryable, environment: string, name: string): Promise<StoredDatabase> {
    this.#refuseUnknown(environment);
    const reserved = reservedProblem(name, this.ownDatabase);
    if (reserved) throw new ServiceError('invalid-request', reserved);
    const database = await readDatabase(client, environment, name);
    if (!database || database.status === 'deleted') {
      throw new ServiceError('not-found', `"${environment}" has no database "${name}".`);
    }
    return database;
  }

  #refuseUnknown(environment: string): void {
    if (Object.hasOwn(this.settings.environments, environment)) return;
    throw new ServiceError('not-found', `There is no environment "${environment}".`);
  }

  #refuseOther(name: string, drop: Drop | undefined): void {
    if (drop?.database === undefined || drop.database === name) return;
    throw new ServiceError(
      'invalid-request',
      `drop names "${drop.database}", but "${name}" is to be deleted: give the same name.`,
    );
  }
}
