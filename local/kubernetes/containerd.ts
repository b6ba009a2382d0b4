import { join } from 'node:path';
import { REGISTRY_ADDRESS } from '../facts.ts';
import { isRunning } from '../process.ts';
import { program } from '../requirements.ts';
import { type Context, type Health, LocalError } from '../service.ts';
import { component } from './component.ts';
import { openCri, removeAllPods } from './cri.ts';
import { containerdRoot, containerdSocket, containerdState, dataDirectory, PAUSE_IMAGE, runcRoot } from './facts.ts';
import { writeConfiguration } from './files.ts';
import { ensureImage } from './images.ts';
import { liveShims, removeNode, resetNode } from './leftovers.ts';
import { pauseProgram } from './pause.ts';
import { ensurePodNetwork, pluginDirectory, renderCni } from './podNetwork.ts';

const NAME = 'containerd';
/** How long a container may take to end at `down`. */
const GRACE_SECONDS = 5;

export interface ContainerdOptions {
  readonly root: string;
  readonly state: string;
  readonly socket: string;
  readonly runcRoot: string;
  readonly sandboxImage: string;
  readonly cniBinaries: string;
  readonly cniConfiguration: string;
  readonly registryHosts: string;
}

/** containerd's configuration, version 2 (containerd documentation, docs/cri/config.md of 1.6 and 1.7). */
export function renderContainerd(options: ContainerdOptions): string {
  // A JSON string without control characters is a TOML basic string.
  const text = (value: string) => JSON.stringify(value);
  return `version = 2
root = ${text(options.root)}
state = ${text(options.state)}
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]

[grpc]
  address = ${text(options.socket)}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${text(options.sandboxImage)}
  # Without CAP_SYS_RESOURCE (a container, a sandboxed machine) a process cannot lower its score, and no pod would start.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = ${text(options.cniBinaries)}
  conf_dir = ${text(options.cniConfiguration)}

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = ${text(options.runcRoot)}
  SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = ${text(options.registryHosts)}
`;
}

/** The local registry speaks HTTP: it is on loopback (containerd documentation, docs/hosts.md). */
export function renderRegistryHosts(address: string): string {
  const url = JSON.stringify(`http://${address}`);
  return `server = ${url}\n\n[host.${url}]\n  capabilities = ["pull", "resolve"]\n`;
}

/**
 * Layers are mounted by options in which these characters have a meaning (overlayfs, mount(8)).
 *
 * @throws LocalError
 */
export function assertMountable(path: string): void {
  const found = /[,:\\"]/.exec(path);
  if (found === null) return;
  throw new LocalError(`containers cannot run below a path with "${found[0]}" in it: ${path}; move the repository`);
}

async function health(): Promise<Health> {
  const cri = openCri();
  try {
    return { healthy: true, detail: `containerd ${await cri.version()}` };
  } catch {
    return { healthy: false, detail: 'does not answer' };
  } finally {
    cri.close();
  }
}

async function stopPods(ctx: Context): Promise<void> {
  if (!isRunning(ctx, NAME)) return;
  const cri = openCri();
  try {
    await removeAllPods(cri, GRACE_SECONDS);
  } catch {
    // It hangs, or was killed just now: `resetNode` ends the processes without it.
  } finally {
    cri.close();
  }
}

/** Runs the containers of pods; its own folders and socket, so that it meets no other containerd of the machine. */
export const containerd = component({
  name: NAME,
  url: `unix://${containerdSocket()}`,
  dependsOn: ['network'],
  ports: [],
  async prepare(ctx) {
    assertMountable(containerdRoot(ctx));
    const node = dataDirectory(ctx, 'node');
    const configuration = join(node, 'containerd.toml');
    const cni = join(node, 'cni');
    const hosts = join(node, 'registries');
    await ensurePodNetwork();
    // Read when they are needed, not at the start.
    writeConfiguration(join(cni, '10-pods.conflist'), renderCni());
    writeConfiguration(join(hosts, REGISTRY_ADDRESS, 'hosts.toml'), renderRegistryHosts(REGISTRY_ADDRESS));
    const options = {
      root: containerdRoot(ctx),
      state: containerdState(),
      socket: containerdSocket(),
      runcRoot: runcRoot(),
      sandboxImage: PAUSE_IMAGE,
      cniBinaries: pluginDirectory(),
      cniConfiguration: cni,
      registryHosts: hosts,
    };
    return {
      command: program('containerd'),
      args: ['--config', configuration, '--log-level', 'warn'],
      changed: writeConfiguration(configuration, renderContainerd(options)),
    };
  },
  health,
  async beforeStart(ctx) {
    // Pods of a containerd that was killed live on, and the new one finds them. Without any, mounts and leases are those
    // of a node that died, and stand in the way.
    if (liveShims().length === 0) await resetNode(ctx.directory);
  },
  afterStart: (ctx) =>
    ensureImage(ctx, PAUSE_IMAGE, [{ name: 'pause', mode: 0o755, content: pauseProgram() }], ['/pause']),
  beforeStop: stopPods,
  afterStop: (ctx) => resetNode(ctx.directory),
  clean: (ctx) => removeNode(ctx.directory),
});
