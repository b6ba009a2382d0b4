/** A real image registry (docker-registry, htpasswd authentication) on a free loopback port, for tests. */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hash } from 'bcryptjs';
import { stringify } from 'yaml';
import { startTokenServer } from './tokenServer.ts';

const START_MS = 20_000;

export interface TestRegistry {
  /** `127.0.0.1:<port>`. */
  readonly address: string;
  readonly username: string;
  readonly password: string;
  /** The scopes of the tokens that were asked for. */
  readonly scopes: readonly string[];
  /** Calls the registry's HTTP API with the right credentials (basic authentication only). */
  request(method: string, path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** Ends the registry and removes what it stored. */
  stop(): Promise<void>;
}

/** A port of 127.0.0.1 that nothing listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', done);
  });
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

/** Ends a child process and waits for it; SIGKILL after `graceMs`. */
export async function stopChild(child: ChildProcess, graceMs = 10_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await ended;
  clearTimeout(timer);
}

export interface RegistryOptions {
  /** `htpasswd`: basic authentication; `token`: an authorization server that hands out bearer tokens. @default htpasswd */
  readonly authentication?: 'htpasswd' | 'token';
}

/** Starts a registry with one user and a random password. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const directory = await mkdtemp(join(tmpdir(), 'dvr-'));
  const username = 'tester';
  const password = `pw-${randomBytes(12).toString('hex')}`;
  const address = `127.0.0.1:${await freePort()}`;
  await writeFile(join(directory, 'htpasswd'), `${username}:${await hash(password, 4)}\n`);
  const tokens = options.authentication === 'token' ? await startTokenServer(directory, username, password) : undefined;
  const config = {
    version: 0.1,
    log: { level: 'warn' },
    storage: { filesystem: { rootdirectory: join(directory, 'data') }, delete: { enabled: true } },
    http: { addr: address, secret: randomBytes(16).toString('hex') },
    auth: tokens?.auth ?? { htpasswd: { realm: 'test', path: join(directory, 'htpasswd') } },
  };
  await writeFile(join(directory, 'config.yml'), stringify(config));
  const child = spawn('docker-registry', ['serve', join(directory, 'config.yml')], { stdio: 'ignore' });
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  // A test run that is cut short must not leave its registry behind.
  const cutShort = (): boolean => child.kill('SIGTERM');
  process.once('exit', cutShort);
  const stop = async (): Promise<void> => {
    process.off('exit', cutShort);
    await Promise.all([stopChild(child), tokens?.close()]);
    await rm(directory, { recursive: true, force: true });
  };
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  const request: TestRegistry['request'] = (method, path, headers = {}) =>
    fetch(`http://${address}${path}`, { method, headers: { authorization, ...headers } });
  try {
    await Promise.race([failed, untilAnswers(() => request('GET', '/v2/'), tokens ? 401 : 200, child)]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { address, username, password, scopes: tokens?.scopes ?? [], request, stop };
}

async function untilAnswers(ask: () => Promise<Response>, status: number, child: ChildProcess): Promise<void> {
  const end = Date.now() + START_MS;
  while (Date.now() < end) {
    if (child.exitCode !== null) throw new Error(`docker-registry ended with exit code ${child.exitCode}`);
    const answer = await ask().catch(() => undefined);
    if (answer?.status === status) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`docker-registry did not answer in ${START_MS / 1000} s`);
}
