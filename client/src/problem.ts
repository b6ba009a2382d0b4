import type { Operation, Problem } from './types.ts';

const PREFIX = 'urn:development-operations:problem:';

/** An answer of the service that says what is wrong, where, and the cure (RFC 9457, `application/problem+json`). */
export class ProblemError extends Error {
  /** Such as `plan-stale` or `holds-data`; `unknown` when the answer is not the service's own. */
  readonly code: string;

  constructor(
    readonly problem: Problem,
    /** Seconds to wait before the next try, when the service says so (header `Retry-After`). */
    readonly retryAfter?: number,
  ) {
    super(`${problem.title}: ${problem.detail}`);
    this.name = 'ProblemError';
    this.code = problem.type.startsWith(PREFIX) ? problem.type.slice(PREFIX.length) : 'unknown';
  }

  get status(): number {
    return this.problem.status;
  }
}

/** An operation ended as `failed` or `canceled`. */
export class OperationError extends Error {
  constructor(readonly operation: Operation) {
    const { kind, id, status, error } = operation;
    super(`operation ${id} (${kind}) ${status}${error ? `: ${error.detail}` : ''}`);
    this.name = 'OperationError';
  }
}

/** The problem that a refused answer carries. A proxy's own answer becomes one, so that callers handle one kind only. */
export async function problemOf(response: Response): Promise<ProblemError> {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds : undefined;
  const text = await response.text().catch(() => '');
  if (/^application\/(problem\+)?json\b/.test(response.headers.get('content-type') ?? '')) {
    try {
      const body: unknown = JSON.parse(text);
      if (isProblem(body)) return new ProblemError(body, retryAfter);
    } catch {
      // Cut short on the way: told below as what it is.
    }
  }
  const problem: Problem = {
    type: 'about:blank',
    title: response.statusText || `HTTP ${response.status}`,
    status: response.status,
    detail: `${response.url} answered ${response.status} without saying why; something before the service may have answered.`,
  };
  return new ProblemError(problem, retryAfter);
}

function isProblem(value: unknown): value is Problem {
  if (typeof value !== 'object' || value === null) return false;
  const { type, title, status, detail } = value as Partial<Record<keyof Problem, unknown>>;
  return (
    typeof type === 'string' && typeof title === 'string' && typeof status === 'number' && typeof detail === 'string'
  );
}
