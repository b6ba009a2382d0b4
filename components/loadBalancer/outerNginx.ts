import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { type Finding, refuse } from '../findings.ts';
import { digestOf } from '../kubernetes/fingerprint.ts';
import { portProblem } from '../kubernetes/names.ts';
import { hostProblem, upstreamHostProblem } from './hosts.ts';

/** The nginx on the machine in front of the cluster. */
export interface OuterServer {
  /** Address on which it listens. */
  readonly listenAddress: string;
  /** Port of TLS, which is passed through unopened. */
  readonly httpsPort: number;
  /** Port of plain HTTP: redirects and `/healthz`. */
  readonly httpPort: number;
  /** Port of HTTPS as clients see it, where a firewall in front translates. @default `httpsPort` */
  readonly publicPort?: number;
  /**
   * Absolute path of `ngx_stream_module.so`, where the module is not built in and not loaded by the command line.
   * @default it is built in
   */
  readonly streamModule?: string;
  /** Seconds without a byte in either direction after which a connection is closed. @default 900 */
  readonly idleTimeoutSeconds?: number;
  /** Most connections of one client address at once. @default 1024 */
  readonly connectionsPerClient?: number;
  /** Number of worker processes. @default 2 */
  readonly workers?: number;
}

/** Which names lead to which load balancer. */
export interface OuterRoute {
  /** DNS names; `*.` in front stands for one or more labels. */
  readonly hosts: readonly string[];
  /** Address or DNS name of the load balancer. */
  readonly address: string;
  /** Port that expects the PROXY protocol. */
  readonly port: number;
}

/** Every problem of the arguments; paths begin with `outer` or `routes`. */
export function outerFindings(server: OuterServer, routes: readonly OuterRoute[]): Finding[] {
  const found: Finding[] = [];
  const add = (path: string, problem: string | undefined) => problem && found.push({ path, problem });
  const whole = (path: string, value: number | undefined, most: number) => {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1 && value <= most)) {
      add(path, `${value} is not allowed: use a whole number from 1 to ${most}`);
    }
  };
  if (isIP(server.listenAddress) === 0) add('outer.listenAddress', `"${server.listenAddress}" is not an IP address`);
  add('outer.httpsPort', portProblem(server.httpsPort));
  add('outer.httpPort', portProblem(server.httpPort));
  if (server.httpPort === server.httpsPort) add('outer.httpPort', 'is the same as outer.httpsPort: use another');
  if (server.publicPort !== undefined) add('outer.publicPort', portProblem(server.publicPort));
  whole('outer.idleTimeoutSeconds', server.idleTimeoutSeconds, 86_400);
  whole('outer.connectionsPerClient', server.connectionsPerClient, 65_535);
  whole('outer.workers', server.workers, 256);
  const module = server.streamModule;
  if (module !== undefined && !(isAbsolute(module) && /^[\w./-]+$/.test(module))) {
    add('outer.streamModule', 'is not an absolute path of letters, digits, "_", ".", "-" and "/"');
  }
  const seen = new Set<string>();
  routes.forEach((route, index) => {
    const path = `routes[${index}]`;
    if (route.hosts.length === 0) add(`${path}.hosts`, 'is empty: name at least one host');
    route.hosts.forEach((host, position) => {
      add(`${path}.hosts[${position}]`, hostProblem(host));
      if (seen.has(host.toLowerCase())) add(`${path}.hosts[${position}]`, `"${host}" is named twice`);
      seen.add(host.toLowerCase());
    });
    add(`${path}.address`, upstreamHostProblem(route.address));
    add(`${path}.port`, portProblem(route.port));
  });
  return found;
}

/** Words that `map` reads as parameters: https://nginx.org/en/docs/stream/ngx_stream_map_module.html */
const MAP_WORDS = new Set(['default', 'hostnames', 'include', 'volatile']);

function mapKey(host: string): string {
  return MAP_WORDS.has(host) ? `\\${host}` : host;
}

function bracketed(address: string): string {
  return isIP(address) === 6 ? `[${address}]` : address;
}

/**
 * The whole configuration of the outer nginx. TLS is passed on to the load balancer by the name in the ClientHello
 * (SNI), with the client's address in front (PROXY protocol); a connection for another name, or without one, is closed.
 * Plain HTTP is redirected, for the same names.
 *
 * All paths are relative: run it with `nginx -p DIRECTORY -c DIRECTORY/nginx.conf`, in a directory with the folders
 * `log`, `run` and `temp` that the user of nginx may write; nothing needs root where the ports are above 1023. nginx
 * needs its modules stream and stream_ssl_preread, version 1.19.10 or later.
 *
 * `GET /healthz` on the port of plain HTTP answers with `configurationId`: which configuration is live.
 *
 * @throws pulumi.RunError with every invalid argument: nothing unchecked gets into the text.
 */
