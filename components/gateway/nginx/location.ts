import { CLUSTER_AUTHORITY, type GatewayRoute, isPooled, keepSeconds } from '../routes.ts';
import { block, type Directive, directive } from './directive.ts';
import { AUTHENTICATOR_POOL, VERIFIED_ZONE } from './http.ts';
import { type ProblemKind, problemPages } from './problems.ts';
import { identifier, type NginxInput, serviceFile, usersFile } from './settings.ts';

/** How often a request is sent again; each try is a new connection, which the Service spreads over its pods anew. */
const RETRIES = 3;

/** Header fields that only the gateway may set: what clients send in them is dropped. */
const DROPPED = [
  'Forwarded',
  'Proxy',
  'X-Auth-Roles',
  'X-Auth-Scopes',
  'X-Auth-User',
  'X-Client-Cert',
  'X-Forwarded-Prefix',
  'X-Forwarded-Server',
  'X-Forwarded-User',
  'X-Original-URL',
  'X-Remote-Group',
  'X-Remote-User',
  'X-Required-Scopes',
  'X-Rewrite-URL',
];

/** The locations of one route: the path itself, what is below it, its retries, and the question to the authenticator. */
export function routeLocations(input: NginxInput, route: GatewayRoute): Directive[] {
  const path = route.path ?? '/';
  const first = [...guards(input, route), ...authentication(input, route), ...proxy(input, route, 0)];
  // `/v1` and `/v1/…`, but not `/v10`; ^~ keeps to the longest prefix.
  const below = path.endsWith('/') ? path : `${path}/`;
  return [
    ...(path.endsWith('/') ? [] : [block('location', ['=', path], first)]),
    block('location', ['^~', below], first),
    ...Array.from({ length: RETRIES }, (_, index) => retry(input, route, index + 1)),
    ...verification(input, route),
  ];
}

function guards(input: NginxInput, route: GatewayRoute): Directive[] {
  return [
    directive('set', '$gateway_route', route.name),
    directive('set', '$gateway_service', input.address(route.service)),
    directive('set', '$gateway_method', route.authentication.type),
    directive('set', '$gateway_issuer', ''),
    directive('set', '$gateway_subject', ''),
    when('$gateway_directed', '0', 421),
    when('$gateway_ambiguous', '1', 400),
    directive('client_max_body_size', route.maxBodyBytes ?? 1024 * 1024),
    ...rateLimit(route),
  ];
}

function rateLimit(route: GatewayRoute): Directive[] {
  if (!route.rateLimit) return [];
  const { burst } = route.rateLimit;
  // nginx takes no burst of 0.
  return [directive('limit_req', `zone=${identifier(route)}`, ...(burst === 0 ? [] : [`burst=${burst}`, 'nodelay']))];
}

function when(variable: string, value: string, status: number): Directive {
  return block('if', [`(${variable}`, '=', `${value})`], [directive('return', status)]);
}

function authentication(input: NginxInput, route: GatewayRoute): Directive[] {
  switch (route.authentication.type) {
    case 'none':
      return [];
    case 'basic':
      return [
        directive('set', '$gateway_subject', '$remote_user'),
        directive('auth_basic', route.host),
        directive('auth_basic_user_file', `${input.usersFolder}/${usersFile(route.name)}`),
      ];
    case 'oidc':
      return [
        directive('auth_request', verifyPath(route)),
        directive('auth_request_set', '$gateway_challenge', '$upstream_http_www_authenticate'),
        directive('auth_request_set', '$gateway_issuer', '$upstream_http_x_auth_issuer'),
        directive('auth_request_set', '$gateway_subject', '$upstream_http_x_auth_subject'),
      ];
    case 'mutualTls':
      return [
        when(`$gateway_client_${identifier(route)}`, '0', 403),
        directive('set', '$gateway_issuer', '$ssl_client_i_dn'),
        directive('set', '$gateway_subject', '$ssl_client_s_dn'),
      ];
  }
}

function verifyPath(route: GatewayRoute): string {
  return `/.gateway/verify/${route.name}`;
}

/**
 * The authenticator sees the token and what is required, nothing else of the request. Its answer says how long it may be
 * kept (Cache-Control): not at all where it refuses. nginx compares the whole key, not only its digest.
 */
function verification(input: NginxInput, route: GatewayRoute): Directive[] {
  if (route.authentication.type !== 'oidc' || input.authenticator === undefined) return [];
  const header = (name: string, value: string) => directive('proxy_set_header', name, value);
  const scopes = [...(route.authentication.scopes ?? [])].sort().join(' ');
  const kept = keepSeconds(route);
  return [
    block(
      'location',
      ['=', verifyPath(route)],
      [
        directive('internal'),
        directive('proxy_pass', `http://${AUTHENTICATOR_POOL}/verify`),
        directive('proxy_http_version', '1.1'),
        directive('proxy_method', 'GET'),
        ...(kept === 0
          ? []
          : [
              directive('proxy_cache', VERIFIED_ZONE),
              directive('proxy_cache_key', `${route.name} ${scopes} $http_authorization`),
            ]),
        directive('proxy_pass_request_headers', 'off'),
        directive('proxy_pass_request_body', 'off'),
        directive('proxy_connect_timeout', '2s'),
        directive('proxy_read_timeout', '10s'),
        header('Connection', ''),
        header('Content-Length', ''),
        header('Host', 'authenticator'),
        header('Authorization', '$http_authorization'),
        header('X-Keep-Seconds', String(kept)),
        header('X-Required-Scopes', scopes),
        header('X-Request-Id', '$gateway_request_id'),
      ],
    ),
  ];
}

