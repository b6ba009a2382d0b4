/** The service from outside: through the outer nginx, the load balancer and the gateway, as any client of it. */

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import { Agent, request as httpsRequest } from 'node:https';
import { createParser } from 'eventsource-parser';
import type { OperationEvent } from '../../../../api/model.ts';
import { caFilePath } from '../../../../local/pki.ts';
import { context } from './local.ts';

/** `API_URL` names another one. */
export const PUBLIC_URL = process.env.API_URL ?? 'https://localhost:18443';

/** The local certificate authority in PEM. */
export function authority(): string {
  return readFileSync(caFilePath(context), 'utf8');
}

export interface RequestOptions {
  readonly token?: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** @default 70 s: longer than the longest `Prefer: wait` */
  readonly timeout?: number;
}

export interface Answer<T = unknown> {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The text as JSON; undefined when it is none. */
  readonly body: T;
}

/** HTTP/1.1 over one pool of kept connections. */
export class HttpClient {
  readonly #agent: Agent;

  /** @param maxSockets most connections at once */
  constructor(maxSockets = 64) {
    this.#agent = new Agent({ keepAlive: true, maxSockets, ca: authority() });
  }

  async request<T>(method: string, path: string, options: RequestOptions = {}): Promise<Answer<T>> {
    const response = await this.open(method, path, options);
    return await answer<T>(response);
  }

  /** The response as soon as its head is there. */
  async open(method: string, path: string, options: RequestOptions = {}): Promise<IncomingMessage> {
    const payload = options.body === undefined ? undefined : JSON.stringify(options.body);
    return await new Promise((resolve, reject) => {
      const request = httpsRequest(
        new URL(path, PUBLIC_URL),
        {
          method,
          agent: this.#agent,
          // The outer nginx listens on 127.0.0.1 only.
          family: 4,
          timeout: options.timeout ?? 70_000,
          headers: { ...headersOf(options), ...(payload && { 'content-length': Buffer.byteLength(payload) }) },
        },
        resolve,
      );
      request.once('error', reject);
      request.once('timeout', () => request.destroy(new Error(`${method} ${path}: no answer in time`)));
      request.end(payload);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function headersOf({ token, body, headers }: RequestOptions): Record<string, string> {
  return {
    accept: 'application/json',
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...headers,
  };
}

async function answer<T>(response: IncomingMessage): Promise<Answer<T>> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  return { status: response.statusCode ?? 0, headers: response.headers, text, body: parsed(text) as T };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** An event with the moment at which it arrived here. */
export interface ArrivedEvent extends OperationEvent {
  readonly arrived: number;
  readonly id: string | undefined;
}

/** Every event of an operation until the stream ends, or `limit` of them have come. */
export async function eventsOf(
  client: HttpClient,
  token: string,
  operation: string,
  { after, limit = Number.POSITIVE_INFINITY }: { readonly after?: string; readonly limit?: number } = {},
): Promise<ArrivedEvent[]> {
  const headers = { accept: 'text/event-stream', ...(after !== undefined && { 'last-event-id': after }) };
  const response = await client.open('GET', `/v1/operations/${operation}/events`, { token, headers });
  if (response.statusCode !== 200) {
    throw new Error(`events: ${response.statusCode} ${(await answer(response)).text}`);
  }
  const events: ArrivedEvent[] = [];
  const parser = createParser({
    onEvent: ({ data, id }) => {
      events.push({ ...(JSON.parse(data) as OperationEvent), id, arrived: Date.now() });
    },
  });
  response.setEncoding('utf8');
  for await (const chunk of response) {
    parser.feed(chunk as string);
    if (events.length >= limit) break;
  }
  return events;
}

/**
 * HTTP/2 over one connection at a time. After a GOAWAY new requests go to a new connection; a stream that the server
 * said it has not processed is sent again (RFC 9113, 6.8 and 8.7).
 */
export class Http2Client {
  #session: ClientHttp2Session | undefined;
  /** Connections that were opened. */
  connections = 0;

  #current(): ClientHttp2Session {
    const found = this.#session;
    if (found && !found.closed && !found.destroyed) return found;
    const session = connect(PUBLIC_URL.replace('localhost', '127.0.0.1'), { ca: authority(), servername: 'localhost' });
    this.connections += 1;
    // Errors arrive at the streams too, where they are counted.
    session.on('error', () => undefined);
    session.on('goaway', () => {
      if (this.#session === session) this.#session = undefined;
      session.close();
    });
    session.on('close', () => {
      if (this.#session === session) this.#session = undefined;
    });
    this.#session = session;
    return session;
  }

  async request<T>(method: string, path: string, options: RequestOptions = {}): Promise<Answer<T>> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once<T>(method, path, options);
      } catch (error) {
        if (!(error instanceof NotProcessed) || attempt === 3) throw error;
      }
    }
  }

  async #once<T>(method: string, path: string, options: RequestOptions): Promise<Answer<T>> {
    const session = this.#current();
    const stream = session.request({
      ':method': method,
      ':path': path,
      ':authority': new URL(PUBLIC_URL).host,
      ...headersOf(options),
    });
    let lastProcessed = Number.POSITIVE_INFINITY;
    const onGoaway = (_code: number, last: number) => {
      lastProcessed = last;
    };
    session.once('goaway', onGoaway);
    stream.setTimeout(options.timeout ?? 70_000, () =>
      stream.destroy(new Error(`${method} ${path}: no answer in time`)),
    );
    try {
      return await new Promise<Answer<T>>((resolve, reject) => {
        let head: IncomingHttpHeaders & { ':status'?: number } = {};
        const chunks: Buffer[] = [];
        stream.on('response', (received) => {
          head = received;
        });
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.once('error', reject);
        stream.once('close', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const status = head[':status'];
          if (status === undefined || stream.rstCode !== 0) {
            reject(new Error(`${method} ${path}: the stream was closed (code ${stream.rstCode}, status ${status})`));
          } else resolve({ status, headers: head, text, body: parsed(text) as T });
        });
        stream.end(options.body === undefined ? undefined : JSON.stringify(options.body));
      });
    } catch (error) {
      const { id } = stream;
      // 7: REFUSED_STREAM.
      if (id === undefined || id > lastProcessed || stream.rstCode === 7) throw new NotProcessed(String(error));
      throw error;
    } finally {
      session.off('goaway', onGoaway);
    }
  }

  close(): void {
    this.#session?.destroy();
  }
}

/** The server has said that it did not begin with this request. */
class NotProcessed extends Error {}

export function idempotencyKey(): Record<string, string> {
  return { 'idempotency-key': randomUUID() };
}
