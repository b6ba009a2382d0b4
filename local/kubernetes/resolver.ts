import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

/** systemd-resolved's list of the real servers, behind its own on loopback (systemd-resolved.service(8)). */
const FILES = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'];

/** Name servers in a resolv.conf(5) that a pod can reach: none on loopback, as that is the pod's own. */
export function reachableNameservers(resolvConf: string): string[] {
  return resolvConf
    .split('\n')
    .flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
    .filter((address) => isIP(address) !== 0 && !address.startsWith('127.') && address !== '::1');
}

/** The host's name servers as pods can use them; empty where there are none but on loopback. */
export function upstreamNameservers(): string[] {
  for (const file of FILES) {
    try {
      const found = reachableNameservers(readFileSync(file, 'utf8'));
      if (found.length > 0) return found;
    } catch {
      // Not on this machine.
    }
  }
  return [];
}

/** For pods with `dnsPolicy: Default`. Search domains of the host are left out: they slow every look-up down. */
export function renderResolvConf(nameservers: readonly string[]): string {
  return nameservers.map((address) => `nameserver ${address}\n`).join('');
}
