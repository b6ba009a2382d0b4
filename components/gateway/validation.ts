import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { Finding } from '../findings.ts';
import { labelProblem, portProblem, serviceNameProblem } from '../kubernetes/names.ts';
import { htpasswdProblems } from './htpasswd.ts';
import { hasControlCharacter } from './nginx/directive.ts';
import { CLUSTER_AUTHORITY, type GatewayRoute, type RouteAuthentication } from './routes.ts';

/**
 * Everything that is wrong with a route table. What passes is safe in nginx's configuration: names, hosts, paths and
 * scopes have no character with a meaning there, subjects are quoted and have no `$`.
 *
 * @param authenticator whether there is one, for tokens
 */
export function routeFindings(routes: readonly GatewayRoute[], authenticator: boolean): Finding[] {
  const found: Finding[] = [];
  if (routes.length === 0) found.push({ path: 'routes', problem: 'is empty: name at least one route' });
  for (const [index, route] of routes.entries()) {
    const add = (path: string, problem: string | undefined) => {
      if (problem) found.push({ path: `routes[${index}].${path}`, problem });
    };
    add('name', labelProblem(route.name));
    add('host', hostProblem(route.host));
    add('path', pathProblem(route.path ?? '/'));
    for (const [path, problem] of [
      ...serviceProblems(route),
      ...authenticationProblems(route, authenticator),
      ...limitProblems(route),
    ])
      add(path, problem);
    const earlier = routes.slice(0, index);
    if (earlier.some(({ name }) => name === route.name)) add('name', `"${route.name}" is the name of an earlier route`);
    if (earlier.some((other) => other.host === route.host && samePath(other, route)))
      add('path', `an earlier route takes "${route.path ?? '/'}" of "${route.host}"`);
    add('authentication.certificateAuthority', authorityConflict(earlier, route));
  }
  return found;
}

/** `/v1` and `/v1/` would be two locations for nearly the same requests. */
function samePath(a: GatewayRoute, b: GatewayRoute): boolean {
  const normal = ({ path = '/' }: GatewayRoute) => path.replace(/\/$/, '');
  return normal(a) === normal(b);
}

function authorityConflict(earlier: readonly GatewayRoute[], route: GatewayRoute): string | undefined {
  const own = route.authentication;
  if (own.type !== 'mutualTls') return undefined;
  const differs = earlier.some(
    ({ host, authentication }) =>
      host === route.host &&
      authentication.type === 'mutualTls' &&
      authentication.certificateAuthority !== own.certificateAuthority,
  );
  return differs ? `another route of "${route.host}" has another one: give this route a host of its own` : undefined;
}

/** What is wrong with a host name, or undefined: DNS labels in lower case (RFC 1123), no address, no wildcard. */
export function hostProblem(host: string): string | undefined {
  if (host.length > 253) return `is ${host.length} characters long; a host name has at most 253`;
  const labels = host.split('.');
  if (isIP(host) !== 0 || labels.some((label) => labelProblem(label) !== undefined))
    return `${JSON.stringify(host)} is not a host name: use lower-case letters, digits, "-" and "."`;
  return undefined;
}

/** What is wrong with a path, or undefined. */
export function pathProblem(path: string): string | undefined {
  if (path.length > 200) return `is ${path.length} characters long; at most 200 are allowed`;
  if (!/^\/[A-Za-z0-9._~/-]*$/.test(path))
    return `${JSON.stringify(path)} is not a path: start with "/", then letters, digits, ".", "_", "~", "-" and "/"`;
  if (/\/\/|\/\.{1,2}(\/|$)/.test(path)) return `"${path}" has an empty or a dot segment`;
  if (path === '/.gateway' || path.startsWith('/.gateway/')) return '"/.gateway/" is for the gateway itself';
  return undefined;
}

type Problem = readonly [path: string, problem: string | undefined];

function serviceProblems({ service }: GatewayRoute): Problem[] {
  const https = service.scheme === 'https';
  const scheme = service.scheme ?? 'http';
  const authority = service.certificateAuthority;
  return [
    ['service.name', serviceNameProblem(service.name)],
    ['service.namespace', service.namespace === undefined ? undefined : labelProblem(service.namespace)],
    ['service.port', portProblem(service.port)],
    ['service.keepAlive', numberProblem(service.keepAlive ?? 0, 0, 1000)],
    [
      'service.scheme',
      scheme === 'http' || https ? undefined : `${JSON.stringify(scheme)} is neither "http" nor "https"`,
    ],
    [
      'service.certificateAuthority',
      https && authority === undefined
        ? 'is missing: https is always verified; name "cluster" or give certificates in PEM'
        : !https && authority !== undefined
          ? 'is for https: set the scheme'
          : authority === CLUSTER_AUTHORITY || typeof authority !== 'string'
            ? undefined
            : certificatesProblem(authority),
    ],
  ];
}

