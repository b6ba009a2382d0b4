/** What the tests of the operations share: a scripted engine, and services on a PostgreSQL of their own. */

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import {
  type Engine,
  EngineError,
  type EnginePreview,
  type EngineRequest,
  type EngineResult,
} from '../../../api/engine/engine.ts';
import type { Caller, Step, WantedDatabase } from '../../../api/model.ts';
import { createOperationsService, type Log, type RunningOperations } from '../../../api/operations/operations.ts';
import type { Request } from '../../../api/operations/service.ts';
import type { ApiSettings } from '../../../api/settings.ts';

export type Command = 'preview' | 'apply' | 'destroy' | 'drift' | 'recover';

export interface Call extends Omit<EngineRequest, 'signal' | 'onStep'> {
  readonly command: Command;
}

/** What a call of the scripted engine does: an answer, or an error. */
export type Script = (
  call: Call,
  request: EngineRequest,
) => Promise<(Partial<EngineResult> & { hash?: string }) | undefined>;

export function step(name: string, operation: Step['operation'] = 'create', type = 'test:index:Thing'): Step {
  return { urn: `urn:test::${name}`, type, name, operation, changes: [], sql: [] };
}

/** An engine that does what a script says; at once, when there is none. */
export class ScriptedEngine implements Engine {
  readonly calls: Call[] = [];
  readonly running = new Map<string, number>();
  most = 0;
  overlapped = false;

  constructor(public script: Script = async () => undefined) {}

  async #run(command: Command, request: EngineRequest): Promise<EngineResult & { hash?: string }> {
    const { signal: _signal, onStep: _onStep, ...rest } = request;
    const call = { command, ...rest };
    this.calls.push(call);
    if (this.running.has(request.stack)) this.overlapped = true;
    this.running.set(request.stack, 1);
    this.most = Math.max(this.most, this.running.size);
    try {
      const result = await this.script(call, request);
      return { ...result, steps: result?.steps ?? [] };
    } finally {
      this.running.delete(request.stack);
    }
  }

  async preview(request: EngineRequest): Promise<EnginePreview> {
    return { hash: 'hash', ...(await this.#run('preview', request)) };
  }
  async apply(request: EngineRequest): Promise<EngineResult> {
    return await this.#run('apply', request);
  }
  async destroy(request: EngineRequest): Promise<EngineResult> {
    return await this.#run('destroy', request);
  }
  async drift(request: EngineRequest): Promise<EngineResult> {
    return await this.#run('drift', request);
  }
  async recover(request: EngineRequest): Promise<void> {
    await this.#run('recover', request);
  }
  async graph(stack: string) {
    return { nodes: [{ urn: stack, type: 'test', name: stack }], edges: [] };
  }
  async ready() {
    return { ready: true };
  }
  async close(): Promise<void> {}
}

/** Works for so many milliseconds; an abort ends it as it ends the real engine. */
export async function work(request: EngineRequest, milliseconds: number): Promise<void> {
  try {
    await sleep(milliseconds, undefined, { signal: request.signal });
  } catch {
    throw new EngineError('the engine was interrupted');
  }
}

export const KEY = Buffer.alloc(32, 7);

export const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const loud: Log = {
  debug: () => {},
  info: () => {},
  warn: (values, message) => console.error(message, values),
  error: (values, message) => console.error(message, values),
};
export const log = process.env.TEST_LOUD ? loud : silent;

export function connection(port: number, password: string, database: string): pg.ClientConfig {
  return { host: '127.0.0.1', port, user: 'postgres', password, database, application_name: 'test' };
}

export function settings(port: number, concurrency = 2): ApiSettings {
  const environment = {
    ...{ host: '127.0.0.1', port, sslmode: 'disable' as const, adminDatabase: 'postgres', superuser: true },
    ...{ usernameVariable: 'ADMIN_NAME', passwordVariable: 'ADMIN_PASSWORD' },
  };
  return {
    publicUrl: 'https://localhost',
    environments: { dev: environment, other: environment },
    issuers: [],
    namespaces: [],
    concurrency,
  };
}

export async function startService(
  server: { port: number; password: string },
  database: string,
  engine: Engine,
  options: { concurrency?: number; worker?: boolean; grace?: number; sweepInterval?: number } = {},
): Promise<RunningOperations> {
  const service = await createOperationsService({
    connection: connection(server.port, server.password, database),
    engine,
    settings: settings(server.port, options.concurrency),
    encryptionKey: KEY,
    log,
    environment: { ADMIN_NAME: 'postgres', ADMIN_PASSWORD: server.password },
    sweepInterval: options.sweepInterval ?? 300,
    grace: options.grace ?? 100,
  });
  if (options.worker !== false) await service.startWorker();
  return service;
}

export const alice: Caller = {
  issuer: 'https://issuer',
  subject: 'alice',
  scopes: ['dev:apply'],
  namespaces: [],
};
export const bob: Caller = { ...alice, subject: 'bob' };
export const admin: Caller = { ...alice, subject: 'admin', scopes: ['dev:admin'] };

export function request(action = 'PUT /v1/databases/{name}', idempotencyKey?: string, caller = alice): Request {
  return { caller, requestId: randomBytes(6).toString('hex'), action, idempotencyKey };
}

export function wanted(name: string, more: Partial<WantedDatabase> = {}): WantedDatabase {
  return {
    name,
    environment: 'dev',
    schemas: ['app'],
    roles: { application: { access: 'write' } },
    credentials: { type: 'secret', namespace: 'team' },
    ...more,
  };
}

/** Waits until it holds; throws after `milliseconds`. */
export async function until(holds: () => boolean | Promise<boolean>, milliseconds = 20_000): Promise<void> {
  for (const end = Date.now() + milliseconds; !(await holds()); await sleep(20)) {
    if (Date.now() > end) throw new Error(`did not come true within ${milliseconds} ms: ${holds}`);
  }
}

/** Rejects with a ServiceError of this code. */
export function code(expected: string): (error: unknown) => boolean {
  return (error) => {
    if (error instanceof Error && 'code' in error && error.code === expected) return true;
    throw error;
  };
}

export function problem(name: string): string {
  return `urn:development-operations:problem:${name}`;
}
