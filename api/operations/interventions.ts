import type pg from 'pg';
import { ServiceError } from '../errors.ts';
import type { Credentials, Operation } from '../model.ts';
import { takeSealed, unseal } from '../store/credentials.ts';
import { forgetUnmade, noteRequest } from '../store/databases.ts';
import { appendEvents } from '../store/events.ts';
import { isUuid } from '../store/identifiers.ts';
import {
  endOperation,
  enqueue,
  publicOperation,
  readOperation,
  reopen,
  requestCancel,
  type StoredOperation,
} from '../store/operations.ts';
import { setPlanStatus } from '../store/plans.ts';
import { type Queryable, transaction } from '../store/transaction.ts';
import { type About, addAccepted, callerName, Journal } from './journal.ts';
import { statusEvent } from './run.ts';
import type { Request } from './service.ts';

/** Requests about an operation that is there. */
export class Interventions {
  readonly #journal: Journal;

  constructor(
    private readonly pool: pg.Pool,
    private readonly encryptionKey: Buffer,
  ) {
    this.#journal = new Journal(pool);
  }

  async cancel(request: Request, id: string): Promise<Operation> {
    return await this.#onOperation(request, id, async (client, operation) => {
      if (operation.status === 'running') {
        await requestCancel(client, id);
        return;
      }
      if (operation.status !== 'queued') throw ended(operation);
      await endOperation(client, operation, { status: 'canceled', steps: [], error: null });
      await forgetUnmade(client, operation.environment, operation.database, id);
      if (operation.kind === 'plan' && operation.planId) {
        const problem = new ServiceError('conflict', 'The planning was canceled: make a new plan.').problem();
        await setPlanStatus(client, operation.planId, 'failed', problem);
      }
    });
  }

  async retry(request: Request, id: string): Promise<Operation> {
    return await this.#onOperation(request, id, async (client, operation) => {
      if (operation.status !== 'failed' && operation.status !== 'canceled') {
        throw new ServiceError(
          'conflict',
          `Operation ${id} is ${operation.status}; only one that failed or was canceled can be tried again.`,
        );
      }
      await reopen(client, id);
      if (operation.kind === 'plan' && operation.planId) await setPlanStatus(client, operation.planId, 'planning');
      else if (operation.kind === 'put') await noteRequest(client, operation.environment, operation.database, id);
      await enqueue(client, operation);
      await appendEvents(client, id, [statusEvent('queued', operation.attempt)]);
    });
  }

  async takeCredentials(request: Request, id: string): Promise<Credentials> {
    const about: About = { environment: null, database: null };
    return await this.#journal.audited(request, about, async () => {
      const operation = isUuid(id) ? await readOperation(this.pool, id) : undefined;
      if (!operation) throw new ServiceError('not-found', `There is no operation ${id}.`);
      const { environment, database } = operation;
      Object.assign(about, { environment, database, operationId: id });
      const { caller } = request;
      if (operation.requestedBy !== callerName(caller) && !caller.scopes.includes(`${environment}:admin`)) {
        throw new ServiceError('forbidden', 'Credentials are handed to who asked for them, or to an administrator.');
      }
      // One transaction: without the entry in the audit log nothing is taken.
      const sealed = await transaction(this.pool, async (client) => {
        const taken = await takeSealed(client, id);
        if (taken) await addAccepted(client, request, { environment, database, operationId: id });
        return taken;
      });
      if (!sealed) {
        throw new ServiceError(
          'credentials-gone',
          'They were taken, expired after 24 hours, or never waited here: rotate to get new ones.',
        );
      }
      return unseal(sealed, id, this.encryptionKey);
    });
  }

  async #onOperation(
    request: Request,
    id: string,
    change: (client: Queryable, operation: StoredOperation & Operation) => Promise<void>,
  ): Promise<Operation> {
    const about: About = { environment: null, database: null };
    return await this.#journal.audited(request, about, () =>
      this.#journal.once(request, { id }, async (client, resultId) => {
        const operation = isUuid(id) ? await readOperation(client, id, true) : undefined;
        if (!operation) throw new ServiceError('not-found', `There is no operation ${id}.`);
        const { environment, database } = operation;
        Object.assign(about, { environment, database, operationId: id });
        await change(client, operation);
        await addAccepted(client, request, { environment, database, operationId: id, planHash: operation.planHash });
        // The key leads to this operation, not to a new one.
        await client.query('UPDATE development_operations.idempotency_keys SET result_id = $2 WHERE result_id = $1', [
          resultId,
          id,
        ]);
        const after = await readOperation(client, id);
        return publicOperation(after ?? operation);
      }),
    );
  }
}

function ended({ id, status }: Operation): ServiceError {
  return new ServiceError(
    'conflict',
    `Operation ${id} has ended already: it ${status === 'canceled' ? 'was' : 'has'} ${status}.`,
  );
}
