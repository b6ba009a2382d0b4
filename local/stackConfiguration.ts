import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { run } from './run.ts';
import type { Context } from './service.ts';

type ConfigurationContext = Pick<Context, 'root' | 'directory'>;

const STACK = 'local';

/** Folder with a project of the same name, in which the CLI may write as it likes. */
function scratchProject(ctx: ConfigurationContext): string {
  return join(ctx.directory, 'config');
}

function saltFile(ctx: ConfigurationContext): string {
  return join(scratchProject(ctx), 'encryption-salt');
}

/** The file for `--config-file`. */
export function localConfigurationFile(ctx: ConfigurationContext): string {
  return join(scratchProject(ctx), `Pulumi.${STACK}.yaml`);
}

/**
 * Writes the configuration of the stack `local` for this clone: the tracked Pulumi.local.yaml and the encryption salt.
 *
 * The CLI writes the salt of the passphrase into the stack's configuration file; each clone has a passphrase of its own,
 * so in the tracked file it would show up as a change after every first `npm run up`.
 *
 * @returns its path, to be passed as `--config-file`
 */
export function writeLocalConfiguration(ctx: ConfigurationContext): string {
  const path = localConfigurationFile(ctx);
  mkdirSync(scratchProject(ctx), { recursive: true });
  const tracked = join(ctx.root, `Pulumi.${STACK}.yaml`);
  const text = existsSync(tracked) ? readFileSync(tracked, 'utf8') : '';
  const salt = existsSync(saltFile(ctx)) ? `encryptionsalt: ${readFileSync(saltFile(ctx), 'utf8').trim()}\n` : '';
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${text.trimEnd()}\n${salt}`, { mode: 0o600 });
  renameSync(temporary, path);
  return path;
}

/** Makes the stack in the backend of `env` when it is not there. */
export async function ensureLocalStack(
  ctx: ConfigurationContext,
  pulumi: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const { name } = parse(readFileSync(join(ctx.root, 'Pulumi.yaml'), 'utf8')) as { name: string };
  const state = join(ctx.directory, 'state', '.pulumi', 'stacks', name, `${STACK}.json`);
  if (existsSync(state) && existsSync(saltFile(ctx))) return;
  const project = scratchProject(ctx);
  mkdirSync(project, { recursive: true });
  writeFileSync(join(project, 'Pulumi.yaml'), `name: ${name}\nruntime: nodejs\n`);
  rmSync(localConfigurationFile(ctx), { force: true });
  if (existsSync(state)) {
    // The salt was lost: the state holds it as well.
    const stored = JSON.parse(readFileSync(state, 'utf8')) as {
      checkpoint?: { latest?: { secrets_providers?: { state?: { salt?: string } } } };
    };
    const salt = stored.checkpoint?.latest?.secrets_providers?.state?.salt;
    if (salt !== undefined) writeFileSync(saltFile(ctx), salt, { mode: 0o600 });
    return;
  }
  await run(pulumi, ['stack', 'init', STACK, '--no-select', '--secrets-provider', 'passphrase', '--non-interactive'], {
    cwd: project,
    env: { ...env, PULUMI_STACK: undefined },
  });
  const written = parse(readFileSync(localConfigurationFile(ctx), 'utf8')) as { encryptionsalt: string };
  writeFileSync(saltFile(ctx), written.encryptionsalt, { mode: 0o600 });
}
