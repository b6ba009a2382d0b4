import type { FastifyServerOptions } from 'fastify';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * One JSON object a line on standard output. Neither bodies nor headers are written, and of an error only what
 * cannot hold a row's values: PostgreSQL puts those into `detail` and `where`.
 */
export function logOptions(level: LogLevel): NonNullable<FastifyServerOptions['logger']> {
  return {
    level,
    messageKey: 'message',
    base: { service: 'orders' },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: {
      req: ({ method, url, ip }) => ({ method, url, ip }),
      res: ({ statusCode }) => ({ statusCode }),
      err: errorFields,
    },
  };
}

/** What went wrong, in words. A host with several addresses fails with one error each and none of its own. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(describeError).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** The fields of an error that may be logged. */
export function errorFields(error: Error & { code?: string }): {
  type: string;
  message: string;
  stack: string;
  code?: string;
} {
  return {
    type: error.name,
    message: describeError(error),
    stack: error.stack ?? '',
    ...(error.code && { code: error.code }),
  };
}
