import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeFirewallRules } from './docker/firewall.ts';
import { DOCKER_BRIDGE, DOCKER_BRIDGE_CIDR, dockerSocket, isNodeOwner, runtimeDirectory } from './facts.ts';
import { isRunning, logFilePath, processStartTime, startProcess, stopProcess, waitFor } from './process.ts';
import { program } from './requirements.ts';
import { tryRun } from './run.ts';
import { type Context, type Health, LocalError, type Service } from './service.ts';
import { which } from './toolchain/machine.ts';

const NAME = 'docker';
const OWN_DIRECTORY = 'docker';

/** The server's version when a docker daemon answers there; `undefined` host is the docker CLI's own choice. */
async function serverVersion(host: string | undefined): Promise<string | undefined> {
  const answer = await tryRun('docker', ['version', '--format', '{{.Server.Version}}'], {
    env: host === undefined ? {} : { DOCKER_HOST: host },
    timeoutMs: 5000,
  });
  return answer?.stdout.trim() || undefined;
}

function choiceFile(ctx: Pick<Context, 'directory'>): string {
  return join(ctx.directory, 'run', 'docker-host');
}

/**
 * The value of DOCKER_HOST for this environment: the user's own daemon where one answered at the last `up` (an empty
 * string: the docker CLI's default), else ours.
 */
export function dockerHost(ctx: Pick<Context, 'directory'>): string {
  return existsSync(choiceFile(ctx)) ? readFileSync(choiceFile(ctx), 'utf8').trim() : dockerSocket();
}

/** Environment of docker commands in this environment. */
export function dockerEnvironment(ctx: Pick<Context, 'directory'>): Record<string, string> {
  const host = dockerHost(ctx);
  return host === '' ? {} : { DOCKER_HOST: host };
}

async function health(ctx: Context): Promise<Health> {
  const host = dockerHost(ctx);
  const version = await serverVersion(host === '' ? undefined : host);
  if (version === undefined) return { healthy: false, detail: 'does not answer' };
  return { healthy: true, detail: `docker ${version}${host === dockerSocket() ? '' : ", the machine's own"}` };
}

async function start(ctx: Context): Promise<void> {
  mkdirSync(join(ctx.directory, 'run'), { recursive: true });
  const own = isRunning(ctx, NAME);
  if (own && (await serverVersion(dockerSocket())) !== undefined) return;
  if (!own) {
    const host = process.env.DOCKER_HOST;
    if (host !== dockerSocket() && (await serverVersion(host)) !== undefined) {
      writeFileSync(choiceFile(ctx), host ?? '');
      return;
    }
  }
  if (!isNodeOwner()) {
    throw new LocalError(
      which('docker') === undefined
        ? 'docker is missing; install Docker Desktop or Docker Engine (https://docs.docker.com/engine/install/)'
        : 'no docker daemon answers; start Docker Desktop, or: sudo systemctl start docker',
    );
  }
  writeFileSync(choiceFile(ctx), dockerSocket());
  await stop(ctx);
  await startDaemon(ctx);
}

async function startDaemon(ctx: Context): Promise<void> {
  const data = join(ctx.directory, 'data', NAME);
  const exec = join(runtimeDirectory(), OWN_DIRECTORY);
  mkdirSync(data, { recursive: true, mode: 0o711 });
  mkdirSync(exec, { recursive: true, mode: 0o711 });
  const pidFile = join(runtimeDirectory(), 'docker.pid');
  // dockerd believes the pid in it even when it is another program's by now.
  rmSync(pidFile, { force: true });
  rmSync(dockerSocket().replace('unix://', ''), { force: true });
  const configuration = join(data, 'daemon.json');
  writeFileSync(
    configuration,
    JSON.stringify({
      hosts: [dockerSocket()],
      group: 'root',
      'data-root': join(data, 'root'),
      'exec-root': exec,
      pidfile: pidFile,
      bridge: DOCKER_BRIDGE,
      'live-restore': false,
      features: { buildkit: true },
    }),
    { mode: 0o600 },
  );
  await startProcess(ctx, {
    name: NAME,
    command: program('dockerd'),
    args: ['--config-file', configuration],
    cwd: '/',
  });
  await waitFor(async () => (await serverVersion(dockerSocket())) !== undefined, {
    timeoutMs: 60_000,
    what: 'dockerd',
    logFile: logFilePath(ctx, NAME),
    alive: () => isRunning(ctx, NAME),
  });
}

async function stop(ctx: Context): Promise<void> {
  await stopProcess(ctx, NAME, 30_000);
  await stopOrphanedContainerd(ctx);
}

/** dockerd ends the containerd that it started, unless it was killed itself. */
async function stopOrphanedContainerd(ctx: Context): Promise<void> {
  const directory = join(runtimeDirectory(), OWN_DIRECTORY, 'containerd');
  const pidFile = ['containerd.pid', 'docker-containerd.pid'].map((name) => join(directory, name)).find(existsSync);
  if (pidFile === undefined) return;
  const pid = Number(readFileSync(pidFile, 'utf8'));
  let commandLine = '';
  try {
    commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    // Ended with its parent.
  }
  // The path in its arguments makes it ours: a pid alone may be anybody's by now.
  if (commandLine.includes(directory)) {
    process.kill(pid, 'SIGTERM');
    await waitFor(async () => processStartTime(pid) === undefined, {
      timeoutMs: 15_000,
      what: `the end of dockerd's containerd (pid ${pid})`,
      logFile: logFilePath(ctx, NAME),
    });
  }
  rmSync(pidFile, { force: true });
}

/** A docker daemon for image builds: the machine's where one answers, else our own beside it. */
export const docker: Service = {
  name: NAME,
  url: dockerSocket(),
  dependsOn: isNodeOwner() ? ['network'] : [],
  health,
  start,
  stop,
  async clean() {
    if (!isNodeOwner() || !existsSync(join(runtimeDirectory(), OWN_DIRECTORY))) return;
    const other = otherDaemonRuns();
    await removeFirewallRules(DOCKER_BRIDGE, networkOf(DOCKER_BRIDGE_CIDR), !other);
  },
};

/** Another dockerd on this machine, whose chains stay. */
function otherDaemonRuns(): boolean {
  return readdirSync('/proc').some((entry) => {
    try {
      return /^\d+$/.test(entry) && readFileSync(`/proc/${entry}/comm`, 'utf8').trim() === 'dockerd';
    } catch {
      return false;
    }
  });
}

/** `172.31.242.1/24` as iptables prints it: `172.31.242.0/24`. */
function networkOf(cidr: string): string {
  return cidr.replace(/\.\d+\//, '.0/');
}
