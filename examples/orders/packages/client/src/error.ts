import type { Problem } from './types.ts';

/** The service refused a request, or answered with something that is none of its answers. */
export class OrdersError extends Error {
  override readonly name = 'OrdersError';
  readonly problem: Problem;

  constructor(request: string, problem: Problem) {
    const places = (problem.errors ?? []).map(({ path, message }) => `${path || 'body'} ${message}`);
    const why = places.length > 0 ? places.join('; ') : (problem.detail ?? problem.title);
    super(`${request} failed with status ${problem.status}: ${why}`);
    this.problem = problem;
  }

  /** HTTP status. */
  get status(): number {
    return this.problem.status;
  }
}
