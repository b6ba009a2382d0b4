import createFetchClient, { type Client as FetchClient, type Middleware } from 'openapi-fetch';
import { type EventsOptions, readEvents } from './events.ts';
import { OperationError, problemOf } from './problem.ts';
import type { paths } from './schema.ts';
import type {
  AuditEntry,
  Credentials,
  DatabaseBody,
  DatabaseRecord,
  DatabaseStatus,
  Drop,
  Environment,
  Graph,
  Operation,
  OperationEvent,
  OperationStatus,
  Page,
  Plan,
  WantedDatabase,
} from './types.ts';

export interface ClientOptions {
  /** The service's public URL, such as `https://localhost:18443`. */
  readonly baseUrl: string;
  /** A bearer token, or a function that gets one: called for each request, so it may renew it. */
  readonly token: string | (() => string | Promise<string>);
  /** @default the platform's */
  readonly fetch?: (request: Request) => Promise<Response>;
}

/** A database; the environment may be left out where the service has only one. */
export interface Reference {
  readonly name: string;
  readonly environment?: string;
}

export interface Call {
  readonly signal?: AbortSignal;
}

export interface Change extends Call {
  /** The same key again gives the same answer, and nothing is done twice. @default a new one for each call */
  readonly idempotencyKey?: string;
}

export interface DatabaseFilter {
  readonly environment?: string;
  readonly status?: DatabaseStatus;
  /** Beginning of the name. */
  readonly prefix?: string;
}

export interface OperationFilter {
  readonly environment?: string;
  readonly status?: OperationStatus;
  readonly database?: string;
}

export interface Listing extends Call {
  /** Most items on one page. */
  readonly limit?: number;
  readonly cursor?: string;
}

export interface WaitOptions extends EventsOptions {
  readonly onEvent?: (event: OperationEvent) => void;
}

/** The service's routes as methods. Every one throws `ProblemError` for an answer that is a refusal. */
export class Client {
  /** Every route as the OpenAPI document has it, with the same authentication and errors. */
  readonly http: FetchClient<paths>;

  constructor(options: ClientOptions) {
    this.http = createFetchClient<paths>({ baseUrl: options.baseUrl.replace(/\/+$/, ''), fetch: options.fetch });
    this.http.use(authenticate(options.token), refuse);
  }

  async environments(call: Call = {}): Promise<readonly Environment[]> {
    return value(await this.http.GET('/v1/environments', { ...call })).items;
  }

  async databasePage(filter: DatabaseFilter = {}, { signal, ...listing }: Listing = {}): Promise<Page<DatabaseRecord>> {
    return value(await this.http.GET('/v1/databases', { params: { query: { ...filter, ...listing } }, signal }));
  }

  databases(filter: DatabaseFilter = {}, listing: Omit<Listing, 'cursor'> = {}): AsyncGenerator<DatabaseRecord> {
    return all((cursor) => this.databasePage(filter, { ...listing, cursor }));
  }

  async database({ name, environment }: Reference, call: Call = {}): Promise<DatabaseRecord> {
    const params = { path: { name }, query: { environment } };
    return value(await this.http.GET('/v1/databases/{name}', { params, ...call }));
  }

  async graph({ name, environment }: Reference, call: Call = {}): Promise<Graph> {
    const params = { path: { name }, query: { environment } };
    return value(await this.http.GET('/v1/databases/{name}/graph', { params, ...call }));
  }

  /** Makes or changes a database at once, without a plan to look at before. */
  async put({ name, ...body }: DatabaseBody & { readonly name: string }, change: Change = {}): Promise<Operation> {
    return value(
      await this.http.PUT('/v1/databases/{name}', { params: { path: { name } }, body, ...headersOf(change) }),
    );
  }

  /** @param drop the database's name again, when it holds data that is given up */
  async remove({ name, environment }: Reference, drop?: string, change: Change = {}): Promise<Operation> {
    const params = { path: { name }, query: { environment, drop } };
    return value(await this.http.DELETE('/v1/databases/{name}', { params, ...headersOf(change) }));
  }

  /** New passwords. @param roles @default all */
  async rotate({ name, environment }: Reference, roles?: readonly string[], change: Change = {}): Promise<Operation> {
    const body = { environment, roles: roles && [...roles] };
    return value(
      await this.http.POST('/v1/databases/{name}/rotate', { params: { path: { name } }, body, ...headersOf(change) }),
    );
  }

  /** Compares the server with what was applied; changes nothing. */
  async drift({ name, environment }: Reference, change: Change = {}): Promise<Operation> {
    const params = { path: { name } };
    return value(
      await this.http.POST('/v1/databases/{name}/drift', { params, body: { environment }, ...headersOf(change) }),
    );
  }

  async requestPlan(database: WantedDatabase, drop?: Drop, change: Change = {}): Promise<Plan> {
    return value(await this.http.POST('/v1/plans', { body: { database, drop }, ...headersOf(change) }));
  }

  async requestDeletionPlan(reference: Reference, drop?: Drop, change: Change = {}): Promise<Plan> {
    const body = { delete: reference, drop };
    return value(await this.http.POST('/v1/plans', { body, ...headersOf(change) }));
  }

