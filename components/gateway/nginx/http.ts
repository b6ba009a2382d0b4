import type { GatewayRoute } from '../routes.ts';
import { hosts, isPooled, keepSeconds, usesTokens } from '../routes.ts';
import { block, type Directive, directive } from './directive.ts';
import { identifier, type NginxInput } from './settings.ts';

/** Everything outside `http`. */
export function mainContext(input: NginxInput): Directive[] {
  return [
    directive('daemon', 'off'),
    directive('pid', `${input.temporaryFolder}/nginx.pid`),
    directive('error_log', 'stderr', 'warn'),
    directive('worker_processes', input.workers),
    directive('worker_shutdown_timeout', `${input.shutdownSeconds}s`),
    block('events', [], [directive('worker_connections', 4096)]),
  ];
}

/** What all servers share. */
export function httpContext(input: NginxInput): Directive[] {
  return [
    // Lines about single requests hold the query, and with it what it keeps secret; the access log says what happened.
    directive('error_log', 'stderr', 'alert'),
    block('types', [], []),
    directive('default_type', 'application/octet-stream'),
    directive('server_tokens', 'off'),
    directive('uninitialized_variable_warn', 'off'),
    // One problem page may follow another: a retry that fails, a service that is gone.
    directive('recursive_error_pages', 'on'),
    ...(input.resolverFile === undefined ? [] : [directive('include', input.resolverFile)]),
    ...temporaryPaths(input.temporaryFolder),
    ...limits(),
    ...tls(input.tlsFolder),
    ...requestVariables(input),
    ...input.routes.flatMap(routeVariables),
    ...authenticatorPool(input),
    ...servicePools(input),
    ...accessLog(input.accessLog),
  ];
}

/** Names of the zone of what was accepted, and of the connections to the authenticator. */
export const VERIFIED_ZONE = 'gateway_verified';
export const AUTHENTICATOR_POOL = 'gateway_authenticator';

/** Connections to the authenticator are kept, and so is for seconds what it accepted: see `verification`. */
function authenticatorPool({ authenticator, routes, verifiedFolder }: NginxInput): Directive[] {
  if (authenticator === undefined || !usesTokens(routes)) return [];
  const cache = directive(
    'proxy_cache_path',
    verifiedFolder,
    ...['levels=1', `keys_zone=${VERIFIED_ZONE}:2m`, 'max_size=16m', 'inactive=1m', 'use_temp_path=off'],
  );
  const pool = [directive('server', authenticator), directive('keepalive', 16)];
  return [
    ...(routes.some((route) => keepSeconds(route) > 0) ? [cache] : []),
    block('upstream', [AUTHENTICATOR_POOL], pool),
  ];
}

function temporaryPaths(folder: string): Directive[] {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) =>
    directive(`${name}_temp_path`, `${folder}/${name}`),
  );
}

/** Slow and oversized requests (https://nginx.org/en/docs/http/ngx_http_core_module.html). */
function limits(): Directive[] {
  return [
    directive('client_header_timeout', '15s'),
    directive('client_body_timeout', '30s'),
    directive('send_timeout', '60s'),
    directive('keepalive_timeout', '75s'),
    directive('reset_timedout_connection', 'on'),
    directive('large_client_header_buffers', 4, '16k'),
    directive('limit_req_status', 429),
    // Names have up to 253 characters; a bucket holds at least one.
    directive('server_names_hash_bucket_size', 512),
    directive('map_hash_bucket_size', 1024),
    directive('variables_hash_bucket_size', 256),
    directive('variables_hash_max_size', 4096),
    directive('proxy_headers_hash_bucket_size', 128),
    directive('proxy_headers_hash_max_size', 2048),
  ];
}

/** The intermediate profile of https://ssl-config.mozilla.org/ */
function tls(folder: string): Directive[] {
  const ciphers = ['ECDSA', 'RSA'].flatMap((key) => [
    `ECDHE-${key}-AES128-GCM-SHA256`,
    `ECDHE-${key}-AES256-GCM-SHA384`,
    `ECDHE-${key}-CHACHA20-POLY1305`,
  ]);
  return [
    directive('ssl_certificate', `${folder}/tls.crt`),
    directive('ssl_certificate_key', `${folder}/tls.key`),
    directive('ssl_protocols', 'TLSv1.2', 'TLSv1.3'),
    directive('ssl_ciphers', ciphers.join(':')),
    directive('ssl_prefer_server_ciphers', 'off'),
    directive('ssl_session_cache', 'shared:tls:4m'),
    directive('ssl_session_timeout', '1h'),
    // A ticket of one host must not open another one that asks for client certificates.
    directive('ssl_session_tickets', 'off'),
  ];
}

