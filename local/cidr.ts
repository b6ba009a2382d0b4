/** Arithmetic of IPv4 networks. */

export interface Network {
  readonly first: number;
  readonly prefix: number;
}

/**
 * `10.1.2.3/16` or `10.1.2.3` (a /32).
 *
 * @throws Error when it is no IPv4 address or network
 */
export function parseCidr(text: string): Network {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/.exec(text);
  const numbers = match?.slice(1, 5).map(Number) ?? [];
  const prefix = Number(match?.[5] ?? 32);
  if (match === null || numbers.some((number) => number > 255) || prefix > 32) {
    throw new Error(`${text} is not an IPv4 network`);
  }
  const address = numbers.reduce((sum, number) => sum * 256 + number, 0);
  return { first: address - (address % 2 ** (32 - prefix)), prefix };
}

function last(network: Network): number {
  return network.first + 2 ** (32 - network.prefix) - 1;
}

export function overlaps(a: Network, b: Network): boolean {
  return a.first <= last(b) && b.first <= last(a);
}

/** A route as `ip -j route` prints it. */
export interface Route {
  readonly dst: string;
  readonly dev?: string;
  readonly gateway?: string;
}

export interface RouteConflict {
  /** Our network. */
  readonly network: string;
  readonly route: Route;
}

/**
 * Routes of the machine that one of `networks` would take traffic from.
 * A wider route through a gateway (a VPN's 10.0.0.0/8, the default route) is no conflict: the more specific one of ours
 * wins for our addresses only. One on a link, or one inside ours, is: real machines may have these addresses.
 */
export function routeConflicts(
  networks: readonly string[],
  routes: readonly Route[],
  ownInterfaces: readonly string[],
): RouteConflict[] {
  const conflicts: RouteConflict[] = [];
  for (const route of routes) {
    if (
      route.dst === 'default' ||
      (route.dev !== undefined && ownInterfaces.some((name) => matches(name, route.dev)))
    ) {
      continue;
    }
    let parsed: Network;
    try {
      parsed = parseCidr(route.dst);
    } catch {
      continue;
    }
    for (const network of networks) {
      const own = parseCidr(network);
      const shadowed = route.gateway !== undefined && parsed.prefix < own.prefix;
      if (overlaps(own, parsed) && !shadowed) conflicts.push({ network, route });
    }
  }
  return conflicts;
}

/** `veth*` matches by prefix. */
function matches(pattern: string, name: string | undefined): boolean {
  return pattern.endsWith('*') ? name?.startsWith(pattern.slice(0, -1)) === true : pattern === name;
}
