import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isNodeOwner, runtimeDirectory } from '../facts.ts';
import { program } from '../requirements.ts';
import { ensureSystemUser, removeSystemUser, type SystemUser } from '../systemUser.ts';

/** PostgreSQL refuses to run as root. */
export type PostgresUser = SystemUser;

const USER = 'devops-postgres';

export const ensureUser = (): Promise<PostgresUser> => ensureSystemUser(USER);

export const removeUser = (): Promise<void> => removeSystemUser(USER);

/** Folders that the server has to reach. */
export interface PostgresPaths {
  readonly data: string;
  readonly binaries: string;
}

/** $1 and $3 are mounted at $2 and $4; the rest is the command. */
const MOUNT_AND_RUN = 'mount --bind "$1" "$2" && mount --bind "$3" "$4" && shift 4 && exec "$@"';

/**
 * The command that runs a PostgreSQL program as its user.
 *
 * A clone may be below a folder that this user cannot enter (/root, a private temporary folder). As root, the program
 * therefore gets a mount namespace of its own in which both folders are bound below /run: no permission is widened, no
 * capability is kept, and the mounts end with the process.
 *
 * @param args builds the command line from the paths as the program sees them
 */
export function asPostgres(
  user: PostgresUser,
  paths: PostgresPaths,
  args: (visible: PostgresPaths) => readonly string[],
): { command: string; args: string[]; env: NodeJS.ProcessEnv } {
  // The server needs nothing from our environment, which may hold secrets.
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  if (!isNodeOwner()) {
    const [command = '', ...rest] = args(paths);
    return { command, args: rest, env };
  }
  const base = runtimeDirectory();
  const visible = { data: join(base, 'postgres-data'), binaries: join(base, 'postgres') };
  // 0755 up to here: only the mounted folders decide who may read.
  for (const path of [base, visible.data, visible.binaries]) mkdirSync(path, { recursive: true, mode: 0o755 });
  return {
    command: 'unshare',
    args: [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      MOUNT_AND_RUN,
      'sh',
      paths.data,
      visible.data,
      paths.binaries,
      visible.binaries,
      program('setpriv'),
      `--reuid=${user.uid}`,
      `--regid=${user.gid}`,
      '--clear-groups',
      '--no-new-privs',
      ...args(visible),
    ],
    env,
  };
}
