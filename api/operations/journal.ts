import type pg from 'pg';
import { ServiceError } from '../errors.ts';
import type { Caller } from '../model.ts';
import { addAudit } from '../store/audit.ts';
import { claimKey } from '../store/idempotency.ts';
import { requestHash, timeOrderedId } from '../store/identifiers.ts';
import { publicOperation, readOperation } from '../store/operations.ts';
import { type Queryable, transaction } from '../store/transaction.ts';
import type { Request } from './service.ts';

/** `<issuer>#<subject>`, as in the audit log. */
export function callerName({ issuer, subject }: Caller): string {
  return `${issuer}#${subject}`;
}

/** What a request is about, for the audit log. */
export interface About {
  environment: string | null;
  database: string | null;
  operationId?: string;
}

/** What every request that changes something leaves: an answer for its idempotency key, an entry in the audit log. */
export class Journal {
  constructor(private readonly pool: pg.Pool) {}

  /**
   * Makes a result once for an idempotency key; `id` is the result's, and found again with `read`.
   *
   * @param single whether `make` is one statement.
   */
  async once<T>(
    request: Request,
    parameters: object,
    make: (client: Queryable, id: string) => Promise<T>,
    read: (id: string) => Promise<T | undefined> = async (id) => {
      const operation = await readOperation(this.pool, id);
      return operation && (publicOperation(operation) as T);
    },
    single = false,
  ): Promise<T> {
    const id = timeOrderedId();
    const { idempotencyKey, caller, action } = request;
    const hash = requestHash({ action, parameters });
    // Without a key nothing has to be remembered: what is made in one statement needs no transaction around it.
    if (!idempotencyKey && single) return await make(this.pool, id);
    const made = await transaction(this.pool, async (client) => {
      const known = idempotencyKey && (await claimKey(client, callerName(caller), idempotencyKey, hash, id));
      return known ? { known } : { result: await make(client, id) };
    });
    if ('result' in made) return made.result as T;
    if (made.known.requestHash !== hash) {
      throw new ServiceError(
        'idempotency-mismatch',
        'This Idempotency-Key came with another request before: use a new one.',
      );
    }
    const before = await read(made.known.resultId);
    if (before === undefined) throw new ServiceError('not-found', `${made.known.resultId} is not there any more.`);
    return before;
  }

  /** A refusal leaves an entry, too. `about` may be filled in while the request is looked at. */
  async audited<T>(request: Request, about: About, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ServiceError) {
        const { caller, action, requestId } = request;
        await addAudit(this.pool, {
          ...{ caller: callerName(caller), action, requestId, planHash: null, result: 'refused' },
          ...{ environment: about.environment, database: about.database, operationId: about.operationId ?? null },
        });
      }
      throw error;
    }
  }
}

export async function addAccepted(
  client: Queryable,
  { caller, action, requestId }: Request,
  about: { environment: string; database: string; operationId: string; planHash?: string | null },
): Promise<void> {
  const planHash = about.planHash ?? null;
  await addAudit(client, { ...about, planHash, caller: callerName(caller), action, requestId, result: 'accepted' });
}
