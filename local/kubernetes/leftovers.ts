import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { unmountBelow } from '../mounts.ts';
import { waitFor } from '../process.ts';
import { podProcesses, removeCgroups } from './cgroups.ts';
import {
  containerdRoot,
  containerdSocket,
  containerdState,
  dataDirectory,
  kubeletRoot,
  leaseDirectory,
  OWN_NAME,
  podLogDirectory,
  runcRoot,
} from './facts.ts';
import { removePodNetwork } from './podNetwork.ts';

/** Whether a command line (NUL between arguments, proc(5)) is that of a shim of our containerd. */
export function isOwnShim(commandLine: string, socket: string = containerdSocket()): boolean {
  const args = commandLine.split('\0');
  const address = args.indexOf('-address');
  return /(^|\/)containerd-shim[^/]*$/.test(args[0] ?? '') && address > 0 && args[address + 1] === socket;
}

/** The processes between containerd and the containers; they live on when containerd is killed. */
export function liveShims(): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        return isOwnShim(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
      } catch {
        return false;
      }
    })
    .map(Number);
}

/**
 * Puts the node into the state after a boot: no pod, no shim, no mount, no lease. What containerd and the kubelet
 * remember on disk stays; they start the pods anew from it.
 *
 * @param directory the `.local` whose mounts are removed
 */
export async function resetNode(directory: string): Promise<void> {
  const processes = () => [...liveShims(), ...podProcesses()];
  await waitFor(
    async () => {
      const left = processes();
      for (const pid of left) kill(pid);
      return { healthy: left.length === 0, detail: `pids ${left.join(', ')}` };
    },
    { timeoutMs: 15_000, what: 'the end of the pods' },
  );
  for (const socket of shimSockets()) rmSync(socket, { force: true });
  const ctx = { directory };
  for (const mounted of [dataDirectory(ctx, 'kubelet'), containerdRoot(ctx), containerdState()]) {
    await unmountBelow(mounted);
  }
  for (const path of [
    containerdState(),
    runcRoot(),
    leaseDirectory(),
    containerdSocket(),
    `${containerdSocket()}.ttrpc`,
  ]) {
    rmSync(path, { recursive: true, force: true });
  }
  removeCgroups();
}

/** `resetNode`, and everything else of a node outside `.local`. */
export async function removeNode(directory: string): Promise<void> {
  await resetNode(directory);
  await removePodNetwork();
  if (isLink(kubeletRoot())) rmSync(kubeletRoot());
  removeCniResults();
  removeLogLinks(podLogDirectory({ directory }));
  // Made by every kubelet, in a place that cannot be chosen; removed only when nobody uses them.
  const socket = '/var/lib/kubelet/device-plugins/kubelet.sock';
  if (!readFileSync('/proc/net/unix', 'utf8').includes(socket)) rmSync(socket, { force: true });
  for (const path of ['/var/lib/kubelet/device-plugins', '/var/lib/kubelet']) removeWhenEmpty(path);
}

/**
 * Removes what the dead environment of another clone left on this machine.
 *
 * @param path the other clone's repository; it need not exist any more
 */
export async function cleanLeftovers(path: string): Promise<void> {
  await removeNode(join(path, '.local'));
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone.
  }
}

/** Each bundle names the socket of its shim, which lies outside of our folders. */
function shimSockets(): string[] {
  const bundles = join(containerdState(), 'io.containerd.runtime.v2.task', 'k8s.io');
  if (!existsSync(bundles)) return [];
  return readdirSync(bundles).flatMap((id) => {
    try {
      const address = readFileSync(join(bundles, id, 'address'), 'utf8')
        .trim()
        .replace('unix://', '');
      return address.startsWith('/run/containerd/s/') ? [address] : [];
    } catch {
      return [];
    }
  });
}

/** libcni's record of each pod's network. */
function removeCniResults(): void {
  const directory = '/var/lib/cni/results';
  if (!existsSync(directory)) return;
  for (const file of readdirSync(directory)) {
    const path = join(directory, file);
    // The record of the loopback interface has a name that every containerd uses: the namespace in it is ours.
    const own = file.startsWith(`${OWN_NAME}-`) || readFileSync(path, 'utf8').includes(`"${containerdState()}/`);
    if (own) rmSync(path, { force: true });
  }
}

/** Links that every kubelet makes for log collectors. */
function removeLogLinks(target: string): void {
  const directory = '/var/log/containers';
  if (!existsSync(directory)) return;
  for (const file of readdirSync(directory)) {
    const path = join(directory, file);
    if (isLink(path) && readlinkSync(path).startsWith(target)) rmSync(path);
  }
  removeWhenEmpty(directory);
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function removeWhenEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // In use, or not there.
  }
}
