/** Runs a workflow of an application's repository on this machine, as GitHub would. */

import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa, type ResultPromise } from 'execa';
import { parse } from 'yaml';
import { cacheDirectory } from '../../../local/toolchain.ts';
import { type ActLog, parseActLog } from './actLog.ts';
import type { Application } from './application.ts';
import { git } from './git.ts';
import { toolRepository } from './toolRepository.ts';
import { act } from './tools.ts';

const ACTIONS = join(import.meta.dirname, 'actions');

/** What of this machine's environment a run sees, where it is set: where programs, certificates and proxies are. */
const PASSED_ON = [
  ...['PATH', 'LANG', 'TZ', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'],
  ...['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO'],
];

export interface ActOptions {
  readonly application: Application;
  /** Path in the application's repository: `.github/workflows/npm-package.yml`. */
  readonly workflow: string;
  /** See `events.ts` for the events with their payloads. */
  readonly event: { readonly name: string; readonly payload: Readonly<Record<string, unknown>> };
  /** The repository's secrets, `GITHUB_TOKEN` among them; they go to act in a file. @default none */
  readonly secrets?: Readonly<Record<string, string>>;
  /** The repository's variables (`vars.NAME`). @default none */
  readonly variables?: Readonly<Record<string, string>>;
  /**
   * Variables of the runner: what a step sees besides what the workflow gives it (PATH of a toolchain, DOCKER_HOST,
   * GITHUB_API_URL of a stand-in, GITHUB_RUN_ID). No secrets, unless it is the machine that has them. @default none
   */
  readonly environment?: Readonly<Record<string, string>>;
  /** @default 900000 */
  readonly timeoutMs?: number;
}

export interface ActResult extends ActLog {
  readonly exitCode: number;
  /** The value of an output of any step, the last one that was set; undefined when there is none. */
  value(name: string): string | undefined;
  /** Names of the secrets whose values are in `output` or a summary: masks are off, so that nothing hides behind them. */
  readonly leaked: readonly string[];
}

/**
 * Runs one workflow on what is checked out in the application's work tree. The called workflow and the composite action
 * come from this repository's work tree, third-party actions from the stand-ins; nothing is fetched. The run has its own
 * HOME and temporary folder, which are removed at its end.
 *
 * @throws when a workflow uses an action that has no stand-in, or the run takes longer than `timeoutMs`
 */
export async function runAct(options: ActOptions): Promise<ActResult> {
  const { application, workflow, event } = options;
  const home = await mkdtemp(join(tmpdir(), 'act-'));
  try {
    const tool = await toolRepository();
    const repositories = await localRepositories(join(application.directory, workflow), tool, home, application);
    const file = async (name: string, content: unknown): Promise<string> => {
      await writeFile(join(home, name), JSON.stringify(content), { mode: 0o600 });
      return join(home, name);
    };
    const secrets = options.secrets ?? {};
    const environment = options.environment ?? {};
    const args = [
      event.name,
      ...['--directory', application.directory, '--workflows', join(application.directory, workflow)],
      ...['--eventpath', await file('event.json', event.payload)],
      // JSON is YAML: values with line ends or quotes stay what they are.
      ...[
        '--secret-file',
        await file('secrets.yml', secrets),
        '--var-file',
        await file('variables.yml', options.variables ?? {}),
      ],
      ...['--env-file', join(home, 'none'), '--input-file', join(home, 'none'), '--defaultbranch', 'main'],
      ...['--platform', 'ubuntu-latest=-self-hosted', '--no-skip-checkout', '--insecure-secrets', '--json'],
      ...['--action-cache-path', join(home, 'act'), '--action-offline-mode', '--no-cache-server'],
      ...['--container-daemon-socket', '-', '--concurrent-jobs', '2'],
      ...repositories.flatMap((mapping) => ['--local-repository', mapping]),
      ...Object.entries(environment)
        .filter(([name]) => name.startsWith('GITHUB_'))
        .flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ];
    const { exitCode, text, timedOut } = await bounded(
      execa(await act(), args, {
        cwd: application.directory,
        extendEnv: false,
        env: { ...(await machine(home)), ...environment },
        stdin: 'ignore',
        reject: false,
        maxBuffer: 256 << 20,
        detached: true,
      }),
      options.timeoutMs ?? 900_000,
    );
    const log = parseActLog(text);
    if (timedOut) throw new Error(`the run of ${workflow} did not end in time:\n${log.output.slice(-4000)}`);
    const said = [log.output, ...log.summaries].join('\n');
    return {
      ...log,
      exitCode,
      value: (name) => log.outputs.findLast((output) => output.name === name)?.value,
      leaked: Object.keys(secrets).filter((name) => secrets[name] !== '' && said.includes(secrets[name] ?? '')),
    };
  } finally {
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The run's result; past `limit` milliseconds, or when this process ends first, everything that it started is ended. */
async function bounded(
  child: ResultPromise,
  limit: number,
): Promise<{ exitCode: number; text: string; timedOut: boolean }> {
  let timedOut = false;
  const end = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  };
  const timer = setTimeout(() => {
    timedOut = true;
    end();
  }, limit);
  process.once('exit', end);
  const { exitCode, stdout, stderr } = await child;
  clearTimeout(timer);
  process.off('exit', end);
  return { exitCode: exitCode ?? 1, text: `${String(stdout)}\n${String(stderr)}`, timedOut };
}

async function machine(home: string): Promise<Record<string, string>> {
  const own = join(home, 'home');
  const temporary = join(home, 'tmp');
  await mkdir(own);
  await mkdir(temporary);
  const npm = async (key: string): Promise<string> => (await execa('npm', ['config', 'get', key], { cwd: '/' })).stdout;
  await writeFile(
    join(own, '.npmrc'),
    `registry=${await npm('registry')}\ncache=${await npm('cache')}\naudit=false\nfund=false\n`,
  );
  await writeFile(join(own, '.gitconfig'), '[safe]\n\tdirectory = *\n');
  const passed = PASSED_ON.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  return {
    ...(Object.fromEntries(passed) as Record<string, string>),
    HOME: own,
    TMPDIR: temporary,
    // The tools and base images that are there already; nothing else of the machine's home.
    XDG_CACHE_HOME: dirname(cacheDirectory()),
  };
}

/** `owner/name@ref=folder` for everything that the workflow and what it calls uses. */
async function localRepositories(
  file: string,
  tool: string,
  home: string,
  application: Application,
): Promise<string[]> {
  const head = await git(application.directory, 'rev-parse', 'HEAD');
  const harness = {
    repositories: { [application.repository]: application.directory },
    tool,
    artifacts: application.artifacts,
    head,
  };
  const mappings = new Map<string, string>();
  for (const used of await usesOf(file, tool)) {
    const [name = '', ref = ''] = used.split('@');
    const [owner, repository = '', ...inside] = name.split('/');
    const key = `${owner}/${repository}@${ref}`;
    if (inside[0] === '.github') mappings.set(key, tool);
    else if (owner === 'actions' && existsSync(join(ACTIONS, repository))) {
      const folder = join(home, 'actions', repository);
      await cp(join(ACTIONS, repository), folder, { recursive: true });
      await cp(join(ACTIONS, 'shared.cjs'), join(folder, 'shared.cjs'));
      await writeFile(join(folder, 'harness.json'), JSON.stringify(harness));
      mappings.set(key, folder);
    } else throw new Error(`${used} has no stand-in: write one into test/workflows/support/actions/${repository}`);
  }
  return [...mappings].map(([key, folder]) => `${key}=${folder}`);
}

/** Every `uses:` of the workflow, of this repository's workflows that it calls, and of its composite actions. */
async function usesOf(file: string, tool: string): Promise<Set<string>> {
  const found = new Set<string>();
  const actions = join(tool, '.github', 'actions');
  const composites = existsSync(actions)
    ? (await readdir(actions)).map((name) => join(actions, name, 'action.yml'))
    : [];
  const files = [file, ...composites];
  for (let path = files.pop(); path !== undefined; path = files.pop()) {
    for (const used of collect(parse(await readFile(path, 'utf8')))) {
      if (used.startsWith('./') || found.has(used)) continue;
      found.add(used);
      const called = /^[^/]+\/[^/]+\/(\.github\/workflows\/[^@]+)@/.exec(used)?.[1];
      if (called !== undefined) files.push(join(tool, called));
    }
  }
  return found;
}

function collect(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(collect);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'uses' && typeof inner === 'string' ? [inner] : collect(inner),
  );
}
