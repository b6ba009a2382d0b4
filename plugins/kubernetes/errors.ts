/** What the API server's refusals mean, and what to do about them. */

import type { PropertyValue } from '../framework/values.ts';
import { PATCH_FORCE } from './annotations.ts';
import { getList, getNumber, getString } from './object.ts';

/** A response with an error status. `message` is the server's own. */
export class ApiError extends Error {
  constructor(
    readonly method: string,
    readonly path: string,
    readonly status: number,
    readonly reason: string,
    message: string,
    readonly body: PropertyValue,
    readonly retryAfterSeconds?: number,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** The server did not answer at all, or not with HTTP. */
export class ConnectionError extends Error {
  constructor(
    readonly server: string,
    cause: Error,
  ) {
    super(`${server} did not answer: ${cause.message}`, { cause });
    this.name = 'ConnectionError';
  }
}

/** The cluster serves no such apiVersion and kind. */
export class NoSuchKindError extends Error {
  constructor(readonly kind: string) {
    super(`the cluster serves no ${kind}; for a custom resource, its CustomResourceDefinition must be there first`);
    this.name = 'NoSuchKindError';
  }
}

export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.status === 404;
export const isForbidden = (error: unknown): boolean => error instanceof ApiError && error.status === 403;
export const isConflict = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 409 && error.reason === 'Conflict';
export const isAlreadyExists = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 409 && error.reason === 'AlreadyExists';

export const isImmutableField = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 422 && error.message.includes('field is immutable');

/** Somebody else wrote between our read and our write: a conflict, or a JSON patch whose test failed. */
export const isStale = (error: unknown): boolean =>
  isConflict(error) ||
  (error instanceof ApiError && error.status === 422 && getList(error.body, 'details', 'causes').length === 0);

export const isNamespaceMissing = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 404 && getString(error.body, 'details', 'kind') === 'namespaces';

/** Some admission webhooks forbid dry runs. */
export const isDryRunRefused = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 400 && /dry.?run/i.test(error.message);

export function apiErrorFrom(
  method: string,
  path: string,
  status: number,
  text: string,
  retryAfter?: string,
): ApiError {
  let body: PropertyValue = null;
  try {
    body = JSON.parse(text) as PropertyValue;
  } catch {
    // Proxies answer in HTML or plain text.
  }
  const message = getString(body, 'message') || text.slice(0, 500) || `HTTP status ${status}`;
  const seconds = getNumber(body, 'details', 'retryAfterSeconds') ?? Number(retryAfter);
  return new ApiError(
    method,
    path,
    status,
    getString(body, 'reason'),
    message,
    body,
    Number.isFinite(seconds) ? seconds : undefined,
  );
}

/** One message a person can act on, for an error of any kind. `what` names the resource and the operation. */
export function explain(error: unknown, what: string): Error {
  if (!(error instanceof ApiError)) {
    const message = error instanceof Error ? error.message : String(error);
    return new Error(`${what}: ${message}`, { cause: error });
  }
  return new Error(`${what}: ${error.message}${cure(error)}`, { cause: error });
}

function cure(error: ApiError): string {
  if (error.status === 401)
    return '\nThe cluster refused the credentials of the kubeconfig: renew them (log in again).';
  if (error.status === 403) {
    return (
      '\nThe credentials reach the cluster but lack this permission. Grant it with a Role and RoleBinding, ' +
      'and check with: kubectl auth can-i'
    );
  }
  if (isAlreadyExists(error)) {
    return (
      '\nThe object is in the cluster but not in this stack. To take it over: pulumi import. ' +
      'If a resource was renamed in the program: give it an alias, or deleteBeforeReplace. ' +
      'To apply over existing objects on purpose: set upsertExistingObjects on the provider.'
    );
  }
  if (isConflict(error)) return conflictText(error);
  return '';
}

/** Server-side apply: each field, who holds it, and how to take it over. */
function conflictText(error: ApiError): string {
  const held = getList(error.body, 'details', 'causes')
    .filter((cause) => getString(cause, 'reason') === 'FieldManagerConflict')
    .map((cause) => {
      const manager = /"([^"]+)"/.exec(getString(cause, 'message'))?.[1] ?? getString(cause, 'message');
      return `  ${getString(cause, 'field')} is held by field manager "${manager}"`;
    });
  if (held.length === 0) return '';
  return (
    `\nFields of this object were last set by somebody else:\n${held.join('\n')}\n` +
    `To take them over, set the annotation ${PATCH_FORCE}: "true" on the resource (or enablePatchForce on the provider); ` +
    'to leave them alone, remove them from the program or list them in ignoreChanges.'
  );
}
