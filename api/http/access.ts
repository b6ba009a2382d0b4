import type { FastifyRequest } from 'fastify';
import { MissingScopeError } from '../authentication/errors.ts';
import { actionsIn, allows } from '../authentication/scopes.ts';
import { ServiceError } from '../errors.ts';
import type { Action, Caller, Delivery } from '../model.ts';
import type { Request } from '../operations/service.ts';
import type { ApiSettings } from '../settings.ts';
import { traceparent } from '../telemetry/trace.ts';

/** It is there, but the caller may not know it. */
export class HiddenError extends ServiceError {}

/** What a caller may do, of what the service has. Every method that refuses throws a ServiceError. */
export class Access {
  readonly #environments: readonly string[];

  constructor(private readonly settings: ApiSettings) {
    this.#environments = Object.keys(settings.environments).sort();
  }

  /** Environments in which the caller may do it. */
  environments(caller: Caller, action: Action): string[] {
    return this.#environments.filter((environment) => allows(caller.scopes, environment, action));
  }

  /** Before anything of the request is looked at: somewhere the caller must be allowed to do it. */
  requireAnywhere(caller: Caller, action: Action): void {
    if (this.environments(caller, action).length > 0) return;
    throw new MissingScopeError(
      this.#environments.map((environment) => `${environment}:${action}`),
      caller.scopes,
    );
  }

  /** The environment that a request names, or the only one; the caller may do there what the route does. */
  environment(request: FastifyRequest, named: string | undefined): string {
    const environment = named ?? this.#only();
    request.about.environment = environment;
    this.require(request, environment);
    return environment;
  }

  /** Environments that a list is about: the one that is named, or all in which the caller may do it. */
  listed(request: FastifyRequest, named: string | undefined): string[] {
    if (named === undefined) return this.environments(callerOf(request), actionOf(request));
    return [this.environment(request, named)];
  }

  require(request: FastifyRequest, environment: string): void {
    const action = actionOf(request);
    const { scopes } = callerOf(request);
    if (!allows(scopes, environment, action)) throw new MissingScopeError([`${environment}:${action}`], scopes);
  }

  /**
   * What was found by its identifier. Of an environment that the caller may not read it is answered as if it were not
   * there: otherwise identifiers that were seen elsewhere could be tried out. Who may read it is told what is missing.
   */
  async found<T extends { readonly environment: string; readonly database: string }>(
    request: FastifyRequest,
    what: 'plan' | 'operation',
    id: string,
    load: Promise<T>,
  ): Promise<T> {
    const value = await load;
    const { environment, database } = value;
    request.about = { environment, database, operationId: what === 'operation' ? id : null };
    if (!allows(callerOf(request).scopes, environment, 'read')) {
      throw new HiddenError('not-found', `There is no ${what} ${id}.`);
    }
    this.require(request, environment);
    return value;
  }

  /** Secrets are written only where both the service and the caller may. */
  requireNamespace(caller: Caller, delivery: Delivery): void {
    if (delivery.type !== 'secret') return;
    const { namespace } = delivery;
    const allowed = this.namespaces(caller);
    if (allowed.includes(namespace)) return;
    const cure = allowed.length > 0 ? `use ${allowed.join(', ')}, or` : 'use';
    if (!caller.namespaces.includes('*') && !caller.namespaces.includes(namespace)) {
      const detail = `You may not have Secrets written into the namespace "${namespace}": ${cure} "type": "return".`;
      throw new ServiceError('forbidden', detail);
    }
    const detail = `This service does not write Secrets into the namespace "${namespace}": ${cure} "type": "return".`;
    throw new ServiceError('invalid-request', detail, [
      { path: 'body/credentials/namespace', problem: 'is not one that this service writes to' },
    ]);
  }

  namespaces(caller: Caller): string[] {
    const all = caller.namespaces.includes('*');
    return this.settings.namespaces.filter((namespace) => all || caller.namespaces.includes(namespace));
  }

  actions(caller: Caller, environment: string): Action[] {
    return actionsIn(caller.scopes, environment);
  }

  #only(): string {
    const [environment, ...others] = this.#environments;
    if (environment !== undefined && others.length === 0) return environment;
    const problem = `is missing: name one of ${this.#environments.join(', ')}`;
    throw new ServiceError('invalid-request', 'There is more than one environment: name it.', [
      { path: 'environment', problem },
    ]);
  }
}

export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null) throw new Error('the route is open, nobody is known');
  return request.caller;
}

function actionOf(request: FastifyRequest): Action {
  const { action } = request.routeOptions.config;
  if (action === undefined) throw new Error('the route names no action');
  return action;
}

/** `<method> <route>`, for the audit log. */
export function actionName(request: FastifyRequest): string {
  const route = request.routeOptions.url;
  // A path that is no route may be anything, and of any length.
  return `${request.method} ${route?.replaceAll(/:(\w+)/g, '{$1}') ?? '(no route)'}`;
}

/** What the service is told of a change. From then on it writes the audit log. */
export function changeOf(request: FastifyRequest): Request {
  request.handedOver = true;
  const key = request.headers['idempotency-key'];
  return {
    caller: callerOf(request),
    requestId: request.id,
    action: actionName(request),
    trace: request.trace ? traceparent(request.trace) : undefined,
    ...(typeof key === 'string' && { idempotencyKey: key }),
  };
}

/** Names that JSON Schema cannot judge: 63 bytes, and text that is well-formed. */
export function requireNames(names: Readonly<Record<string, string | undefined>>): void {
  const errors = Object.entries(names).flatMap(([path, name]) => {
    if (name === undefined) return [];
    if (!name.isWellFormed()) return [{ path, problem: 'holds half of a surrogate pair' }];
    const bytes = Buffer.byteLength(name, 'utf8');
    return bytes > 63 ? [{ path, problem: `is ${bytes} bytes long; a name of PostgreSQL has at most 63` }] : [];
  });
  if (errors.length > 0) throw new ServiceError('invalid-request', 'The names cannot be used: see errors.', errors);
}
