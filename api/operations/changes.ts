import type { Engine, EngineRequest } from '../engine/engine.ts';
import { ServiceError } from '../errors.ts';
import type { Credentials, Drop, Step, WantedDatabase } from '../model.ts';
import {
  beginChange,
  markApplied,
  markDeleted,
  noteChecked,
  recordDrift,
  type StoredDatabase,
} from '../store/databases.ts';
import { stackName } from '../store/identifiers.ts';
import type { StoredOperation } from '../store/operations.ts';
import { finishPlan } from '../store/plans.ts';
import type { Queryable } from '../store/transaction.ts';
import type { Inspector } from './inspector.ts';
import { refuseBadNames, removedSchemas, rotated, serverNames, uncheckedNames } from './safety.ts';

/** One attempt at an operation, under the lock of its database. */
export interface Attempt {
  readonly operation: StoredOperation;
  readonly database: StoredDatabase | undefined;
  readonly records: Queryable;
  readonly engine: Engine;
  readonly inspector: Inspector;
  readonly ownDatabase: string;
  readonly signal: AbortSignal;
  readonly onStep: (step: Step) => void;
}

export interface Outcome {
  readonly steps: readonly Step[];
  readonly credentials?: Credentials;
  /** Writes down what is now, in the transaction that ends the operation. */
  readonly record: (client: Queryable) => Promise<void>;
}

/** Does what the operation is for. @throws ServiceError, EngineError, and errors of the connection to the records. */
export async function carryOut(attempt: Attempt): Promise<Outcome> {
  const { operation } = attempt;
  await recover(attempt);
  switch (operation.kind) {
    case 'plan':
      return await plan(attempt);
    case 'apply':
      return await applyPlan(attempt);
    case 'put':
      return await put(attempt, wantedOf(attempt), attempt.database?.rotations ?? {});
    case 'delete':
      return await remove(attempt);
    case 'rotate':
      // The operation's own id: another attempt does not rotate again.
      return await put(
        attempt,
        appliedOf(attempt),
        rotated(attempt.database?.rotations ?? {}, operation.input.roles, operation.id),
      );
    case 'drift':
      return await drift(attempt);
  }
}

/** What a run left that did not succeed is taken into the state first. Where nothing was begun there is nothing. */
async function recover(attempt: Attempt): Promise<void> {
  const { database, operation, engine } = attempt;
  if (!database?.attempted || !(database.dirty || operation.attempt > 1)) return;
  await engine.recover(request(attempt, database.attempted));
}

async function plan(attempt: Attempt): Promise<Outcome> {
  const { operation, engine } = attempt;
  const preview =
    operation.input.goal === 'delete' ? await previewDeletion(attempt) : await previewPut(attempt, wantedOf(attempt));
  const steps = preview.steps;
  return { steps, record: (client) => finishPlan(client, operation.planId ?? '', { hash: preview.hash, steps }) };

  async function previewPut(of: Attempt, wanted: WantedDatabase) {
    refuseBadNames(wanted, of.ownDatabase);
    await refuseTakenNames(of, wanted);
    await refuseLosingSchemas(of, removedSchemas(of.database, wanted), operation.input.drop);
    return await engine.preview(silent(request(of, wanted)), 'apply');
  }

  async function previewDeletion(of: Attempt) {
    const { attempted } = of.database ?? {};
    if (!attempted) throw new ServiceError('not-found', nothingMade(operation));
    await refuseLosingDatabase(of, operation.input.drop);
    return await engine.preview(silent(request(of, attempted)), 'destroy');
  }
}

async function applyPlan(attempt: Attempt): Promise<Outcome> {
  const { operation, database, engine } = attempt;
  const deletion = operation.input.goal === 'delete';
  const wanted = deletion ? database?.attempted : operation.input.wanted;
  // Once this operation has begun, it goes on to its end: what was planned is partly done.
  if (database?.attemptedBy !== operation.id) {
    if (!wanted) throw stale(operation);
    const { hash } = await engine.preview(silent(request(attempt, wanted)), deletion ? 'destroy' : 'apply');
    if (hash !== operation.input.hash) throw stale(operation);
  }
  return deletion ? await remove(attempt) : await put(attempt, wantedOf(attempt), database?.rotations ?? {});
}

function stale({ environment, database }: StoredOperation): ServiceError {
  return new ServiceError(
    'plan-stale',
    `What "${database}" of "${environment}" is has changed since the plan was made. Nothing was changed; make a new plan.`,
  );
}

async function put(
  attempt: Attempt,
  wanted: WantedDatabase,
  rotations: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const { operation, records, engine, database } = attempt;
  const { environment, name } = wanted;
  refuseBadNames(wanted, attempt.ownDatabase);
  const fresh = await refuseTakenNames(attempt, wanted);
  if (fresh.length > 0) await noteChecked(records, environment, name, fresh);
  const removed = removedSchemas(database, wanted);
  await refuseLosingSchemas(attempt, removed, operation.input.drop);
  const dropped = removed.filter((schema) => operation.input.drop?.schemas?.includes(schema));
  if (removed.length > 0) await refuseReplacement(attempt, wanted);

  const status = database?.applied ? 'changing' : 'creating';
  await beginChange(records, environment, name, { operationId: operation.id, status, attempted: wanted, rotations });
  const steps: Step[] = [];
  if (dropped.length > 0) {
    // The provider drops a schema with what it holds only when its state says so: one run to say it, one to drop.
    const marked = { ...wanted, schemas: [...wanted.schemas, ...dropped] };
    const first = await engine.apply({ ...request(attempt, marked), rotations, dropSchemas: dropped });
    steps.push(...first.steps);
  }
  const result = await engine.apply({ ...request(attempt, wanted), rotations });
  return {
    steps: [...steps, ...result.steps].filter(isChange),
    credentials: wanted.credentials.type === 'return' ? result.credentials : undefined,
    record: (client) => markApplied(client, environment, name, wanted, serverNames(wanted)),
  };
}

