import { type TSchema, Type } from '@sinclair/typebox';
import { PROBLEMS } from '../../errors.ts';
import { reference } from './helpers.ts';
import { Operation, Plan, Problem } from './models.ts';

interface Answer {
  readonly description: string;
  readonly content: Readonly<Record<string, { readonly schema: TSchema }>>;
  readonly headers?: Readonly<Record<string, object>>;
}

const REQUEST_ID = { 'x-request-id': Type.String({ description: 'Identifier of the request, as in the logs' }) };
const LOCATION = { location: Type.String({ description: 'Where to look how it goes on' }) };
const APPLIED = { 'preference-applied': Type.String({ description: 'That `Prefer: wait` was heeded (RFC 7240)' }) };
const CHALLENGE = { 'www-authenticate': Type.String({ description: 'RFC 6750, section 3' }) };

export function json(description: string, schema: TSchema, headers: Readonly<Record<string, object>> = {}): Answer {
  const content = { 'application/json': { schema: reference(schema) } };
  return { description, content, headers: { ...REQUEST_ID, ...headers } };
}

function problem(status: number): Answer {
  const titles = Object.values(PROBLEMS).filter((known) => known.status === status);
  return {
    description: titles.map(({ title }) => title).join('; ') || 'It failed',
    content: { 'application/problem+json': { schema: reference(Problem) } },
    headers: { ...REQUEST_ID, ...(status === 401 || status === 403 ? CHALLENGE : {}) },
  };
}

/** Any request may be answered so: the gateway and the service refuse what is malformed, too much, or out of order. */
const ALWAYS = [400, 401, 403, 429, 500, 503];
/** Of requests with a body. */
const BODY = [413, 415];

/** Answers of a route: its own, and the problems. @param others statuses of problems that not every route has */
export function answers(own: Readonly<Record<number, Answer>>, others: readonly number[] = []): Record<number, Answer> {
  const problems = [...ALWAYS, ...others].sort();
  return { ...own, ...Object.fromEntries(problems.map((status) => [status, problem(status)])) };
}

/** Answers of a change of something that may not be there. */
export const CHANGE = [404, 409, 410, 422, ...BODY];

export const laterOperation = {
  200: json('It has ended, well or not, while the answer waited for it', Operation, { ...LOCATION, ...APPLIED }),
  202: json('It was put into the queue', Operation, { ...LOCATION, ...APPLIED }),
};

export const laterPlan = {
  200: json('The planning has ended, well or not, while the answer waited for it', Plan, { ...LOCATION, ...APPLIED }),
  202: json('The plan is being made', Plan, { ...LOCATION, ...APPLIED }),
};
