import type { FastifyRequest } from 'fastify';
import { ServiceError } from '../errors.ts';
import type { App } from './types.ts';

/** Longest body in bytes: a database of a hundred schemas and fifty roles needs a tenth of it. */
export const LARGEST_BODY = 256 * 1024;

/** Bodies are JSON and nothing else. An empty one is none, whatever its type is said to be. */
export function parseBodies(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = body.toString();
    if (text.trim() === '') return done(null, undefined);
    void parse(request, text, (error: Error | null, value?: unknown) => {
      if (error === null && !isWellFormed(value)) {
        // PostgreSQL's text cannot hold it.
        done(new ServiceError('invalid-request', 'The body holds half of a surrogate pair: it is no Unicode text.'));
      } else done(error, value);
    });
  });
}

function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, inner]) => key.isWellFormed() && isWellFormed(inner));
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, { readonly type?: string }>>;
}

/** A query is text; where a whole number is expected it becomes one. Nothing else is converted. */
export function readNumbers(request: FastifyRequest): void {
  const { properties = {} } = (request.routeOptions.schema?.querystring ?? {}) as ObjectSchema;
  const query = request.query as Record<string, unknown>;
  for (const [name, { type }] of Object.entries(properties)) {
    const value = query[name];
    if (type === 'integer' && typeof value === 'string' && /^-?\d{1,15}$/.test(value)) query[name] = Number(value);
  }
}
