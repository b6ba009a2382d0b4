import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { ServiceError } from '../errors.ts';
import { PROBLEM_TYPE } from './problems.ts';

/** What Node.js tells of a request that it could not read: https://nodejs.org/api/http.html#event-clienterror */
export interface ClientError extends Error {
  readonly code?: string;
  /** What came last on the connection: a Buffer. */
  readonly rawPacket?: unknown;
}

/** Why a request could not be read, and the methods of its path where the method is the reason. */
export interface ClientProblem {
  readonly error: ServiceError;
  readonly allow: readonly string[];
}

/** Longest beginning of a request that is looked at, in bytes. */
const LONGEST_LINE = 16 * 1024;

/** @param methodsOf the methods that a path has */
export function clientProblem(error: ClientError, methodsOf: (path: string) => readonly string[]): ClientProblem {
  const { method, path } = requestLine(error) ?? {};
  if (method === undefined || path === undefined) {
    return { error: new ServiceError('invalid-request', 'It is not HTTP as it should be.'), allow: [] };
  }
  const allow = methodsOf(path);
  if (allow.length === 0) return { error: notFound(path), allow };
  return { error: methodNotAllowed(method, path, allow), allow };
}

export function notFound(path: string): ServiceError {
  return new ServiceError('not-found', `There is no ${path} here.`);
}

export function methodNotAllowed(method: string, path: string, allow: readonly string[]): ServiceError {
  return new ServiceError('method-not-allowed', `${path} has no method ${method}: use ${allow.join(' or ')}.`);
}

/** The parser of Node.js knows a list of methods and refuses others, such as QUERY, before any route is looked for. */
function requestLine({ code, rawPacket }: ClientError): { method: string; path: string } | undefined {
  if (code !== 'HPE_INVALID_METHOD' || !Buffer.isBuffer(rawPacket)) return undefined;
  const text = rawPacket.subarray(0, LONGEST_LINE).toString('latin1');
  // RFC 9110, section 9.1: a method is a token.
  const [, method, path] = /^([A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}) (\/[!-~]*) HTTP\/1\.[01]\r\n/.exec(text) ?? [];
  if (method === undefined || path === undefined) return undefined;
  return { method, path: path.split('?', 1)[0] ?? path };
}

/** Answers on the bare connection, and ends it: what came after it is not known to be another request. */
export function answerClientError(socket: Socket, { error, allow }: ClientProblem): void {
  if (!socket.writable) return;
  const { status, ...problem } = error.problem();
  const body = JSON.stringify({ ...problem, status });
  const head = {
    'Content-Type': PROBLEM_TYPE,
    'Content-Length': Buffer.byteLength(body),
    'X-Request-Id': randomUUID(),
    'X-Content-Type-Options': 'nosniff',
    ...(allow.length > 0 && { Allow: allow.join(', ') }),
    Connection: 'close',
  };
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`);
}
