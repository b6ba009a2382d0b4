import { isIP } from 'node:net';

/** One label of a host name, in lower case or not (RFC 1123, 2.1). */
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/i;

function labelsProblem(host: string): string | undefined {
  if (host.length > 253) return `is ${host.length} characters long; a DNS name has at most 253`;
  if (isIP(host) !== 0) return `"${host}" is an address: TLS names a host by its DNS name (RFC 6066, 3)`;
  if (host.split('.').some((label) => label.length > 63 || !LABEL.test(label))) {
    return `"${host}" is not a DNS name: use letters, digits, "-" and ".", each part starting and ending with a letter or digit`;
  }
  return undefined;
}

/** What is wrong with the name of a host that clients ask for, `*.` in front allowed, or undefined. */
export function hostProblem(host: string): string | undefined {
  return labelsProblem(host.startsWith('*.') ? host.slice(2) : host);
}

/** What is wrong with the address of a load balancer, an IP address or a DNS name, or undefined. */
export function upstreamHostProblem(address: string): string | undefined {
  // A zone (fe80::1%eth0) means something on one machine only.
  if (isIP(address) !== 0 && !address.includes('%')) return undefined;
  return labelsProblem(address);
}
