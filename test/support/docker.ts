/** A docker daemon for tests: the one that DOCKER_HOST names, else one of our own under a temporary directory. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { access, mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { stopChild } from './registry.ts';

const run = promisify(execFile);
const START_MS = 40_000;

export interface TestDocker {
  /** For DOCKER_HOST, e.g. `unix:///tmp/dvd-x/d.sock`. */
  readonly host: string;
  /** Runs the docker CLI against this daemon and returns what it prints. */
  docker(...args: string[]): Promise<string>;
  /** Ends the daemon and removes what it stored, where it is ours. */
  stop(): Promise<void>;
}

/** The daemon that the environment gives, or a new one. Needs root for a new one. */
export async function startDocker(): Promise<TestDocker> {
  const given = process.env.DOCKER_HOST;
  if (given) return client(given, async () => undefined);
  // Short paths: a unix socket's may have 107 characters at most.
  const directory = await mkdtemp(join(tmpdir(), 'dvd-'));
  const host = `unix://${join(directory, 'd.sock')}`;
  const log = await open(join(directory, 'log'), 'a');
  const args = [
    ...['--host', host, '--data-root', join(directory, 'data'), '--exec-root', join(directory, 'exec')],
    ...['--pidfile', join(directory, 'pid'), '--bridge', 'none', '--iptables=false', '--ip6tables=false'],
  ];
  await writeFile(join(directory, 'daemon.json'), '{}');
  // A group of its own, so that signals of the terminal do not reach it; TMPDIR keeps its leftovers in the directory.
  await mkdir(join(directory, 'tmp'));
  const child = spawn(await dockerd(), [...args, '--config-file', join(directory, 'daemon.json')], {
    stdio: ['ignore', log.fd, log.fd],
    detached: true,
    env: { ...process.env, TMPDIR: join(directory, 'tmp') },
  });
  await log.close();
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  // A test run that is cut short must not leave its daemon behind.
  const cutShort = (): boolean => child.kill('SIGTERM');
  process.once('exit', cutShort);
  const stop = async (): Promise<void> => {
    process.off('exit', cutShort);
    await stopChild(child, 20_000);
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  const docker = client(host, stop);
  try {
    await Promise.race([failed, untilAnswers(docker, child, join(directory, 'log'))]);
  } catch (error) {
    await stop();
    throw error;
  }
  return docker;
}

/** dockerd lies in sbin, which is not on every user's PATH. */
async function dockerd(): Promise<string> {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  for (const directory of directories) {
    const path = join(directory, 'dockerd');
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  throw new Error('dockerd is missing: install docker.io');
}

function client(host: string, stop: () => Promise<void>): TestDocker {
  const docker = async (...args: string[]): Promise<string> => {
    const { stdout } = await run('docker', args, {
      env: { ...process.env, DOCKER_HOST: host },
      timeout: 60_000,
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  };
  return { host, docker, stop };
}

async function untilAnswers(docker: TestDocker, child: ChildProcess, log: string): Promise<void> {
  const end = Date.now() + START_MS;
  while (Date.now() < end) {
    if (child.exitCode !== null) throw new Error(`dockerd ended: ${(await readFile(log, 'utf8')).slice(-2000)}`);
    const answered = await docker.docker('version', '--format', '{{.Server.Version}}').catch(() => '');
    if (answered.trim() !== '') return;
    await new Promise((done) => setTimeout(done, 200));
  }
  throw new Error(`dockerd did not answer in ${START_MS / 1000} s: ${(await readFile(log, 'utf8')).slice(-2000)}`);
}
