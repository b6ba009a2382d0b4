import { STATUS_CODES } from 'node:http';
import type { InputError, Problem } from '@example/orders-client';
import type { FastifyError, FastifyReply, FastifyRequest, FastifySchemaValidationError } from 'fastify';
import { isUnavailable } from './database.ts';
import { IdempotencyConflict } from './store.ts';

const PROBLEM_JSON = 'application/problem+json; charset=utf-8';

/** A refusal with its status; thrown by routes. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly errors: readonly InputError[] | undefined;

  constructor(status: number, detail: string, errors?: readonly InputError[]) {
    super(detail);
    this.status = status;
    this.errors = errors;
  }
}

/** Answers with a problem document: https://www.rfc-editor.org/rfc/rfc9457 */
export function sendProblem(reply: FastifyReply, status: number, detail?: string, errors?: readonly InputError[]) {
  const problem: Problem = {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    ...(detail && { detail }),
    ...(errors && { errors }),
  };
  if (status === 503) reply.header('retry-after', '2');
  return reply.code(status).header('content-type', PROBLEM_JSON).send(JSON.stringify(problem));
}

export function answerNotFound(request: FastifyRequest, reply: FastifyReply) {
  return sendProblem(reply, 404, `there is no ${request.method} ${request.url.split('?')[0]}`);
}

/** The one place where an error becomes a status. What a caller cannot mend is logged and not told. */
export function answerError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) {
  if (error instanceof Refusal) return sendProblem(reply, error.status, error.message, error.errors);
  if (error instanceof IdempotencyConflict) return sendProblem(reply, 409, error.message);
  if ('validation' in error && error.validation) {
    const errors = error.validation.map((each) => inputError(each));
    return sendProblem(reply, 400, `the ${error.validationContext ?? 'request'} is not valid`, errors);
  }
  if (isUnavailable(error)) {
    request.log.error({ err: error }, 'the database is not available');
    return sendProblem(reply, 503, 'the database is not available: try again');
  }
  const status = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500;
  if (status < 500) return sendProblem(reply, status, error.message);
  request.log.error({ err: error }, 'the request failed');
  return sendProblem(reply, 500);
}

function inputError({ instancePath, keyword, params, message = 'is not valid' }: FastifySchemaValidationError) {
  const named = keyword === 'additionalProperties' ? params.additionalProperty : undefined;
  const missing = keyword === 'required' ? params.missingProperty : undefined;
  if (typeof named === 'string') return { path: `${instancePath}/${named}`, message: 'is not known' };
  if (typeof missing === 'string') return { path: `${instancePath}/${missing}`, message: 'is missing' };
  return { path: instancePath, message };
}
