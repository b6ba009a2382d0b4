import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import bcrypt from 'bcryptjs';
import { stringify } from 'yaml';
import { REGISTRY_ADDRESS, REGISTRY_PORT, REGISTRY_USERNAME } from './facts.ts';
import { assertPortFree } from './ports.ts';
import { isRunning, logFilePath, startProcess, stopProcess, waitFor } from './process.ts';
import { program } from './requirements.ts';
import { secret } from './secrets.ts';
import type { Context, Health, Service } from './service.ts';

const NAME = 'registry';

/** Basic authentication, as `docker login` would send it. */
export function registryAuthorization(ctx: Pick<Context, 'directory'>): string {
  const credentials = `${REGISTRY_USERNAME}:${secret(ctx, 'registry-password')}`;
  return `Basic ${Buffer.from(credentials).toString('base64')}`;
}

async function health(ctx: Context): Promise<Health> {
  const url = `http://${REGISTRY_ADDRESS}/v2/`;
  try {
    const options = { signal: AbortSignal.timeout(3000) };
    const anonymous = await fetch(url, options);
    if (anonymous.status !== 401) return { healthy: false, detail: `answers ${anonymous.status} without a password` };
    const { status } = await fetch(url, { ...options, headers: { authorization: registryAuthorization(ctx) } });
    if (status !== 200) return { healthy: false, detail: `answers ${status} to ${REGISTRY_USERNAME}` };
    return { healthy: true, detail: 'answers, password needed' };
  } catch {
    return { healthy: false, detail: 'does not answer' };
  }
}

/** Writes the configuration; true when a running registry has to read it anew. */
async function configure(ctx: Context, directory: string): Promise<boolean> {
  mkdirSync(join(directory, 'storage'), { recursive: true, mode: 0o700 });
  const htpasswd = join(directory, 'htpasswd');
  const configuration = stringify({
    version: '0.1',
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, 'storage') }, delete: { enabled: true } },
    // Signs upload states; without one, an upload that spans a restart is refused.
    http: { addr: REGISTRY_ADDRESS, secret: secret(ctx, 'registry-http-secret') },
    auth: { htpasswd: { realm: 'development-operations', path: htpasswd } },
  });
  const password = secret(ctx, 'registry-password');
  const hash = existsSync(htpasswd) ? readFileSync(htpasswd, 'utf8').trim().split(':')[1] : undefined;
  const same = hash !== undefined && (await bcrypt.compare(password, hash));
  if (!same) writeFileSync(htpasswd, `${REGISTRY_USERNAME}:${await bcrypt.hash(password, 10)}\n`, { mode: 0o600 });
  const path = join(directory, 'config.yml');
  const unchanged = existsSync(path) && readFileSync(path, 'utf8') === configuration;
  if (!unchanged) writeFileSync(path, configuration, { mode: 0o600 });
  return !same || !unchanged;
}

/** An image registry on loopback: HTTP, as docker and containerd allow for loopback, with a password. */
export const registry: Service = {
  name: NAME,
  url: `http://${REGISTRY_ADDRESS}`,
  dependsOn: [],
  health,
  async start(ctx) {
    const directory = join(ctx.directory, 'data', NAME);
    const changed = await configure(ctx, directory);
    if (!changed && isRunning(ctx, NAME) && (await health(ctx)).healthy) return;
    await stopProcess(ctx, NAME);
    assertPortFree(REGISTRY_PORT, NAME);
    await startProcess(ctx, {
      name: NAME,
      command: program('docker-registry'),
      args: ['serve', join(directory, 'config.yml')],
      env: { PATH: process.env.PATH, HOME: directory },
      cwd: directory,
    });
    await waitFor(() => health(ctx), {
      timeoutMs: 20_000,
      what: NAME,
      logFile: logFilePath(ctx, NAME),
      alive: () => isRunning(ctx, NAME),
    });
  },
  stop: (ctx) => stopProcess(ctx, NAME),
};
