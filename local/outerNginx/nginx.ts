import { chmodSync, chownSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isNodeOwner } from '../facts.ts';
import { program } from '../requirements.ts';
import { run } from '../run.ts';
import { LocalError } from '../service.ts';
import type { SystemUser } from '../systemUser.ts';
import type { Instance } from './facts.ts';

/** Where distributions put the module; nginx.org's packages have it built in. */
const MODULES = ['/usr/lib/nginx/modules', '/usr/lib64/nginx/modules', '/usr/share/nginx/modules'];

/** $1 is mounted at $2; the rest is the command. */
const MOUNT_AND_RUN = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';

/** Makes the folders that nginx writes to, with its user as their owner. */
export function prepareDirectory({ directory }: Instance, user: SystemUser): void {
  for (const path of ['', 'log', 'run', 'temp', 'tls'].map((folder) => join(directory, folder))) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
    give(path, user);
  }
}

/** Makes the user of nginx the owner, where we may. */
export function give(path: string, user: SystemUser): void {
  if (isNodeOwner()) chownSync(path, user.uid, user.gid);
}

/**
 * The command that runs nginx as its user in its directory. As root, in a mount namespace of its own, in which the
 * directory is bound below /run: nginx cannot enter the folders above it, and no permission is widened for it.
 */
export function nginxCommand(
  instance: Instance,
  user: SystemUser,
  file: string,
  args: readonly string[],
): { command: string; args: string[]; env: NodeJS.ProcessEnv } {
  const directory = isNodeOwner() ? instance.mountedAt : instance.directory;
  const globals = ['daemon off;', ...loadModule()].join(' ');
  const nginx = [
    program('nginx'),
    '-p',
    directory,
    '-c',
    join(directory, file),
    '-e',
    'stderr',
    '-g',
    globals,
    ...args,
  ];
  // nginx needs nothing from our environment, which may hold secrets.
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  if (!isNodeOwner()) return { command: nginx[0] ?? '', args: nginx.slice(1), env };
  mkdirSync(instance.mountedAt, { recursive: true, mode: 0o755 });
  const drop = [
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--clear-groups',
    '--no-new-privs',
    '--bounding-set=-all',
  ];
  const shell = ['sh', '-c', MOUNT_AND_RUN, 'sh', instance.directory, instance.mountedAt];
  return {
    command: 'unshare',
    args: ['--mount', '--propagation', 'private', ...shell, program('setpriv'), ...drop, ...nginx],
    env,
  };
}

function loadModule(): string[] {
  const path = MODULES.map((directory) => join(directory, 'ngx_stream_module.so')).find((file) => existsSync(file));
  return path === undefined ? [] : [`load_module ${path};`];
}

/**
 * `nginx -t` of a file in nginx's directory.
 *
 * @throws LocalError with what nginx says
 */
export async function testConfiguration(instance: Instance, user: SystemUser, file: string): Promise<void> {
  const { command, args, env } = nginxCommand(instance, user, file, ['-t', '-q']);
  try {
    await run(command, args, { env, timeoutMs: 20_000 });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const said = text.split('\n').filter((line) => /\[(emerg|alert|crit|error)\]/.test(line));
    throw new LocalError(`nginx does not take its configuration:\n${said.length > 0 ? said.join('\n') : text}`);
  }
}
