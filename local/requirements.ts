import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { execa } from 'execa';
import { isNodeOwner } from './facts.ts';
import { processStartTime } from './process.ts';
import { LocalError, type Progress } from './service.ts';
import { which } from './toolchain/machine.ts';

export interface Requirement {
  /** Debian's package. */
  readonly package: string;
  /** Any one of these is enough: a name on PATH, or an absolute path. */
  readonly anyOf: readonly string[];
  readonly why: string;
}

const ALWAYS: readonly Requirement[] = [
  { package: 'curl', anyOf: ['curl'], why: 'downloads' },
  { package: 'tar', anyOf: ['tar'], why: 'archives' },
  { package: 'docker-registry', anyOf: ['docker-registry'], why: 'the image registry' },
];

/** What a node of our own needs beyond the toolchain. Names as in Debian 12 and Ubuntu 24.04. */
const NODE: readonly Requirement[] = [
  { package: 'ca-certificates', anyOf: ['/etc/ssl/certs/ca-certificates.crt'], why: 'TLS' },
  { package: 'iproute2', anyOf: ['ip'], why: 'network interfaces' },
  { package: 'util-linux', anyOf: ['setpriv'], why: 'running services without privileges' },
  { package: 'util-linux', anyOf: ['unshare'], why: 'running services without privileges' },
  { package: 'mount', anyOf: ['mount'], why: 'volumes of pods' },
  { package: 'nginx-light', anyOf: ['nginx'], why: 'the machine in front of the cluster, and tests of the gateway' },
  {
    package: 'libnginx-mod-stream',
    anyOf: ['/usr/lib/nginx/modules/ngx_stream_module.so'],
    why: 'the machine in front of the cluster',
  },
  { package: 'openssl', anyOf: ['openssl'], why: 'certificates in tests' },
  { package: 'passwd', anyOf: ['useradd'], why: 'the user that PostgreSQL runs as' },
  { package: 'containerd', anyOf: ['containerd'], why: 'containers' },
  { package: 'runc', anyOf: ['runc'], why: 'containers' },
  { package: 'etcd-server', anyOf: ['etcd'], why: "the cluster's state" },
  {
    package: 'containernetworking-plugins',
    anyOf: ['/usr/lib/cni/bridge', '/opt/cni/bin/bridge'],
    why: 'pod networks',
  },
  { package: 'nftables', anyOf: ['nft'], why: 'Services' },
  { package: 'iptables', anyOf: ['iptables'], why: 'networks of image builds' },
  { package: 'conntrack', anyOf: ['conntrack'], why: 'Services' },
  { package: 'docker.io', anyOf: ['dockerd'], why: 'image builds' },
  { package: 'docker.io', anyOf: ['docker'], why: 'image builds' },
  { package: 'debootstrap', anyOf: ['debootstrap'], why: 'base images where public ones cannot be pulled' },
];

/** Not on every user's PATH. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

export function requirements(): readonly Requirement[] {
  return isNodeOwner() ? [...ALWAYS, ...NODE] : ALWAYS;
}

export function missing(list: readonly Requirement[], env: NodeJS.ProcessEnv = process.env): Requirement[] {
  return list.filter(
    ({ anyOf }) =>
      !anyOf.some((item) =>
        item.startsWith('/') ? existsSync(item) : which(item, env, SYSTEM_DIRECTORIES) !== undefined,
      ),
  );
}

/** The path of a required program. */
export function program(name: string): string {
  const path = which(name, process.env, SYSTEM_DIRECTORIES);
  if (path === undefined) throw new LocalError(`${name} is not on this machine; run: npm run up`);
  return path;
}

/**
 * Installs the system packages that are missing, as root on Debian or Ubuntu; elsewhere fails with all that is missing
 * and the one command that installs it. No service is started by the installation.
 */
export async function ensureRequirements(progress: Progress): Promise<void> {
  if (isNodeOwner()) allowServiceStarts();
  const lacking = missing(requirements());
  if (lacking.length === 0) return;
  const packages = [...new Set(lacking.map((item) => item.package))].sort();
  const command = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  if (!isNodeOwner() || which('apt-get', process.env, SYSTEM_DIRECTORIES) === undefined) {
    const list = lacking.map((item) => `  ${item.anyOf[0]} (${item.package}): for ${item.why}`).join('\n');
    throw new LocalError(
      `this machine lacks:\n${list}\nOn Debian or Ubuntu this installs it: sudo ${command}\n` +
        'Elsewhere install the same programs with the package manager of the system',
    );
  }
  for (const item of lacking) progress.note(`  ${item.package} is missing: for ${item.why}`);
  await progress.step(`system packages: ${packages.join(', ')}`, async (report) => {
    const release = forbidServiceStarts();
    try {
      const stillMissing = async () => missing(requirements()).length > 0;
      // The lists may be fresh enough: an update costs half a minute.
      await apt(['install', '-y', '--no-install-recommends', ...packages], report).catch(() => undefined);
      if (await stillMissing()) {
        await apt(['update'], report);
        await apt(['install', '-y', '--no-install-recommends', ...packages], report);
      }
    } finally {
      release();
    }
  });
  const left = missing(requirements());
  if (left.length > 0) {
    throw new LocalError(`after "${command}" still missing: ${left.map((item) => item.anyOf.join(' or ')).join(', ')}`);
  }
}

/**
 * Waits for another apt; nothing on the machine is removed for a package (docker.io conflicts with Docker's own
 * containerd.io); files that the administrator changed are kept without a question.
 */
const APT_OPTIONS = [
  '-q',
  '--no-remove',
  ...['DPkg::Lock::Timeout=300', 'Dpkg::Options::=--force-confdef', 'Dpkg::Options::=--force-confold'].flatMap(
    (option) => ['-o', option],
  ),
];

async function apt(args: readonly string[], report: (detail: string) => void): Promise<void> {
  const child = execa('apt-get', [...APT_OPTIONS, ...args], {
    env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
    stdin: 'ignore',
    reject: false,
    timeout: 20 * 60_000,
  });
  child.stdout?.on('data', (chunk: Buffer) => {
    const line = chunk.toString('utf8').trim().split('\n').at(-1);
    if (line) report(line.slice(0, 80));
  });
  const result = await child;
  if (result.exitCode !== 0) {
    const lines = (result.stderr ?? '').trim().split('\n').slice(-6).join('\n  ');
    throw new LocalError(`apt-get ${args.join(' ')} failed:\n  ${lines}`);
  }
}

const POLICY = '/usr/sbin/policy-rc.d';
const POLICY_MARK = '# made by development-operations for the time of one installation, pid ';

/** The process that made the file; undefined when it is not there, or the administrator's. */
function policyMaker(): number | undefined {
  const mark = existsSync(POLICY) ? readFileSync(POLICY, 'utf8').split(POLICY_MARK)[1] : undefined;
  return mark === undefined ? undefined : Number.parseInt(mark, 10);
}

/** invoke-rc.d(8) asks this file; 101 means "forbidden". */
function forbidServiceStarts(): () => void {
  if (existsSync(POLICY)) return () => undefined;
  writeFileSync(POLICY, `#!/bin/sh\n${POLICY_MARK}${process.pid}\nexit 101\n`, { mode: 0o755 });
  return () => rmSync(POLICY, { force: true });
}

/** An installation that was interrupted must not keep the services of this machine from starting for ever. */
function allowServiceStarts(): void {
  const maker = policyMaker();
  if (maker !== undefined && processStartTime(maker) === undefined) rmSync(POLICY, { force: true });
}