  async plan(id: string, call: Call = {}): Promise<Plan> {
    return value(await this.http.GET('/v1/plans/{id}', { params: { path: { id } }, ...call }));
  }

  /** @param hash the plan's, so that nothing else is applied than what was looked at */
  async applyPlan(id: string, hash?: string, change: Change = {}): Promise<Operation> {
    const params = { path: { id } };
    return value(await this.http.POST('/v1/plans/{id}/apply', { params, body: { hash }, ...headersOf(change) }));
  }

  async operationPage(filter: OperationFilter = {}, { signal, ...listing }: Listing = {}): Promise<Page<Operation>> {
    return value(await this.http.GET('/v1/operations', { params: { query: { ...filter, ...listing } }, signal }));
  }

  operations(filter: OperationFilter = {}, listing: Omit<Listing, 'cursor'> = {}): AsyncGenerator<Operation> {
    return all((cursor) => this.operationPage(filter, { ...listing, cursor }));
  }

  async operation(id: string, call: Call = {}): Promise<Operation> {
    return value(await this.http.GET('/v1/operations/{id}', { params: { path: { id } }, ...call }));
  }

  async cancel(id: string, change: Change = {}): Promise<Operation> {
    const params = { path: { id } };
    return value(await this.http.POST('/v1/operations/{id}/cancel', { params, ...headersOf(change) }));
  }

  async retry(id: string, change: Change = {}): Promise<Operation> {
    const params = { path: { id } };
    return value(await this.http.POST('/v1/operations/{id}/retry', { params, ...headersOf(change) }));
  }

  /** The credentials of a finished operation. Once: the service forgets them with the answer. */
  async takeCredentials(id: string, change: Change = {}): Promise<Credentials> {
    const params = { path: { id } };
    return value(await this.http.POST('/v1/operations/{id}/credentials', { params, ...headersOf(change) }));
  }

  audit(filter: { readonly environment?: string } = {}, listing: Listing = {}): AsyncGenerator<AuditEntry> {
    const { signal, limit } = listing;
    return all(async (cursor) =>
      value(await this.http.GET('/v1/audit', { params: { query: { ...filter, limit, cursor } }, signal })),
    );
  }

  /** The operation's events, those that were and those that come, until it has ended. */
  events(id: string, options: EventsOptions = {}): AsyncGenerator<OperationEvent> {
    const connect = async (after: number, signal?: AbortSignal): Promise<Response> => {
      const headers = { accept: 'text/event-stream', ...(after > 0 && { 'last-event-id': String(after) }) };
      const params = { path: { id } };
      const answer = await this.http.GET('/v1/operations/{id}/events', { params, headers, parseAs: 'stream', signal });
      // openapi-fetch hands the body on as it is; the response with it, unread.
      return answer.response;
    };
    const hasEnded = async (signal?: AbortSignal): Promise<boolean> => isOver(await this.operation(id, { signal }));
    return readEvents({ connect, hasEnded }, options);
  }

  /**
   * Waits until the operation has ended, and returns it.
   *
   * @throws OperationError when it ended as `failed` or `canceled`; it holds the operation
   */
  async waitForOperation(id: string, { onEvent, ...options }: WaitOptions = {}): Promise<Operation> {
    for await (const event of this.events(id, options)) onEvent?.(event);
    const operation = await this.operation(id, { signal: options.signal });
    if (operation.status !== 'succeeded') throw new OperationError(operation);
    return operation;
  }

  /** Waits until a plan is made, and returns it; a plan that failed has its `error`. */
  async waitForPlan(id: string, options: WaitOptions = {}): Promise<Plan> {
    const plan = await this.plan(id, { signal: options.signal });
    if (plan.status !== 'planning') return plan;
    await this.waitForOperation(plan.operationId, options).catch((error: unknown) => {
      if (!(error instanceof OperationError)) throw error;
    });
    return this.plan(id, { signal: options.signal });
  }
}

/** A client of the operations API. */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

function authenticate(token: ClientOptions['token']): Middleware {
  return {
    async onRequest({ request }) {
      request.headers.set('authorization', `Bearer ${typeof token === 'string' ? token : await token()}`);
      if (request.method !== 'GET' && !request.headers.has('idempotency-key')) {
        request.headers.set('idempotency-key', crypto.randomUUID());
      }
      return request;
    },
  };
}

const refuse: Middleware = {
  async onResponse({ response }) {
    if (!response.ok) throw await problemOf(response);
    return undefined;
  },
};

function headersOf({ idempotencyKey, signal }: Change): { headers?: Record<string, string>; signal?: AbortSignal } {
  return { signal, ...(idempotencyKey !== undefined && { headers: { 'idempotency-key': idempotencyKey } }) };
}

function isOver({ status }: Operation): boolean {
  return status !== 'queued' && status !== 'running';
}

/** A refusal was thrown by the middleware: what is left has data. */
function value<T>({ data, response }: { data?: T; response: Response }): T {
  if (data === undefined) throw new Error(`${response.url} answered ${response.status} without a body`);
  return data;
}

async function* all<T>(page: (cursor?: string) => Promise<Page<T>>): AsyncGenerator<T> {
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await page(cursor);
    yield* items;
    if (next === null) return;
    cursor = next;
  }
}
