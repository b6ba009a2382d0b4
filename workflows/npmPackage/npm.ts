/** The npm client: registries with a token that is in no argument, and commands without any secret. */

import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

/** Environment variable of the token for the registry. */
export const TOKEN_VARIABLE = 'REGISTRY_TOKEN';

/** What code of the package, and of its dependencies, may not see: tokens, and the right to ask for one. */
const HIDDEN = [TOKEN_VARIABLE, 'GITHUB_TOKEN', 'NODE_AUTH_TOKEN', 'NPM_TOKEN'];
const HIDDEN_PREFIX = 'ACTIONS_';

/** This process's environment without secrets, and without what the `npm run` around it has set. */
export function plainEnvironment(environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const hidden = (name: string): boolean => HIDDEN.includes(name) || name.startsWith(HIDDEN_PREFIX);
  const ofNpm = (name: string): boolean => name.startsWith('npm_') && name !== 'npm_config_registry';
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !hidden(name) && !ofNpm(name)));
}

export interface Registry {
  /** Ends in a slash. */
  readonly url: string;
  /** Scopes with @ that are looked for there; those that the project's own .npmrc names stay as they are there. */
  readonly scopes: readonly string[];
  readonly token: string | undefined;
}

/** The address as npm compares it: with a slash at its end. */
export const registryUrl = (text: string): string => (text.endsWith('/') ? text : `${text}/`);

/** `@example/orders-client` → `@example`; nothing for a name without a scope. */
export const scopeOf = (name: string): string[] => (name.startsWith('@') ? [name.slice(0, name.indexOf('/'))] : []);

/**
 * Does `work` with a file for NPM_CONFIG_USERCONFIG that holds the registry's token, readable by this user only and
 * removed at the end. What the user's own file says stays valid.
 */
export async function withRegistry<T>(registry: Registry, work: (userconfig: string) => Promise<T>): Promise<T> {
  const own = process.env.NPM_CONFIG_USERCONFIG ?? process.env.npm_config_userconfig ?? join(homedir(), '.npmrc');
  const before = existsSync(own) ? await readFile(own, 'utf8') : '';
  const key = registry.url.replace(/^https?:/, '');
  const lines = [
    before.trimEnd(),
    ...registry.scopes.map((scope) => `${scope}:registry=${registry.url}`),
    ...(registry.token ? [`${key}:_authToken=${registry.token}`] : []),
  ];
  const directory = await mkdtemp(join(tmpdir(), 'npm-'));
  try {
    const file = join(directory, 'npmrc');
    await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 });
    return await work(file);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export interface NpmOptions {
  readonly cwd: string;
  /** From `withRegistry`; without it npm has no token. */
  readonly userconfig?: string;
  /** Whether the output is shown as it comes, and not kept. @default false */
  readonly show?: boolean;
  /** @default none */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export interface NpmResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs npm to its end; its failure is a result. A registry that does not answer is asked three times in a few seconds. */
export async function npm(args: readonly string[], options: NpmOptions): Promise<NpmResult> {
  const { cwd, userconfig, show = false, environment = {} } = options;
  const patience = ['--fetch-retries=2', '--fetch-retry-mintimeout=500', '--fetch-retry-maxtimeout=3000'];
  const { exitCode, stdout, stderr } = await execa('npm', [...args, ...patience, '--no-update-notifier'], {
    cwd,
    env: { ...plainEnvironment(), ...(userconfig ? { NPM_CONFIG_USERCONFIG: userconfig } : {}), ...environment },
    extendEnv: false,
    stdin: 'ignore',
    stdout: show ? 'inherit' : 'pipe',
    stderr: show ? 'inherit' : 'pipe',
    reject: false,
  });
  return { exitCode: exitCode ?? 1, stdout: stdout ?? '', stderr: stderr ?? '' };
}
