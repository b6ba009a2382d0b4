import { existsSync } from 'node:fs';
import { HOST_CIDR, NODE_ADDRESS, NODE_INTERFACE, POD_CIDR, SERVICE_CIDR } from '../facts.ts';
import { run, tryRun } from '../run.ts';
import { LocalError } from '../service.ts';
import { leaseDirectory, OWN_NAME } from './facts.ts';

/** Debian's folder, then upstream's. */
const PLUGIN_DIRECTORIES = ['/usr/lib/cni', '/opt/cni/bin', '/usr/libexec/cni'];
const PLUGINS = ['ptp', 'host-local', 'portmap', 'loopback'];

/** Where the CNI plugins are. */
export function pluginDirectory(): string {
  const found = PLUGIN_DIRECTORIES.find((directory) => PLUGINS.every((plugin) => existsSync(`${directory}/${plugin}`)));
  if (found === undefined) {
    throw new LocalError(
      `the CNI plugins ${PLUGINS.join(', ')} are in none of ${PLUGIN_DIRECTORIES.join(', ')}; ` +
        'install them: apt-get install containernetworking-plugins',
    );
  }
  return found;
}

/**
 * The network of pods: each on a pair of interfaces of its own, everything between pods is routed.
 * A bridge would need the module br_netfilter for a pod that reaches another one through a Service; this needs none.
 * Addresses leave the network under the host's (`renderPodNat`), not by the plugin: its rules would stay behind when a
 * pod is killed with everything else.
 */
export function renderCni(leases: string = leaseDirectory()): string {
  return JSON.stringify(
    {
      cniVersion: '1.0.0',
      name: OWN_NAME,
      plugins: [
        {
          type: 'ptp',
          ipMasq: false,
          ipam: {
            type: 'host-local',
            dataDir: leases,
            ranges: [[{ subnet: POD_CIDR }]],
            routes: [{ dst: '0.0.0.0/0' }],
          },
        },
        { type: 'portmap', capabilities: { portMappings: true }, snat: true },
      ],
    },
    undefined,
    2,
  );
}

/** nft(8) script that replaces the table whole: what pods send outside carries the host's address. */
export function renderPodNat(): string {
  return `table ip ${OWN_NAME}
delete table ip ${OWN_NAME}
table ip ${OWN_NAME} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${POD_CIDR} ip daddr != { ${POD_CIDR}, ${HOST_CIDR} } masquerade
  }
}
`;
}

/**
 * Rules that let pods through a FORWARD chain that drops (dockerd and many firewalls set that policy): a verdict in a
 * table of our own could not.
 */
function forwardRules(): string[][] {
  return ['-s', '-d'].map((side) => [
    'FORWARD',
    side,
    POD_CIDR,
    '-m',
    'comment',
    '--comment',
    OWN_NAME,
    '-j',
    'ACCEPT',
  ]);
}

/**
 * Addresses of Services are on no interface: kube-proxy rewrites them on the way. The kernel looks for a route first,
 * and a machine that is off line has none; here they also never leave the machine when nothing rewrites them.
 */
const SERVICE_ROUTE = [SERVICE_CIDR, 'dev', NODE_INTERFACE];

/** Idempotent. */
export async function ensurePodNetwork(): Promise<void> {
  await run('ip', ['route', 'replace', ...SERVICE_ROUTE, 'src', NODE_ADDRESS]);
  await run('nft', ['-f', '-'], { input: renderPodNat() });
  for (const rule of forwardRules()) {
    const there = await tryRun('iptables', ['-w', '5', '-C', ...rule]);
    if (there === undefined) await run('iptables', ['-w', '5', '-I', ...rule]);
  }
}

/** Idempotent; also removes kube-proxy's tables and the rules of host ports. */
export async function removePodNetwork(): Promise<void> {
  await tryRun('ip', ['route', 'delete', ...SERVICE_ROUTE]);
  await removeTable('ip', OWN_NAME);
  await removeProxyTables();
  for (const rule of forwardRules()) await tryRun('iptables', ['-w', '5', '-D', ...rule]);
  await removeHostPorts();
}

/** kube-proxy leaves its rules when it ends. */
export async function removeProxyTables(): Promise<void> {
  for (const family of ['ip', 'ip6']) await removeTable(family, 'kube-proxy');
}

async function removeTable(family: string, name: string): Promise<void> {
  await tryRun('nft', ['delete', 'table', family, name]);
}

/** A line of `iptables -S` as arguments: comments are quoted with escapes inside, and are one argument. */
function ruleArguments(line: string): string[] {
  return [...line.slice('-A '.length).matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(
    (match) => match[1]?.replace(/\\(.)/g, '$1') ?? match[2] ?? '',
  );
}

export interface OwnRules {
  /** Arguments after `-D`. */
  readonly rules: string[][];
  /** Empty and without a jump to them once the rules are gone, or to be flushed. */
  readonly chains: string[];
}

/**
 * Rules that the portmap plugin made for our pods (they carry the name of the network in a comment), and the chains
 * that every CNI network of the machine shares, once nobody has a host port any more.
 *
 * @param rules what `iptables -t nat -S` prints
 */
export function hostPortRules(rules: string): OwnRules {
  const lines = rules.split('\n').filter((line) => line.startsWith('-A '));
  const own = lines.filter((line) => line.includes(`name: \\"${OWN_NAME}\\"`));
  const chains = own.flatMap((line) => / -j (CNI-DN-[0-9a-f]+)/.exec(line)?.[1] ?? []);
  const others = lines.some((line) => line.startsWith('-A CNI-HOSTPORT-DNAT ') && !own.includes(line));
  const shared = others ? [] : [...rules.matchAll(/^-N (CNI-HOSTPORT-\S+)$/gm)].map((match) => match[1] ?? '');
  const jumps = lines.filter(
    (line) => !line.startsWith('-A CNI-') && shared.some((chain) => line.endsWith(` -j ${chain}`)),
  );
  return { rules: [...own, ...jumps].map(ruleArguments), chains: [...new Set([...chains, ...shared])] };
}

async function removeHostPorts(): Promise<void> {
  for (const command of ['iptables', 'ip6tables']) {
    const nat = (args: readonly string[]) => tryRun(command, ['-w', '5', '-t', 'nat', ...args]);
    const listed = await nat(['-S']);
    if (listed === undefined) continue;
    const { rules, chains } = hostPortRules(listed.stdout);
    for (const rule of rules) await nat(['-D', ...rule]);
    // All are emptied before one is removed: they jump to each other.
    for (const option of ['-F', '-X']) {
      for (const chain of chains) await nat([option, chain]);
    }
  }
}
