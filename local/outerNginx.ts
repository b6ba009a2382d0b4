import { chmodSync, copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONFIGURATION_FILE, install, isGenerated, liveIdentity, rotateLog } from './outerNginx/configuration.ts';
import { type Instance, instance, LISTEN_ADDRESS, NAME, PUBLIC_URL } from './outerNginx/facts.ts';
import { give, nginxCommand, prepareDirectory, testConfiguration } from './outerNginx/nginx.ts';
import { NOT_DEPLOYED, renderPlaceholder } from './outerNginx/placeholder.ts';
import { issue } from './pki.ts';
import { assertPortFree } from './ports.ts';
import { isRunning, logFilePath, startProcess, stopProcess, waitFor } from './process.ts';
import { type Context, type Health, LocalError, type Service } from './service.ts';
import { ensureSystemUser, removeSystemUser, type SystemUser } from './systemUser.ts';

/** Nobody else's processes may read its configuration, logs and key. */
const USER = 'devops-nginx';

async function health(ctx: Pick<Context, 'directory'>, at: Instance): Promise<Health> {
  if (!isRunning(ctx, at.name)) return { healthy: false, detail: 'does not run' };
  try {
    const live = await liveIdentity(at);
    return { healthy: true, detail: live === NOT_DEPLOYED ? live : `passes TLS on to the cluster, ${live}` };
  } catch {
    return { healthy: false, detail: 'does not answer' };
  }
}

/** Starts nginx with the configuration of the last deployment, or before the first with one that says so. Idempotent. */
export async function startOuterNginx(ctx: Pick<Context, 'directory'>, at: Instance): Promise<void> {
  const user = await ensureSystemUser(USER);
  prepareDirectory(at, user);
  await placeCertificate(ctx, at, user);
  if (!(await keepsGenerated(at, user))) {
    const text = renderPlaceholder({ listenAddress: LISTEN_ADDRESS, httpsPort: at.httpsPort, httpPort: at.httpPort });
    await install(ctx, at, user, text);
  }
  await rotateLog(ctx, at);
  if ((await health(ctx, at)).healthy) return;
  await stopProcess(ctx, at.name, 5000);
  for (const port of [at.httpsPort, at.httpPort]) assertPortFree(port, at.name);
  const command = nginxCommand(at, user, CONFIGURATION_FILE, []);
  await startProcess(ctx, { name: at.name, ...command, cwd: '/' });
  await waitFor(() => health(ctx, at), {
    timeoutMs: 15_000,
    what: at.name,
    logFile: logFilePath(ctx, at.name),
    alive: () => isRunning(ctx, at.name),
  });
}

/** One that this nginx does not take any more, after an upgrade or an edit, gives way to the placeholder. */
async function keepsGenerated(at: Instance, user: SystemUser): Promise<boolean> {
  if (!isGenerated(at)) return false;
  try {
    await testConfiguration(at, user, CONFIGURATION_FILE);
    return true;
  } catch {
    return false;
  }
}

/** For the page before the deployment; afterwards the gateway's own certificate is seen. */
async function placeCertificate(ctx: Pick<Context, 'directory'>, at: Instance, user: SystemUser): Promise<void> {
  const files = await issue(ctx, {
    name: NAME,
    commonName: 'localhost',
    sans: ['localhost', LISTEN_ADDRESS],
    usages: ['server'],
  });
  for (const [source, file] of [
    [files.certFile, 'tls.crt'],
    [files.keyFile, 'tls.key'],
  ] as const) {
    const target = join(at.directory, 'tls', file);
    if (existsSync(target) && readFileSync(target).equals(readFileSync(source))) continue;
    copyFileSync(source, target);
    chmodSync(target, 0o600);
    give(target, user);
  }
}

/**
 * Puts a configuration that was generated for a deployment in place, and has nginx read it.
 *
 * @param text the stack output `gateway.outerConfiguration`
 * @returns whether it was another one
 * @throws LocalError when nginx does not take it; it goes on with what it had
 */
export async function applyOuterConfiguration(
  ctx: Pick<Context, 'directory'>,
  text: string,
  at: Instance = instance(ctx),
): Promise<boolean> {
  try {
    return await install(ctx, at, await ensureSystemUser(USER), text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new LocalError(`${at.name} goes on with the configuration that it had: ${reason}`, { cause: error });
  }
}

/**
 * nginx on this machine, in front of the cluster: TLS for the names of the gateway goes on to the cluster's load
 * balancer unopened, with the client's address. Not as root; on loopback only.
 */
export const outerNginx: Service = {
  name: NAME,
  url: PUBLIC_URL,
  dependsOn: [],
  health: (ctx) => health(ctx, instance(ctx)),
  start: (ctx) => startOuterNginx(ctx, instance(ctx)),
  // SIGQUIT would wait for the last server-sent event.
  stop: (ctx) => stopProcess(ctx, NAME, 5000),
  clean: () => removeSystemUser(USER),
};
