/** HTTP to one API server: JSON in and out, typed errors, retries where the server asks for them. */

import http from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PropertyValue } from '../framework/values.ts';
import type { Connection } from './connection.ts';
import { ApiError, apiErrorFrom, ConnectionError } from './errors.ts';

export type ContentType =
  | 'application/json'
  | 'application/apply-patch+yaml'
  | 'application/json-patch+json'
  | 'application/merge-patch+json';

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: PropertyValue;
  /** @default application/json */
  readonly contentType?: ContentType;
  readonly signal?: AbortSignal;
  /** Milliseconds without an answer. @default 60000 */
  readonly timeoutMs?: number;
}

const ATTEMPTS = 4;

export class Client {
  constructor(readonly connection: Connection) {}

  /** @throws ApiError for an error status, ConnectionError when there is no answer. */
  async json<T extends PropertyValue>(call: Call): Promise<T> {
    return JSON.parse(await this.text(call)) as T;
  }

  async text(call: Call): Promise<string> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.once(call, false);
      } catch (error) {
        const pause = attempt < ATTEMPTS ? retryAfter(error, call, attempt) : undefined;
        if (pause === undefined) throw error;
        await sleep(pause, undefined, { signal: call.signal });
      }
    }
  }

  private async once(call: Call, renewed: boolean): Promise<string> {
    const { server } = this.connection;
    const { agent, headers } = await this.connection.identity(renewed);
    const base = new URL(server);
    const query = call.query === undefined ? '' : `?${new URLSearchParams(call.query).toString()}`;
    const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body), 'utf8');
    const answer = await send({
      url: new URL(`${base.pathname.replace(/\/$/, '')}${call.path}${query}`, base),
      method: call.method,
      agent,
      headers: {
        ...headers,
        Accept: 'application/json, */*',
        'User-Agent': 'pulumi-resource-kubernetes (development-operations)',
        ...(body === undefined
          ? {}
          : { 'Content-Type': call.contentType ?? 'application/json', 'Content-Length': String(body.length) }),
      },
      body,
      signal: call.signal,
      timeoutMs: call.timeoutMs ?? 60_000,
    }).catch((error: Error) => {
      if (call.signal?.aborted) throw error;
      throw new ConnectionError(server, error);
    });
    if (answer.status < 400) return answer.text;
    // Tokens of exec plugins expire while a long wait goes on.
    if (answer.status === 401 && !renewed) return this.once(call, true);
    throw apiErrorFrom(call.method, call.path, answer.status, answer.text, answer.retryAfter);
  }

  close(): void {
    this.connection.close();
  }
}

/** Milliseconds to wait before the same call may be tried again; undefined when it must not be. */
function retryAfter(error: unknown, call: Call, attempt: number): number | undefined {
  if (error instanceof ApiError) {
    const busy = error.status === 429 || ((error.status === 503 || error.status === 504) && call.method === 'GET');
    return busy ? Math.min(error.retryAfterSeconds ?? attempt, 10) * 1000 : undefined;
  }
  if (!(error instanceof ConnectionError) || call.method !== 'GET') return undefined;
  const code = (error.cause as NodeJS.ErrnoException).code;
  // An idle connection that the server closed just then.
  return code === 'ECONNRESET' || code === 'EPIPE' ? 100 * attempt : undefined;
}

interface Sending {
  readonly url: URL;
  readonly method: string;
  readonly agent: http.Agent;
  readonly headers: Record<string, string>;
  readonly body: Buffer | undefined;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | undefined;
}

function send(sending: Sending): Promise<Answer> {
  const { url, method, agent, headers, body, signal, timeoutMs } = sending;
  const { request } = url.protocol === 'http:' ? http : https;
  return new Promise((resolve, reject) => {
    const out = request(url, { method, agent, headers, signal }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          text: Buffer.concat(chunks).toString('utf8'),
          retryAfter: response.headers['retry-after'],
        }),
      );
    });
    out.setTimeout(timeoutMs, () => out.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    out.on('error', reject);
    out.end(body);
  });
}