function authenticationProblems({ authentication }: GatewayRoute, authenticator: boolean): Problem[] {
  switch (authentication.type) {
    case 'none':
      return [];
    case 'basic': {
      const { users } = authentication;
      const found = typeof users === 'string' ? htpasswdProblems(users) : [];
      return found.map((problem): Problem => ['authentication.users', problem]);
    }
    case 'oidc':
      return [
        ['authentication.type', authenticator ? undefined : '"oidc" needs the argument `authenticator`'],
        ...(authentication.scopes ?? []).map(
          (scope, index): Problem => [`authentication.scopes[${index}]`, scopeProblem(scope)],
        ),
        ['authentication.keepSeconds', numberProblem(authentication.keepSeconds ?? 0, 0, 60)],
      ];
    case 'mutualTls': {
      const { certificateAuthority: authority, subjects } = authentication;
      return [
        [
          'authentication.certificateAuthority',
          typeof authority === 'string' ? certificatesProblem(authority) : undefined,
        ],
        [
          'authentication.subjects',
          subjects?.length === 0 ? 'is empty: nobody could pass; leave it out for everybody' : undefined,
        ],
        ...(subjects ?? []).map((text, index): Problem => [`authentication.subjects[${index}]`, subjectProblem(text)]),
      ];
    }
    default:
      return [
        [
          'authentication.type',
          `${JSON.stringify((authentication as RouteAuthentication).type)} is none of "none", "basic", "oidc", "mutualTls"`,
        ],
      ];
  }
}

/** RFC 6749, section 3.3, without what means something in the configuration. */
function scopeProblem(scope: string): string | undefined {
  if (/^[A-Za-z0-9:._/*-]{1,100}$/.test(scope)) return undefined;
  return `${JSON.stringify(scope)} is not a scope: use letters, digits, ":", ".", "_", "/", "*" and "-"`;
}

function subjectProblem(subject: string): string | undefined {
  if (subject === '' || subject.length > 500) return 'has other than 1 to 500 characters';
  if (hasControlCharacter(subject) || subject.includes('$')) return 'has a control character or "$"';
  if (!/^[A-Za-z0-9.]+=/.test(subject))
    return `${JSON.stringify(subject)} is not a distinguished name such as "CN=backup,O=operations"`;
  return undefined;
}

/** What is wrong with certificates in PEM, or undefined. */
export function certificatesProblem(pem: string): string | undefined {
  const all = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (pem.includes('PRIVATE KEY')) return 'holds a private key: only certificates belong here';
  if (all.length === 0) return 'has no certificate in PEM';
  for (const [index, one] of all.entries()) {
    try {
      new X509Certificate(one);
    } catch {
      return `certificate ${index + 1} cannot be read`;
    }
  }
  return undefined;
}

function limitProblems(route: GatewayRoute): Problem[] {
  const { rateLimit } = route;
  return [
    ['rateLimit.requestsPerSecond', rateLimit && numberProblem(rateLimit.requestsPerSecond, 1, 100_000)],
    ['rateLimit.burst', rateLimit && numberProblem(rateLimit.burst, 0, 100_000)],
    ['maxBodyBytes', numberProblem(route.maxBodyBytes ?? 1, 1, 10 * 1024 ** 3)],
    ['timeoutSeconds', numberProblem(route.timeoutSeconds ?? 1, 1, 24 * 60 * 60)],
  ];
}

function numberProblem(value: number, least: number, most: number): string | undefined {
  if (Number.isInteger(value) && value >= least && value <= most) return undefined;
  return `${value} is not allowed: use a whole number from ${least} to ${most}`;
}

/** What is wrong with a network in CIDR notation, or undefined. */
export function networkProblem(network: string): string | undefined {
  const [address = '', length = ''] = network.split('/');
  const bits = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  const valid = network.split('/').length === 2 && /^\d{1,3}$/.test(length) && Number(length) <= bits && bits > 0;
  // A scope such as %eth0 is part of an address for Node.js, not for nginx.
  return valid && !address.includes('%')
    ? undefined
    : `${JSON.stringify(network)} is not a network such as "10.0.0.0/8"`;
}