function retry(input: NginxInput, route: GatewayRoute, attempt: number): Directive {
  return block(
    'location',
    [retryName(route, attempt)],
    [when('$gateway_repeat', '502', 502), when('$gateway_repeat', '504', 504), ...proxy(input, route, attempt)],
  );
}

function retryName(route: GatewayRoute, attempt: number): string {
  return `@retry_${identifier(route)}_${attempt}`;
}

/**
 * Passes the request on. The name is resolved while requests run (a variable, so a Service that is not there yet costs
 * its own route only), and each request has a connection of its own, which the cluster gives to a pod that is ready. A
 * pod that ended a moment ago refuses it, or resets it: the request goes to a retry (see `gateway_repeat`).
 *
 * Where connections are kept, reads go to the pool first. Its address was resolved once: whatever is wrong with it, the
 * first retry looks anew.
 */
function proxy(input: NginxInput, route: GatewayRoute, attempt: number): Directive[] {
  const { service, streaming = false } = route;
  const timeout = `${route.timeoutSeconds ?? (streaming ? 3600 : 60)}s`;
  const kind: ProblemKind = route.authentication.type === 'oidc' ? 'bearer' : 'plain';
  const last = attempt === RETRIES;
  const pooled = attempt === 0 && isPooled(route);
  const target = pooled ? `$gateway_target_${identifier(route)}` : `$gateway_service:${service.port}`;
  return [
    ...problemPages(kind, last ? [] : [502, 504]),
    // `=`: the answer has the status of the retry.
    ...(last ? [] : [directive('error_page', 502, 504, '=', retryName(route, attempt + 1))]),
    directive('proxy_pass', `${service.scheme ?? 'http'}://${target}`),
    directive('proxy_http_version', '1.1'),
    directive('proxy_connect_timeout', '2s'),
    directive('proxy_read_timeout', timeout),
    directive('proxy_send_timeout', timeout),
    directive('proxy_buffering', streaming ? 'off' : 'on'),
    directive('proxy_buffer_size', '16k'),
    directive('proxy_buffers', 8, '16k'),
    directive('proxy_max_temp_file_size', 0),
    directive('proxy_redirect', 'off'),
    // A Service must not send a request on to a route that it could not pass.
    directive('proxy_ignore_headers', 'X-Accel-Redirect', 'X-Accel-Limit-Rate', 'X-Accel-Charset', 'X-Accel-Buffering'),
    ...['X-Request-Id', 'X-Powered-By', 'X-Content-Type-Options', 'X-Frame-Options', 'Referrer-Policy'].map((name) =>
      directive('proxy_hide_header', name),
    ),
    directive('proxy_hide_header', 'Strict-Transport-Security'),
    ...verifiedService(input, route),
    ...requestHeaders(route, pooled),
  ];
}

function verifiedService(input: NginxInput, { name, service }: GatewayRoute): Directive[] {
  if (service.scheme !== 'https') return [];
  const cluster = service.certificateAuthority === CLUSTER_AUTHORITY;
  const file = cluster ? input.clusterAuthorityFile : `${input.authoritiesFolder}/${serviceFile(name)}`;
  return [
    directive('proxy_ssl_verify', 'on'),
    directive('proxy_ssl_verify_depth', 3),
    directive('proxy_ssl_trusted_certificate', file),
    directive('proxy_ssl_protocols', 'TLSv1.2', 'TLSv1.3'),
    directive('proxy_ssl_server_name', 'on'),
    directive('proxy_ssl_name', '$gateway_service'),
  ];
}

/** Each level of nginx's configuration has all header fields or none: so they are all here. */
function requestHeaders(route: GatewayRoute, pooled: boolean): Directive[] {
  const { type } = route.authentication;
  const connection = route.streaming ? '$gateway_connection' : 'close';
  const fields: Record<string, string> = {
    Host: '$host$gateway_port_suffix',
    Connection: pooled ? `$gateway_kept_${identifier(route)}` : connection,
    Upgrade: route.streaming ? '$http_upgrade' : '',
    'X-Request-Id': '$gateway_request_id',
    'X-Real-IP': '$remote_addr',
    'X-Forwarded-For': '$remote_addr',
    'X-Forwarded-Host': '$host$gateway_port_suffix',
    'X-Forwarded-Port': '$gateway_forwarded_port',
    'X-Forwarded-Proto': 'https',
    'X-Auth-Method': '$gateway_method',
    'X-Auth-Issuer': '$gateway_issuer',
    'X-Auth-Subject': '$gateway_subject',
    ...(type === 'basic' ? { Authorization: '' } : {}),
    ...Object.fromEntries(DROPPED.map((name) => [name, ''])),
  };
  return Object.entries(fields).map(([name, value]) => directive('proxy_set_header', name, value));
}
