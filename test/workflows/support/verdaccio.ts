/** A real npm registry (verdaccio) with passwords, in the part of a private package registry. */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { stringify } from 'yaml';
import { freePort, stopChild } from '../../support/registry.ts';

const START_MS = 120_000;

export interface VerdaccioOptions {
  /** Address that it listens on; pods and image builds reach only one that is not loopback. @default 127.0.0.1 */
  readonly host?: string;
}

export interface Verdaccio {
  /** `http://127.0.0.1:PORT/` */
  readonly url: string;
  /** A token of a user who may publish `@example/*`. */
  readonly publisher: string;
  /** A token of a user who may install `@example/*`, no more. */
  readonly reader: string;
  /** What is published under a name, as the registry describes it; undefined when nothing is. */
  packument(name: string): Promise<Packument | undefined>;
  /** Ends it and removes what it stored. */
  stop(): Promise<void>;
}

export interface Packument {
  readonly 'dist-tags': Readonly<Record<string, string>>;
  readonly versions: Readonly<
    Record<string, { readonly dist: { readonly integrity: string; readonly tarball: string } }>
  >;
}

/**
 * Starts a registry that nobody uses without a token: `@example/*` is its own, everything else it takes from the
 * registry that npm is configured with.
 *
 * @throws with its log when it does not answer in two minutes
 */
export async function startVerdaccio({ host = '127.0.0.1' }: VerdaccioOptions = {}): Promise<Verdaccio> {
  const directory = await mkdtemp(join(tmpdir(), 'verdaccio-'));
  const url = `http://${host}:${await freePort()}/`;
  const { stdout: ordinary } = await execa('npm', ['config', 'get', 'registry'], { cwd: '/' });
  const config = {
    storage: join(directory, 'storage'),
    listen: url,
    web: { enable: false },
    auth: { htpasswd: { file: join(directory, 'htpasswd'), algorithm: 'bcrypt', rounds: 4 } },
    uplinks: { ordinary: { url: ordinary, timeout: '60s', max_fails: 10 } },
    packages: {
      '@example/*': { access: '$authenticated', publish: 'publisher' },
      '**': { access: '$all', proxy: 'ordinary' },
    },
    // Of the user only: nothing is written elsewhere.
    log: { type: 'file', path: join(directory, 'log'), format: 'json', level: 'warn' },
  };
  await writeFile(join(directory, 'config.yaml'), stringify(config));
  const child = spawn(process.execPath, [program(), '--config', join(directory, 'config.yaml')], {
    cwd: directory,
    stdio: 'ignore',
    env: { ...process.env, HOME: directory },
  });
  const cutShort = (): boolean => child.kill('SIGTERM');
  process.once('exit', cutShort);
  const stop = async (): Promise<void> => {
    process.off('exit', cutShort);
    await stopChild(child);
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await untilAnswers(url, child, join(directory, 'log'));
    const publisher = await addUser(url, 'publisher');
    const reader = await addUser(url, 'reader');
    const packument = async (name: string): Promise<Packument | undefined> => {
      const answer = await fetch(new URL(name.replace('/', '%2f'), url), {
        headers: { authorization: `Bearer ${publisher}` },
      });
      if (answer.status === 404) return undefined;
      if (!answer.ok) throw new Error(`${name} in ${url}: ${answer.status} ${await answer.text()}`);
      return (await answer.json()) as Packument;
    };
    return { url, publisher, reader, packument, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function program(): string {
  const manifest = createRequire(import.meta.url).resolve('verdaccio/package.json');
  return join(dirname(manifest), 'bin', 'verdaccio');
}

async function untilAnswers(url: string, child: ChildProcess, log: string): Promise<void> {
  const end = Date.now() + START_MS;
  let ended = child.exitCode !== null;
  child.once('exit', () => {
    ended = true;
  });
  while (!ended && Date.now() < end) {
    const answer = await fetch(new URL('-/ping', url)).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  const said = await readFile(log, 'utf8').catch(() => '');
  throw new Error(`verdaccio ${ended ? `ended with ${child.exitCode}` : 'did not answer'}: ${said.slice(-2000)}`);
}

async function addUser(url: string, name: string): Promise<string> {
  const answer = await fetch(new URL(`-/user/org.couchdb.user:${name}`, url), {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, password: randomBytes(16).toString('hex') }),
  });
  const { token } = (await answer.json()) as { token?: string };
  if (token === undefined) throw new Error(`verdaccio gave ${name} no token (${answer.status})`);
  return token;
}