export function renderOuterNginx(server: OuterServer, routes: readonly OuterRoute[]): string {
  refuse('outer nginx', outerFindings(server, routes));
  const listen = bracketed(server.listenAddress);
  const sorted = [...routes]
    .map((route) => ({ ...route, hosts: route.hosts.map((host) => host.toLowerCase()).sort() }))
    .sort((a, b) => ((a.hosts[0] ?? '') < (b.hosts[0] ?? '') ? -1 : 1));
  const upstreams = sorted.map(
    ({ address, port }, index) => `  upstream cluster_${index} {\n    server ${bracketed(address)}:${port};\n  }`,
  );
  const names = sorted.flatMap(({ hosts }, index) => hosts.map((host) => `    ${mapKey(host)} cluster_${index};`));
  const hosts = sorted.flatMap((route) => route.hosts);
  const text = `${moduleLine(server)}worker_processes ${server.workers ?? 2};
worker_rlimit_nofile 8192;
# Connections of before a reload may end by themselves for this long.
worker_shutdown_timeout 10m;
pid run/nginx.pid;
error_log stderr notice;

events {
  worker_connections 4096;
}

stream {
  log_format json escape=json
    '{"time":"$time_iso8601","client":"$remote_addr","serverName":"$ssl_preread_server_name",'
    '"status":$status,"upstream":"$upstream_addr","connectSeconds":"$upstream_connect_time",'
    '"received":$bytes_received,"sent":$bytes_sent,"seconds":$session_time}';
  access_log log/access.log json;
  # A name that is not here is an error of the client, not of ours: the access log has it.
  error_log stderr crit;

  map_hash_bucket_size 512;
  map_hash_max_size 4096;
  map $ssl_preread_server_name $cluster {
    hostnames;
    default "";
${names.join('\n')}
  }
  limit_conn_zone $binary_remote_addr zone=clients:2m;

${upstreams.join('\n')}

  server {
    listen ${listen}:${server.httpsPort} so_keepalive=on;
    limit_conn clients ${server.connectionsPerClient ?? 1024};
    ssl_preread on;
    preread_timeout 10s;
    proxy_pass $cluster;
    proxy_protocol on;
    proxy_connect_timeout 5s;
    proxy_socket_keepalive on;
    # Server-sent events are silent between their heartbeats.
    proxy_timeout ${server.idleTimeoutSeconds ?? 900}s;
  }
}

http {
  log_format json escape=json
    '{"time":"$time_iso8601","client":"$remote_addr","host":"$host","method":"$request_method",'
    '"status":$status,"seconds":$request_time}';
  access_log log/access.log json;
  client_body_temp_path temp/body;
  proxy_temp_path temp/proxy;
  fastcgi_temp_path temp/fastcgi;
  uwsgi_temp_path temp/uwsgi;
  scgi_temp_path temp/scgi;
  server_tokens off;
  server_names_hash_bucket_size 512;
  server_names_hash_max_size 4096;
  client_max_body_size 1k;
  client_header_timeout 10s;
  client_body_timeout 10s;
  keepalive_timeout 15s;

  server {
    listen ${listen}:${server.httpPort} default_server;
    default_type text/plain;
    location = /healthz {
      access_log off;
      return 200 "${CONFIGURATION_ID}\\n";
    }
    location / {
      return 404 "no such host\\n";
    }
  }
${redirect(hosts, listen, server)}}
`;
  return text.replace(CONFIGURATION_ID, () => configurationOf(text));
}

/** Takes the place of the digest while it is not known; no host holds a "_" or a space. */
const CONFIGURATION_ID = '_configuration id_';

function configurationOf(text: string): string {
  return `configuration ${digestOf(text)}`;
}

/** What `/healthz` answers when this configuration is live; undefined for a text that was not rendered here. */
export function configurationId(text: string): string | undefined {
  return /return 200 "(configuration [0-9a-f]{10})\\n";/.exec(text)?.[1];
}

function moduleLine(server: OuterServer): string {
  return server.streamModule === undefined ? '' : `load_module ${server.streamModule};\n`;
}

function redirect(hosts: readonly string[], listen: string, server: OuterServer): string {
  if (hosts.length === 0) return '';
  return `
  server {
    listen ${listen}:${server.httpPort};
    server_name ${hosts.join('\n                ')};
    return 308 https://$host${portSuffix(publicPort(server))}$request_uri;
  }
`;
}

function publicPort(server: OuterServer): number {
  return server.publicPort ?? server.httpsPort;
}

function portSuffix(port: number): string {
  return port === 443 ? '' : `:${port}`;
}

/** The URL under which clients reach a host through the outer nginx. */
export function outerUrl(server: OuterServer, host: string): string {
  return `https://${host}${portSuffix(publicPort(server))}`;
}
