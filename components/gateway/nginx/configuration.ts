import { isIP } from 'node:net';
import { type GatewayRoute, hosts, usesTokens } from '../routes.ts';
import { block, type Directive, directive, render } from './directive.ts';
import { httpContext, mainContext } from './http.ts';
import { routeLocations } from './location.ts';
import { problemBody, problemLocations, problemPages } from './problems.ts';
import { clientsFile, type NginxInput } from './settings.ts';

/**
 * The whole nginx.conf for a route table that was found valid (../validation.ts). For nginx 1.22 and later with its
 * usual modules; `http2` is a parameter of `listen`, as 1.22 does not know the directive that replaced it.
 */
export function nginxConfiguration(input: NginxInput): string {
  return render([
    ...mainContext(input),
    block(
      'http',
      [],
      [
        ...httpContext(input),
        defaultServer(input),
        healthServer(input),
        ...hosts(input.routes).map((host) => hostServer(input, host)),
      ],
    ),
  ]);
}

/** Names that are not served: no handshake; a Host that is none of them on another's connection: 421. */
function defaultServer(input: NginxInput): Directive {
  return block(
    'server',
    [],
    [
      ...listen(input, 'default_server'),
      directive('server_name', '_'),
      directive('ssl_reject_handshake', 'on'),
      directive('default_type', 'application/problem+json'),
      directive('return', 421, problemBody(421)),
    ],
  );
}

/** For the kubelet: alive, and ready once the authenticator answers as well. */
function healthServer(input: NginxInput): Directive {
  const answer = [directive('default_type', 'text/plain'), directive('return', 200, 'ok')];
  // Without a token the authenticator's right answer is 401.
  const asked = [
    directive('proxy_pass', `http://${input.authenticator}/verify`),
    directive('proxy_connect_timeout', '1s'),
    directive('proxy_read_timeout', '2s'),
    directive('proxy_pass_request_headers', 'off'),
    directive('proxy_intercept_errors', 'on'),
    directive('error_page', 401, '=200', '/healthz'),
  ];
  return block(
    'server',
    [],
    [
      directive('listen', input.listen.health),
      directive('server_name', '_'),
      directive('access_log', 'off'),
      block('location', ['=', '/healthz'], answer),
      block('location', ['=', '/readyz'], input.authenticator === undefined ? answer : asked),
      block('location', ['/'], [directive('return', 404)]),
    ],
  );
}

function hostServer(input: NginxInput, host: string): Directive {
  const routes = input.routes
    .filter((route) => route.host === host)
    .toSorted((a, b) => ((a.path ?? '/') < (b.path ?? '/') ? -1 : 1));
  const headers = responseHeaders(host);
  return block(
    'server',
    [],
    [
      ...listen(input),
      directive('server_name', host),
      ...clientCertificates(input, routes),
      // Only the PROXY protocol's port has this address, and only from these senders it is believed.
      directive('real_ip_header', 'proxy_protocol'),
      ...[...input.trustedProxies].sort().map((network) => directive('set_real_ip_from', network)),
      ...headers,
      ...problemPages('plain'),
      ...problemLocations(headers, usesTokens(routes)),
      ...routes.flatMap((route) => routeLocations(input, route)),
      ...(routes.some(({ path }) => (path ?? '/') === '/')
        ? []
        : [block('location', ['/'], [directive('return', 404)])]),
    ],
  );
}

function listen({ listen: { tls, proxyProtocol } }: NginxInput, ...parameters: string[]): Directive[] {
  return [
    directive('listen', tls, 'ssl', 'http2', ...parameters),
    directive('listen', proxyProtocol, 'ssl', 'http2', 'proxy_protocol', ...parameters),
  ];
}

/** TLS asks for a certificate before it knows the path, so all routes of the host are asked for one. */
function clientCertificates(input: NginxInput, routes: readonly GatewayRoute[]): Directive[] {
  const first = routes.find(({ authentication }) => authentication.type === 'mutualTls');
  if (first === undefined) return [];
  return [
    directive('ssl_verify_client', 'optional'),
    directive('ssl_verify_depth', 3),
    directive('ssl_client_certificate', `${input.authoritiesFolder}/${clientsFile(first.name)}`),
  ];
}

/** Those that hold for any application; the application sets its own Content-Security-Policy. */
function responseHeaders(host: string): Directive[] {
  const always = (name: string, value: string) => directive('add_header', name, value, 'always');
  return [
    always('X-Request-Id', '$gateway_request_id'),
    always('X-Content-Type-Options', 'nosniff'),
    always('X-Frame-Options', 'DENY'),
    always('Referrer-Policy', 'no-referrer'),
    // For a name of this machine it would bind every other server on it to https.
    ...(isLoopbackName(host) ? [] : [always('Strict-Transport-Security', 'max-age=31536000')]),
  ];
}

function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || isIP(host) !== 0;
}
