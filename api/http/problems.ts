import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { AuthenticationError, MissingScopeError } from '../authentication/errors.ts';
import { type ProblemCode, ServiceError } from '../errors.ts';
import type { Problem } from '../model.ts';

export const PROBLEM_TYPE = 'application/problem+json';
/** When to try again what is not available, in seconds. */
const RETRY_AFTER = 5;

type ValidationError = NonNullable<FastifyError['validation']>[number];

/** The one mapping from errors to answers. Anything that is not known is a failure of the service itself. */
export function serviceErrorOf(error: unknown, request: FastifyRequest): ServiceError {
  if (error instanceof ServiceError) return error;
  const { validation, statusCode, message, code } = error as Partial<FastifyError>;
  if (validation) return invalidRequest(request);
  const known: Readonly<Record<number, [ProblemCode, string]>> = {
    413: ['content-too-large', 'The body is longer than this service reads.'],
    415: ['unsupported-media-type', 'Send the body as application/json.'],
    404: ['not-found', 'There is nothing here.'],
    503: ['unavailable', 'The service is ending: try again.'],
  };
  const [problem, detail] = known[statusCode ?? 500] ?? [];
  if (problem && detail) return new ServiceError(problem, detail);
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    const syntax = error instanceof SyntaxError || code === 'FST_ERR_CTP_INVALID_JSON_BODY';
    return new ServiceError(
      'invalid-request',
      syntax ? `The body is no JSON: ${message}` : (message ?? 'It is not valid.'),
    );
  }
  return new ServiceError(
    'internal-error',
    `The service failed. Try again; if it stays so, tell its operators the request id ${request.id}.`,
  );
}

export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: ServiceError): FastifyReply {
  const problem: Problem = error.problem(request.url.split('?', 1)[0]);
  if (error instanceof AuthenticationError || error instanceof MissingScopeError) {
    reply.header('www-authenticate', error.challenge);
  }
  if (error.code === 'unavailable') reply.header('retry-after', RETRY_AFTER);
  return reply.code(problem.status).type(PROBLEM_TYPE).serializer(JSON.stringify).send(problem);
}

const PARTS = [
  ['params', 'path'],
  ['querystring', 'query'],
  ['headers', 'header'],
  ['body', 'body'],
] as const;

/** Every finding in every part at once; the framework stops at the first part. */
function invalidRequest(request: FastifyRequest): ServiceError {
  const errors = PARTS.flatMap(([part, label]) => {
    const validate = request.getValidationFunction(part);
    const value = part === 'querystring' ? request.query : request[part];
    if (!validate || validate(value) === true) return [];
    const found = (validate as { errors?: ValidationError[] | null }).errors ?? [];
    return found.map((finding) => ({ path: pathOf(label, finding), problem: problemOf(finding) }));
  });
  return new ServiceError('invalid-request', 'The request is not as described in /openapi.json: see errors.', errors);
}

function pathOf(part: string, { instancePath, keyword, params }: ValidationError): string {
  const missing = keyword === 'required' ? params.missingProperty : undefined;
  const unknown = keyword === 'additionalProperties' ? params.additionalProperty : undefined;
  const property = missing ?? unknown;
  return `${part}${instancePath}${property === undefined ? '' : `/${String(property)}`}`;
}

function problemOf({ keyword, params, message }: ValidationError): string {
  if (keyword === 'required') return 'is missing';
  if (keyword === 'additionalProperties') return 'is not known here';
  if (keyword === 'enum' && Array.isArray(params.allowedValues)) return `must be ${params.allowedValues.join(', ')}`;
  return message ?? 'is not valid';
}
