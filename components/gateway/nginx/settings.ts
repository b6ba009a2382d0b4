import type { GatewayRoute, RouteService } from '../routes.ts';

/** What the configuration says beside the routes: in the pod as in POD, in tests with other ports and folders. */
export interface NginxSettings {
  /** Addresses or ports to listen on: TLS, TLS behind the PROXY protocol, health. */
  readonly listen: { readonly tls: string; readonly proxyProtocol: string; readonly health: string };
  /** Writable folder for the process id and bodies that do not fit into memory. */
  readonly temporaryFolder: string;
  /**
   * Writable folder for what the authenticator accepted, in memory: its files hold tokens, since nginx writes the key of
   * each entry into it.
   */
  readonly verifiedFolder: string;
  /** Folder with tls.crt and tls.key. */
  readonly tlsFolder: string;
  /** Folder with `users-<route>`: files of htpasswd(1). */
  readonly usersFolder: string;
  /** Folder with `clients-<route>.crt` and `service-<route>.crt`. */
  readonly authoritiesFolder: string;
  /** The cluster's own authority in PEM. */
  readonly clusterAuthorityFile: string;
  /** File with the directive `resolver`, made from /etc/resolv.conf; left out where no name is to be resolved. */
  readonly resolverFile?: string;
  /**
   * File with the pools of connections to Services (see `servicePool`), made where it is known which names there are;
   * left out where all are known.
   */
  readonly poolsFile?: string;
  /** `host:port` of the authenticator. */
  readonly authenticator?: string;
  /** Networks (CIDR) whose PROXY protocol is believed. */
  readonly trustedProxies: readonly string[];
  readonly workers: number;
  /** Longest time in seconds for requests that run when the pod ends. */
  readonly shutdownSeconds: number;
  /** Where the access log goes. */
  readonly accessLog: string;
  /** Host name of a Service. */
  readonly address: (service: RouteService) => string;
}

export interface NginxInput extends NginxSettings {
  readonly routes: readonly GatewayRoute[];
}

/** Names of files, by route. */
export const usersFile = (route: string): string => `users-${route}`;
export const clientsFile = (route: string): string => `clients-${route}.crt`;
export const serviceFile = (route: string): string => `service-${route}.crt`;

/** A route's pool of connections, in the folder of the configuration. */
export const poolFile = (route: string): string => `pool-${route}.conf`;

/** The name of a route in names of variables, zones and locations. */
export function identifier({ name }: Pick<GatewayRoute, 'name'>): string {
  return name.replaceAll('-', '_');
}