/** Variables made of the request. */
function requestVariables(input: NginxInput): Directive[] {
  return [
    variable('$http_x_request_id', '$gateway_request_id', '$request_id', [
      ['~^[A-Za-z0-9][A-Za-z0-9._-]{7,63}$', '$http_x_request_id'],
    ]),
    // The path as it was sent, without the query.
    variable('$request_uri', '$gateway_path', '', [['~^(?<gateway_raw_path>[^?]*)', '$gateway_raw_path']]),
    // Paths that nginx and the Service behind might read differently, so that another route's rules would apply.
    variable('$request_uri', '$gateway_ambiguous', '0', [
      [String.raw`~*^[^?]*(%2f|%5c|%2e|%0[0ad]|\\|//|/\.{1,2}(/|\?|$))`, '1'],
    ]),
    variable('$http_host', '$gateway_port_suffix', '', [['~:(?<gateway_port>[0-9]{1,5})$', ':$gateway_port']]),
    variable('$http_host', '$gateway_forwarded_port', '443', [['~:(?<gateway_port>[0-9]{1,5})$', '$gateway_port']]),
    variable('$http_upgrade', '$gateway_connection', 'upgrade', [['', 'close']]),
    // A request for one host on a connection that was made for another (RFC 9110, section 15.5.20).
    variable(
      '$ssl_server_name|$host',
      '$gateway_directed',
      '0',
      hosts(input.routes).map((host) => [`${host}|${host}`, '1']),
    ),
    // Sent again (1): what surely never reached a Service, and what may be repeated and got no answer at all. A Service
    // that was too slow is not asked twice.
    variable(
      '$request_method $upstream_bytes_sent|$upstream_status',
      '$gateway_repeat',
      '502',
      [
        [String.raw`~ [-0]\|`, '1'],
        ['~^(GET|HEAD|OPTIONS) .*502$', '1'],
        ['~504$', '504'],
      ],
      true,
    ),
    variable('$status', '$gateway_status', '0', [['~^[1-9]', '$status']]),
    ...(!usesTokens(input.routes)
      ? []
      : [variable('$gateway_challenge', '$gateway_missing_challenge', '', [['', 'Bearer realm="gateway"']])]),
  ];
}

/** The name of the pool of connections to a route's Service. */
function poolName(route: GatewayRoute): string {
  return `gateway_pool_${identifier(route)}`;
}

/** The pool of connections to a route's Service: its name is resolved once, when nginx starts. */
export function servicePool(route: GatewayRoute, address: NginxInput['address']): Directive {
  const { service } = route;
  return block(
    'upstream',
    [poolName(route)],
    [
      directive('server', `${address(service)}:${service.port}`),
      directive('keepalive', service.keepAlive ?? 0),
      // Shorter than a pod that ends goes on serving.
      directive('keepalive_timeout', '2s'),
    ],
  );
}

function servicePools({ routes, address, poolsFile }: NginxInput): Directive[] {
  const pooled = routes.filter(isPooled);
  if (pooled.length === 0) return [];
  return poolsFile === undefined
    ? pooled.map((route) => servicePool(route, address))
    : [directive('include', poolsFile)];
}

function routeVariables(route: GatewayRoute): Directive[] {
  const id = identifier(route);
  const found: Directive[] = [];
  if (isPooled(route)) {
    const others = `$gateway_service:${route.service.port}`;
    const pool = poolName(route);
    found.push(
      variable('$request_method', `$gateway_target_${id}`, others, [
        ['GET', pool],
        ['HEAD', pool],
      ]),
      variable(
        '$request_method $http_upgrade',
        `$gateway_kept_${id}`,
        route.streaming ? '$gateway_connection' : 'close',
        [['~^(GET|HEAD) $', '']],
      ),
    );
  }
  if (route.rateLimit) {
    const rate = `rate=${route.rateLimit.requestsPerSecond}r/s`;
    found.push(directive('limit_req_zone', '$binary_remote_addr', `zone=${id}:4m`, rate));
  }
  if (route.authentication.type === 'mutualTls') {
    const subjects = route.authentication.subjects;
    const keys = subjects?.map((subject) => `~^SUCCESS ${escapeRegularExpression(subject)}$`) ?? ['~^SUCCESS '];
    const ones = [...new Set(keys)].sort().map((key): [string, string] => [key, '1']);
    found.push(variable('$ssl_client_verify $ssl_client_s_dn', `$gateway_client_${id}`, '0', ones));
  }
  return found;
}

function escapeRegularExpression(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/#-]/g, '\\$&');
}

/** https://nginx.org/en/docs/http/ngx_http_map_module.html */
function variable(
  source: string,
  name: string,
  otherwise: string,
  values: readonly (readonly [string, string])[],
  volatile = false,
): Directive {
  return block(
    'map',
    [source, name],
    [
      ...(volatile ? [directive('volatile')] : []),
      directive('default', otherwise),
      ...values.map(([key, value]) => directive(key, value)),
    ],
  );
}

/** One JSON object a line: neither query nor any credential. */
function accessLog(path: string): Directive[] {
  const texts = {
    time: '$time_iso8601',
    requestId: '$gateway_request_id',
    route: '$gateway_route',
    remoteAddress: '$remote_addr',
    host: '$host',
    method: '$request_method',
    path: '$gateway_path',
    protocol: '$server_protocol',
    tls: '$ssl_protocol',
    subject: '$gateway_subject',
    userAgent: '$http_user_agent',
    upstream: '$upstream_addr',
    upstreamStatus: '$upstream_status',
    upstreamSeconds: '$upstream_response_time',
  };
  const numbers = {
    status: '$gateway_status',
    requestBytes: '$request_length',
    responseBytes: '$bytes_sent',
    seconds: '$request_time',
  };
  const fields = [
    ...Object.entries(texts).map(([name, value]) => `"${name}":"${value}"`),
    ...Object.entries(numbers).map(([name, value]) => `"${name}":${value}`),
  ];
  return [
    directive('log_format', 'gateway', 'escape=json', `{${fields.join(',')}}`),
    directive('access_log', path, 'gateway'),
  ];
}
