import { block, type Directive, directive } from './directive.ts';

/** Answers of the gateway itself, as problem details (RFC 9457). */
const PROBLEMS: Readonly<Record<number, { readonly title: string; readonly detail: string }>> = {
  400: {
    title: 'The request is not valid',
    detail: 'The path is ambiguous: send it without "//", dot segments, encoded slashes or dots.',
  },
  401: {
    title: 'Not authenticated',
    detail: 'Credentials are missing or not valid; WWW-Authenticate says which are expected.',
  },
  403: { title: 'Not allowed', detail: 'The credentials or the client certificate do not allow this.' },
  404: { title: 'Not found', detail: 'No route of this host takes the path.' },
  405: { title: 'The method is not allowed here', detail: 'TRACE and CONNECT do not pass: see Allow.' },
  408: { title: 'Too slow', detail: 'The request did not arrive in time.' },
  413: { title: 'Too large', detail: 'The body is longer than this route allows.' },
  421: {
    title: 'Misdirected request',
    detail: 'This host is not served on this connection: connect with its name (SNI).',
  },
  429: { title: 'Too many requests', detail: 'Wait, then try again.' },
  494: { title: 'Too large', detail: 'The header fields are longer than allowed.' },
  495: { title: 'Client certificate not valid', detail: 'It is expired, or not signed by the expected authority.' },
  500: { title: 'Not available', detail: 'The request could not be checked. Try again later.' },
  502: { title: 'Not available', detail: 'The service behind could not be reached. Try again later.' },
  503: { title: 'Not available', detail: 'Try again later.' },
  504: { title: 'Not available', detail: 'The service behind did not answer in time.' },
};

/** What a client gets where nginx's own code is none of HTTP's, or says more than the client should act on. */
const SENT_AS: Readonly<Record<number, number>> = { 494: 431, 495: 400, 500: 503, 502: 503 };

const CODES: Readonly<Record<number, string>> = {
  400: 'invalid-request',
  401: 'not-authenticated',
  403: 'forbidden',
  404: 'not-found',
  405: 'method-not-allowed',
  429: 'too-many-requests',
  503: 'unavailable',
};

/** Methods that nginx passes on, for answers 405 (RFC 9110, section 15.5.6); whether a Service has them is its matter. */
const PASSED = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

/** The problem that was set for a bearer token: it has the authenticator's challenge (RFC 6750, section 3). */
export type ProblemKind = 'plain' | 'bearer';

export function problemPath(status: number, kind: ProblemKind = 'plain'): string {
  return `/.gateway/problem/${status}${kind === 'bearer' ? '-bearer' : ''}`;
}

/** `error_page` for everything that nginx may answer by itself; inherited only where a level has none of its own. */
export function problemPages(kind: ProblemKind, except: readonly number[] = []): Directive[] {
  return Object.keys(PROBLEMS)
    .map(Number)
    .filter((status) => !except.includes(status))
    .map((status) => {
      const special = kind === 'bearer' && (status === 401 || status === 403);
      return directive('error_page', status, ...sentAs(status), problemPath(status, special ? 'bearer' : 'plain'));
    });
}

function sentAs(status: number): string[] {
  const other = SENT_AS[status];
  return other === undefined ? [] : [`=${other}`];
}

/** The pages themselves; `headers` are those of every answer of the server. */
export function problemLocations(headers: readonly Directive[], bearer: boolean): Directive[] {
  const plain = Object.keys(PROBLEMS).map((status) => problemLocation(Number(status), 'plain', headers));
  const special = bearer ? [401, 403].map((status) => problemLocation(status, 'bearer', headers)) : [];
  return [...plain, ...special];
}

function problemLocation(status: number, kind: ProblemKind, headers: readonly Directive[]): Directive {
  const sent = SENT_AS[status] ?? status;
  const challenge = status === 403 ? '$gateway_challenge' : '$gateway_missing_challenge';
  return block(
    'location',
    ['=', problemPath(status, kind)],
    [
      directive('internal'),
      // Who somebody claims to be without a proof does not belong into the log: it may be a password in the wrong field.
      ...(status === 401 ? [directive('set', '$gateway_subject', '')] : []),
      directive('default_type', 'application/problem+json'),
      ...headers,
      directive('add_header', 'Cache-Control', 'no-store', 'always'),
      ...(kind === 'bearer' ? [directive('add_header', 'WWW-Authenticate', challenge, 'always')] : []),
      ...(sent === 405 ? [directive('add_header', 'Allow', PASSED, 'always')] : []),
      ...(sent === 429 ? [directive('add_header', 'Retry-After', '1', 'always')] : []),
      ...(sent === 503 ? [directive('add_header', 'Retry-After', '2', 'always')] : []),
      directive('return', sent, problemBody(status)),
    ],
  );
}

/** JSON, with the request's id, whose characters need no escape. */
export function problemBody(status: number): string {
  const sent = SENT_AS[status] ?? status;
  const code = CODES[sent];
  const type = code === undefined ? 'about:blank' : `urn:development-operations:problem:${code}`;
  return JSON.stringify({ type, status: sent, ...PROBLEMS[status], requestId: '$gateway_request_id' });
}
