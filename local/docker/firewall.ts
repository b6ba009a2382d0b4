import { tryRun } from '../run.ts';

/** dockerd's chains, in the order in which they can be removed. */
const CHAINS = ['DOCKER-USER', 'DOCKER-ISOLATION-STAGE-1', 'DOCKER-ISOLATION-STAGE-2', 'DOCKER'];

/** The arguments that delete the rules of `iptables -S` which name a bridge. */
export function rulesOf(bridge: string, listing: string): string[][] {
  return listing
    .split('\n')
    .filter((line) => line.startsWith('-A ') && new RegExp(`-[io] ${bridge}( |$)`).test(line))
    .map((line) => ['-D', ...line.slice('-A '.length).split(' ')]);
}

/**
 * Removes what dockerd left in iptables for its bridge.
 *
 * @param chains also dockerd's chains; they are another daemon's as well where there is one
 */
export async function removeFirewallRules(bridge: string, subnet: string, chains: boolean): Promise<void> {
  for (const table of ['filter', 'nat']) {
    const listing = (await tryRun('iptables', ['-w', '-t', table, '-S']))?.stdout ?? '';
    for (const rule of rulesOf(bridge, listing)) await tryRun('iptables', ['-w', '-t', table, ...rule]);
    if (table === 'nat') {
      const masquerade = listing
        .split('\n')
        .filter((line) => line.startsWith('-A POSTROUTING') && line.includes(subnet));
      for (const line of masquerade) {
        await tryRun('iptables', ['-w', '-t', 'nat', '-D', ...line.slice('-A '.length).split(' ')]);
      }
    }
    if (!chains) continue;
    for (const line of listing.split('\n')) {
      const jump = /^-A (\S+) .*-j (DOCKER\S*)$/.exec(line);
      if (jump !== null) await tryRun('iptables', ['-w', '-t', table, '-D', ...line.slice('-A '.length).split(' ')]);
    }
    for (const chain of CHAINS.filter((name) => listing.includes(`-N ${name}\n`))) {
      await tryRun('iptables', ['-w', '-t', table, '-F', chain]);
      await tryRun('iptables', ['-w', '-t', table, '-X', chain]);
    }
  }
}
