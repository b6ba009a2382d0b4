import type * as pulumi from '@pulumi/pulumi';

/** A Service of the cluster that requests are passed to, by the name that DNS gives it. */
export interface RouteService {
  readonly name: string;
  /** @default the gateway's */
  readonly namespace?: string;
  readonly port: number;
  /** @default 'http' */
  readonly scheme?: 'http' | 'https';
  /**
   * Who signed the Service's certificate, with `https`, where it is always verified: `cluster` for the cluster's own
   * authority (the Kubernetes API at `kubernetes.default`), or certificates in PEM. @default none: needed with `https`
   */
  readonly certificateAuthority?: pulumi.Input<string>;
  /**
   * Connections that are kept open for reads (GET, HEAD) in each worker of nginx, once they are idle; other requests have
   * a connection each, so that nothing is sent twice. For a Service with a cluster IP (not a headless one), whose pods
   * serve on for 3 s and answer with `Connection: close` after they are told to end: idle connections are closed after 2.
   * @default 0
   */
  readonly keepAlive?: number;
}

/** Who may pass. The Service behind sees `X-Auth-Method`, `X-Auth-Issuer` and `X-Auth-Subject`; clients' own are dropped. */
export type RouteAuthentication =
  /** Anyone; `Authorization` is passed on for the Service to judge. */
  | { readonly type: 'none' }
  /**
   * Name and password. `users` is a file of htpasswd(1) with passwords hashed by bcrypt or SHA-crypt (`htpasswd -B`,
   * `openssl passwd -6`); the password is not passed on. nginx hashes at each request: bcrypt above cost 10 is refused.
   */
  | { readonly type: 'basic'; readonly users: pulumi.Input<string> }
  /**
   * A bearer token that the authenticator accepts, with all of `scopes`. It is passed on. @default no scope
   *
   * That it accepts a token holds for `keepSeconds`, and never past the token's end; each pod asks for itself. A refusal
   * is never kept. @default 5; 0 asks each time
   */
  | { readonly type: 'oidc'; readonly scopes?: readonly string[]; readonly keepSeconds?: number }
  /**
   * A client certificate of this authority (PEM), and one of `subjects`: distinguished names as in RFC 4514, such as
   * `CN=backup,O=operations`. All such routes of a host share one authority, as TLS knows no paths. @default any subject
   */
  | {
      readonly type: 'mutualTls';
      readonly certificateAuthority: pulumi.Input<string>;
      readonly subjects?: readonly string[];
    };

export interface GatewayRoute {
  /** Of one route only; a DNS-1123 label. It is in the logs. */
  readonly name: string;
  /** Host name that clients ask for, in lower case. */
  readonly host: string;
  /** All paths below it: `/v1` takes `/v1` and `/v1/x`, not `/v10`. The longest wins. @default '/' */
  readonly path?: string;
  readonly service: RouteService;
  readonly authentication: RouteAuthentication;
  /** For each client address and each pod of the gateway; more than `burst` above it is answered 429. @default none */
  readonly rateLimit?: { readonly requestsPerSecond: number; readonly burst: number };
  /** Longest request body in bytes; a longer one is answered 413. @default 1048576 (1 MiB) */
  readonly maxBodyBytes?: number;
  /** Longest silence of the Service in seconds before 504. @default 60, with `streaming` 3600 */
  readonly timeoutSeconds?: number;
  /**
   * Answers are passed on as they come, and connections may be upgraded: server-sent events, watches, WebSockets,
   * `kubectl exec`. @default false
   */
  readonly streaming?: boolean;
}

/** The host names of a route table, sorted, each once. */
export function hosts(routes: readonly Pick<GatewayRoute, 'host'>[]): string[] {
  return [...new Set(routes.map(({ host }) => host))].sort();
}

/** Whether the route needs the authority of the cluster to verify its Service. */
export function usesClusterAuthority({ service }: GatewayRoute): boolean {
  return service.certificateAuthority === CLUSTER_AUTHORITY;
}

/** For how long it holds that a token is accepted, in seconds; 0 for routes without tokens. */
export function keepSeconds({ authentication }: GatewayRoute): number {
  return authentication.type === 'oidc' ? (authentication.keepSeconds ?? 5) : 0;
}

/** Whether connections to the Service are kept open for reads. */
export function isPooled({ service }: GatewayRoute): boolean {
  return (service.keepAlive ?? 0) > 0;
}

/** Whether any of the routes takes tokens. */
export function usesTokens(routes: readonly GatewayRoute[]): boolean {
  return routes.some(({ authentication }) => authentication.type === 'oidc');
}

export const CLUSTER_AUTHORITY = 'cluster';
