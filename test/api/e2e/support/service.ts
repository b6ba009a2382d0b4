/** The operations that the proofs ask for, over HTTP, with the waits that belong to them. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  Credentials,
  DatabaseRecord,
  Drop,
  Operation,
  Page,
  Plan,
  WantedDatabase,
} from '../../../../api/model.ts';
import { type Answer, HttpClient, type RequestOptions } from './http.ts';
import { token } from './tokens.ts';

/** The environment that the local deployment serves. */
export const ENVIRONMENT = 'local';

/** What a test says of a database; the name is in the path. */
export type Wanted = Omit<WantedDatabase, 'name' | 'environment'>;

/** A database that uses everything once, its credentials returned to the caller. */
export const SMALL: Wanted = {
  schemas: ['app'],
  roles: { admin: { access: 'owner' }, writer: { access: 'write' }, reader: { access: 'read' } },
  credentials: { type: 'return' },
};

/** A name that no other run uses. `kind` tells whose it is when something was left. */
export function databaseName(kind: string): string {
  return `e2e_${kind}_${randomBytes(3).toString('hex')}`;
}

export class Service {
  constructor(
    readonly http: HttpClient = new HttpClient(),
    readonly tokenOf: () => Promise<string> = token,
  ) {}

  async request<T>(method: string, path: string, options: RequestOptions = {}): Promise<Answer<T>> {
    return await this.http.request<T>(method, path, { token: await this.tokenOf(), ...options });
  }

  /** @throws AssertionError with the answer when its status is another */
  async expect<T>(status: number, method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const answer = await this.request<T>(method, path, options);
    assert.equal(answer.status, status, `${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.body;
  }

  async put(name: string, wanted: Wanted, headers: Readonly<Record<string, string>> = {}): Promise<Operation> {
    const body = { environment: ENVIRONMENT, ...wanted };
    return await this.expect<Operation>(202, 'PUT', `/v1/databases/${name}`, { body, headers });
  }

  /** A database as wanted, when the operation has succeeded. */
  async make(name: string, wanted: Wanted = SMALL): Promise<Operation> {
    return await this.succeeded((await this.put(name, wanted)).id);
  }

  async database(name: string): Promise<DatabaseRecord> {
    return await this.expect<DatabaseRecord>(200, 'GET', `/v1/databases/${name}?environment=${ENVIRONMENT}`);
  }

  async remove(name: string, drop?: string): Promise<Answer<Operation>> {
    const query = new URLSearchParams({ environment: ENVIRONMENT, ...(drop !== undefined && { drop }) });
    return await this.request<Operation>('DELETE', `/v1/databases/${name}?${query}`);
  }

  async credentials(operation: string): Promise<Credentials> {
    return await this.expect<Credentials>(200, 'POST', `/v1/operations/${operation}/credentials`);
  }

  /** The operation when it has ended. @throws after `seconds` */
  async ended(id: string, seconds = 60): Promise<Operation> {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
      const operation = await this.expect<Operation>(200, 'GET', `/v1/operations/${id}`);
      if (hasEnded(operation)) return operation;
      if (Date.now() > deadline) {
        throw new Error(`${operation.kind} of ${operation.database} is ${operation.status} after ${seconds} s (${id})`);
      }
      await sleep(200);
    }
  }

  /** @throws AssertionError with its error when it has not succeeded */
  async succeeded(id: string, seconds = 60): Promise<Operation> {
    const operation = await this.ended(id, seconds);
    assert.equal(operation.status, 'succeeded', `${operation.kind} ${operation.database}: ${explain(operation)}`);
    return operation;
  }

  async planned(body: { database: WantedDatabase; drop?: Drop } | Record<string, unknown>): Promise<Plan> {
    const { id } = await this.expect<Plan>(202, 'POST', '/v1/plans', { body });
    for (const deadline = Date.now() + 60_000; ; await sleep(200)) {
      const plan = await this.expect<Plan>(200, 'GET', `/v1/plans/${id}`);
      if (plan.status !== 'planning') return plan;
      if (Date.now() > deadline) throw new Error(`the plan ${id} is not ready after 60 s`);
    }
  }

  /** What the server has that was not asked for, or the other way round. */
  async drift(name: string): Promise<Operation> {
    const body = { environment: ENVIRONMENT };
    const { id } = await this.expect<Operation>(202, 'POST', `/v1/databases/${name}/drift`, { body });
    return await this.succeeded(id);
  }

  /** Every entry of a list, page by page. */
  async all<T>(path: string, limit = 100): Promise<T[]> {
    const found: T[] = [];
    let cursor: string | null = null;
    do {
      const query: string = `${path.includes('?') ? '&' : '?'}limit=${limit}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
      const page: Page<T> = await this.expect<Page<T>>(200, 'GET', `${path}${query}`);
      found.push(...page.items);
      cursor = page.next;
    } while (cursor !== null);
    return found;
  }

  /** Deletes every database whose name begins with `prefix`; for `after` hooks, also when a test has failed. */
  async removeAll(prefix: string): Promise<void> {
    const databases = await this.all<DatabaseRecord>(`/v1/databases?environment=${ENVIRONMENT}&prefix=${prefix}`);
    const present = databases.filter(({ status }) => status !== 'deleted');
    const asked = await Promise.all(present.map(async ({ name }) => ({ name, answer: await this.remove(name, name) })));
    const failures: string[] = [];
    for (const { name, answer } of asked) {
      if (answer.status !== 202) failures.push(`${name}: ${answer.status} ${answer.text}`);
      else {
        const operation = await this.ended(answer.body.id, 120);
        if (operation.status !== 'succeeded') failures.push(`${name}: ${explain(operation)}`);
      }
    }
    if (failures.length > 0) throw new Error(`not removed:\n${failures.join('\n')}`);
  }

  close(): void {
    this.http.close();
  }
}

export function hasEnded({ status }: Operation): boolean {
  return status === 'succeeded' || status === 'failed' || status === 'canceled';
}

export function explain({ status, attempt, error }: Operation): string {
  return `${status} at attempt ${attempt}${error ? `: ${error.title}: ${error.detail}` : ''}`;
}