async function remove(attempt: Attempt): Promise<Outcome> {
  const { operation, records, engine, database } = attempt;
  const { environment, database: name } = operation;
  const record = (client: Queryable) => markDeleted(client, environment, name);
  // A name that was refused is not ours to delete.
  if (!database?.attempted) return { steps: [], record };
  const { attempted, rotations } = database;
  await refuseLosingDatabase(attempt, operation.input.drop);
  await beginChange(records, environment, name, {
    operationId: operation.id,
    status: 'deleting',
    attempted,
    rotations,
  });
  const dropSchemas = operation.input.drop?.database === name ? attempted.schemas : undefined;
  const { steps } = await engine.destroy({ ...request(attempt, attempted), dropSchemas });
  return { steps: steps.filter(isChange), record };
}

async function drift(attempt: Attempt): Promise<Outcome> {
  const { environment, database: name } = attempt.operation;
  const result = await attempt.engine.drift(silent(request(attempt, appliedOf(attempt))));
  const steps = result.steps.filter(isChange);
  return { steps, record: (client) => recordDrift(client, environment, name, steps) };
}

function isChange({ operation }: Step): boolean {
  return operation !== 'same';
}

function request(attempt: Attempt, wanted: WantedDatabase): EngineRequest {
  return {
    stack: stackName(wanted.environment, wanted.name),
    wanted,
    rotations: attempt.database?.rotations ?? {},
    signal: attempt.signal,
    onStep: attempt.onStep,
  };
}

/** Steps of a preview are not done: nobody is told as they come. */
function silent({ onStep: _onStep, ...rest }: EngineRequest): EngineRequest {
  return rest;
}

function wantedOf({ operation }: Attempt): WantedDatabase {
  const { wanted } = operation.input;
  if (!wanted) throw new ServiceError('invalid-request', 'The request names no wanted state.');
  return wanted;
}

function appliedOf({ database, operation }: Attempt): WantedDatabase {
  if (!database?.applied) throw new ServiceError('conflict', nothingMade(operation));
  return database.applied;
}

function nothingMade({ environment, database }: StoredOperation): string {
  return `"${database}" of "${environment}" was not made yet: put it first.`;
}

/** @returns the names that were free. @throws ServiceError `name-taken` */
async function refuseTakenNames({ database, inspector }: Attempt, wanted: WantedDatabase): Promise<string[]> {
  const names = uncheckedNames(wanted, database?.checkedNames ?? []);
  if (names.length === 0) return [];
  const taken = await inspector.taken(wanted.environment, names);
  if (taken.length > 0) {
    const list = taken.map((name) => `"${name}"`).join(', ');
    throw new ServiceError(
      'name-taken',
      `The server of "${wanted.environment}" has ${list} already, which this service did not make: choose another name.`,
    );
  }
  return names;
}

/** @throws ServiceError `holds-data` */
async function refuseLosingSchemas(
  { inspector, operation }: Attempt,
  removed: readonly string[],
  drop: Drop | undefined,
): Promise<void> {
  const kept = removed.filter((schema) => !drop?.schemas?.includes(schema));
  if (kept.length === 0) return;
  const data = await inspector.schemaData(operation.environment, operation.database, kept);
  if (data === undefined) return;
  throw new ServiceError(
    'holds-data',
    `A schema that is not wanted any more holds data: ${data}. Keep the schema, or name it in drop.schemas to delete it with what it holds.`,
  );
}

/** @throws ServiceError `holds-data` */
async function refuseLosingDatabase({ inspector, operation }: Attempt, drop: Drop | undefined): Promise<void> {
  if (drop?.database === operation.database) return;
  const data = await inspector.databaseData(operation.environment, operation.database);
  if (data === undefined) return;
  throw new ServiceError(
    'holds-data',
    `"${operation.database}" holds data: ${data}. To delete it with what it holds, give its name as drop.`,
  );
}

/** A change never deletes the database to make it again. @throws ServiceError `holds-data` */
async function refuseReplacement(attempt: Attempt, wanted: WantedDatabase): Promise<void> {
  const { steps } = await attempt.engine.preview(silent(request(attempt, wanted)), 'apply');
  const lost = steps.find(
    ({ type, operation }) =>
      type === 'postgresql:index/database:Database' && (operation === 'replace' || operation === 'delete'),
  );
  if (!lost) return;
  throw new ServiceError(
    'holds-data',
    `The change would delete the database "${wanted.name}" to make it again. Delete it by name first if that is meant.`,
  );
}
