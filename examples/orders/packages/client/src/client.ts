import { OrdersError } from './error.ts';
import type { NewOrder, Order, OrderPage, Problem } from './types.ts';

export interface ClientOptions {
  /** Address of the service, with or without a path. */
  readonly baseUrl: string | URL;
  /** Longest wait for one answer, in milliseconds. @default 10000 */
  readonly timeout?: number;
  /** Headers of every request. @default none */
  readonly headers?: Readonly<Record<string, string>>;
  /** @default the platform's fetch */
  readonly fetch?: typeof fetch;
}

export interface CreateOptions {
  /** The same key with the same order stores it once. @default none */
  readonly idempotencyKey?: string;
}

export interface ListOptions {
  /** 1 to 100 orders. @default the service's setting */
  readonly limit?: number;
  /** `next` of the page before. @default the newest order */
  readonly after?: string;
}

/** Client of the orders service. Every method throws {@link OrdersError} when the service refuses. */
export class OrdersClient {
  readonly #base: string;
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#base = new URL(options.baseUrl).href.replace(/\/+$/, '');
    this.#options = options;
  }

  /** Stores an order. */
  async create(order: NewOrder, options: CreateOptions = {}): Promise<Order> {
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (options.idempotencyKey !== undefined) headers['idempotency-key'] = options.idempotencyKey;
    return await this.#request<Order>('POST', '/orders', { headers, body: JSON.stringify(order) });
  }

  /** Reads one order; an unknown id is an {@link OrdersError} with status 404. */
  async get(id: string): Promise<Order> {
    return await this.#request<Order>('GET', `/orders/${encodeURIComponent(id)}`);
  }

  /** Reads one page of orders, newest first. */
  async list(options: ListOptions = {}): Promise<OrderPage> {
    const query = new URLSearchParams();
    if (options.limit !== undefined) query.set('limit', String(options.limit));
    if (options.after !== undefined) query.set('after', options.after);
    return await this.#request<OrderPage>('GET', query.size > 0 ? `/orders?${query}` : '/orders');
  }

  /** Reads all orders, newest first, a page at a time. */
  async *listAll(options: ListOptions = {}): AsyncGenerator<Order, void, undefined> {
    let after = options.after;
    do {
      const page = await this.list({ ...options, after });
      yield* page.orders;
      after = page.next;
    } while (after !== undefined);
  }

  async #request<T>(method: string, path: string, init: RequestInit = {}): Promise<T> {
    const send = this.#options.fetch ?? fetch;
    const response = await send(`${this.#base}${path}`, {
      ...init,
      method,
      headers: { accept: 'application/json', ...this.#options.headers, ...init.headers },
      signal: AbortSignal.timeout(this.#options.timeout ?? 10_000),
    });
    const text = await response.text();
    const body = parse(text);
    if (!response.ok || body === undefined) {
      throw new OrdersError(`${method} ${path}`, problemOf(response, body));
    }
    return body as T;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A proxy in between may answer in its own way, so a body that is no problem document becomes one. */
function problemOf(response: Response, body: unknown): Problem {
  const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json');
  if (isProblem && typeof body === 'object' && body !== null) return { ...(body as Problem), status: response.status };
  const detail = response.ok ? 'the answer is not JSON' : undefined;
  return { type: 'about:blank', title: response.statusText || 'Unexpected answer', status: response.status, detail };
}
