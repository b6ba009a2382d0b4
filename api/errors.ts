import type { Problem } from './model.ts';

/** Errors that a caller can mend, each with its HTTP status: typed here once, mapped to problem+json in http/. */
export const PROBLEMS = {
  'invalid-request': { status: 400, title: 'The request is not valid' },
  'not-authenticated': { status: 401, title: 'Not authenticated' },
  forbidden: { status: 403, title: 'Not allowed' },
  'not-found': { status: 404, title: 'Not found' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed here' },
  conflict: { status: 409, title: 'Conflict with the present state' },
  'plan-stale': { status: 409, title: 'The world has moved since the plan was made' },
  'holds-data': { status: 409, title: 'It holds data' },
  'name-taken': { status: 409, title: 'The name is taken by something that this service did not make' },
  'content-too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'The body is not of a type that is understood' },
  'idempotency-mismatch': { status: 422, title: 'The idempotency key was used for another request' },
  'too-many-grants': { status: 422, title: 'The database would have too many grants' },
  'credentials-gone': { status: 410, title: 'The credentials were handed out already' },
  'too-many-requests': { status: 429, title: 'Too many requests' },
  'internal-error': { status: 500, title: 'The service failed' },
  'engine-failed': { status: 500, title: 'The change failed' },
  unavailable: { status: 503, title: 'Not available' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** An error whose `detail` is meant for the caller: what is wrong, where, and the cure. Never a secret. */
export class ServiceError extends Error {
  constructor(
    readonly code: ProblemCode,
    readonly detail: string,
    readonly errors?: Problem['errors'],
  ) {
    super(detail);
    this.name = 'ServiceError';
  }

  problem(instance?: string): Problem {
    const { status, title } = PROBLEMS[this.code];
    const type = `urn:development-operations:problem:${this.code}`;
    return {
      type,
      title,
      status,
      detail: this.detail,
      ...(instance && { instance }),
      ...(this.errors && { errors: this.errors }),
    };
  }
}
