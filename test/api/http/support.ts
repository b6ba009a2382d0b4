/** The service behind the routes: answers from memory. The real one is tested in test/api/operations and e2e. */
import { createVerifier } from '../../../api/authentication/verifier.ts';
import { ServiceError } from '../../../api/errors.ts';
import { type App, createApp } from '../../../api/http/app.ts';
import type {
  AuditEntry,
  DatabaseRecord,
  Operation,
  OperationEvent,
  Plan,
  WantedDatabase,
} from '../../../api/model.ts';
import type { OperationsService, Request } from '../../../api/operations/service.ts';
import type { ApiSettings } from '../../../api/settings.ts';
import { createTelemetry, type Telemetry } from '../../../api/telemetry/telemetry.ts';
import { startIssuer, type TestIssuer } from '../authentication/issuer.ts';

export const ID = '0190a5d2-7c3e-7b1a-9f00-3c5d2e1f4a6b';
/** Of the environment `other`. */
export const OTHER_ID = '0190a5d2-7c3e-7b1a-9f00-3c5d2e1f4a6c';
const AT = '2026-01-02T03:04:05.000Z';

export const WANTED: WantedDatabase = {
  name: 'orders',
  environment: 'local',
  schemas: ['app'],
  roles: { app: { access: 'write', connectionLimit: 5 } },
  credentials: { type: 'secret', namespace: 'apps' },
};
const { name: _name, environment: _environment, ...body } = WANTED;
export const BODY = body;

export const OPERATION: Operation = {
  ...{ id: ID, kind: 'put', environment: 'local', database: 'orders', status: 'queued', attempt: 0, planId: null },
  ...{ requestedBy: 'i#s', createdAt: AT, startedAt: null, finishedAt: null, steps: [], error: null },
  credentials: false,
};
const PLAN: Plan = {
  ...{ id: ID, environment: 'local', database: 'orders', action: 'put', status: 'ready', wanted: WANTED },
  ...{ hash: 'a'.repeat(64), steps: [], counts: { create: 1 }, operationId: ID, createdAt: AT, createdBy: 'i#s' },
  error: null,
};
const DATABASE: DatabaseRecord = {
  ...{ name: 'orders', environment: 'local', status: 'ready', applied: WANTED, createdAt: AT, updatedAt: AT },
  ...{ lastOperationId: ID, drift: null },
};

export class MemoryService implements OperationsService {
  readonly calls: { readonly method: string; readonly parameters: readonly unknown[] }[] = [];
  readonly refusals: Omit<AuditEntry, 'id' | 'at'>[] = [];
  /** Given by `wait`. */
  waited: Operation = { ...OPERATION, status: 'succeeded' };
  published: OperationEvent[] = [];
  /** Whether events go on coming. */
  open = false;
  /** Readers of events that have gone. */
  gone = 0;
  failure: Error | undefined;

  #change<T>(method: string, answer: T, parameters: readonly unknown[]): Promise<T> {
    this.calls.push({ method, parameters });
    return this.failure ? Promise.reject(this.failure) : Promise.resolve(answer);
  }

  requestPlan = (...given: unknown[]) => this.#change('requestPlan', PLAN, given);
  requestDeletionPlan = (...given: unknown[]) => this.#change('requestDeletionPlan', PLAN, given);
  applyPlan = (...given: unknown[]) => this.#change('applyPlan', OPERATION, given);
  put = (...given: unknown[]) => this.#change('put', OPERATION, given);
  remove = (...given: unknown[]) => this.#change('remove', OPERATION, given);
  rotate = (...given: unknown[]) => this.#change('rotate', OPERATION, given);
  drift = (...given: unknown[]) => this.#change('drift', OPERATION, given);
  cancel = (...given: unknown[]) => this.#change('cancel', OPERATION, given);
  retry = (...given: unknown[]) => this.#change('retry', OPERATION, given);
  takeCredentials = (...given: unknown[]) => this.#change('takeCredentials', { app: { PGPASSWORD: 'x' } }, given);
  databases = (...given: unknown[]) => this.#change('databases', { items: [DATABASE], next: null }, given);
  database = (...given: unknown[]) => this.#change('database', DATABASE, given);
  graph = (...given: unknown[]) => this.#change('graph', { nodes: [], edges: [] }, given);
  operations = (...given: unknown[]) => this.#change('operations', { items: [OPERATION], next: 'abc' }, given);
  audit = (...given: unknown[]) => this.#change('audit', { items: [], next: null }, given);
  wait = async () => this.waited;
  ready = async () => ({ ready: true });

  async plan(id: string): Promise<Plan> {
    return found('plan', id, { [ID]: PLAN, [OTHER_ID]: { ...PLAN, id, environment: 'other' } });
  }

  async operation(id: string): Promise<Operation> {
    return found('operation', id, { [ID]: OPERATION, [OTHER_ID]: { ...OPERATION, id, environment: 'other' } });
  }

  async *events(_id: string, after: number, signal: AbortSignal): AsyncGenerator<OperationEvent> {
    try {
      yield* this.published.filter(({ sequence }) => sequence > after);
      if (this.open && !signal.aborted) {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      }
    } finally {
      this.gone += 1;
    }
  }

  async refused(entry: Omit<AuditEntry, 'id' | 'at'>): Promise<void> {
    this.refusals.push(entry);
  }

  /** The request that the service was told of last. */
  get request(): Request {
    return this.calls.at(-1)?.parameters[0] as Request;
  }
}

function found<T>(what: string, id: string, known: Readonly<Record<string, T>>): T {
  const value = known[id];
  if (value === undefined) throw new ServiceError('not-found', `There is no ${what} ${id}.`);
  return value;
}

export function settingsFor(issuer: TestIssuer, environments: readonly string[] = ['local', 'other']): ApiSettings {
  const server = { host: '127.0.0.1', port: 5432, sslmode: 'disable', adminDatabase: 'postgres' } as const;
  const variables = { superuser: true, usernameVariable: 'U', passwordVariable: 'P' };
  return {
    publicUrl: 'https://api.test',
    environments: Object.fromEntries(environments.map((name) => [name, { ...server, ...variables }])),
    issuers: [issuer.settings],
    namespaces: ['apps', 'shared'],
  };
}

export interface TestApp {
  readonly app: App;
  readonly service: MemoryService;
  readonly issuer: TestIssuer;
  readonly telemetry: Telemetry;
  /** What was logged. */
  readonly lines: string[];
  /** Headers with a token of these scopes. */
  bearer(scope?: string): Promise<{ authorization: string }>;
  close(): Promise<void>;
}

export async function startApp(
  options: { readonly environments?: readonly string[]; readonly closing?: AbortSignal } = {},
): Promise<TestApp> {
  const issuer = await startIssuer();
  const service = new MemoryService();
  const lines: string[] = [];
  const telemetry = createTelemetry({ destination: { write: (line) => void lines.push(line) } });
  const settings = settingsFor(issuer, options.environments);
  const verifier = createVerifier({ issuers: settings.issuers });
  const app = await createApp({ service, settings, verifier, telemetry, closing: options.closing });
  await app.ready();
  return {
    ...{ app, service, issuer, telemetry, lines },
    bearer: async (scope = 'local:admin') => ({ authorization: `Bearer ${await issuer.token({ scope })}` }),
    close: async () => {
      await app.close();
      await issuer.close();
    },
  };
}
