/** The environment that Pulumi commands run in. */

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { nginxBaseImage, nodeBaseImage } from './baseImages.ts';
import { createContext } from './context.ts';
import { dockerEnvironment } from './docker.ts';
import { NODE_ADDRESS, POSTGRES_ADMIN, REGISTRY_USERNAME } from './facts.ts';
import type { CertificateFiles } from './pki.ts';
import { pluginHostProviders } from './pluginHost.ts';
import { ownPluginsInstalled, pulumiHome } from './plugins.ts';
import { secret, secretPath } from './secrets.ts';
import type { Context } from './service.ts';
import { toolchainEnvironment } from './toolchainEnvironment.ts';

export const LOCAL_STACK = 'local';

/**
 * Variables to add to this process's environment for a Pulumi command on `stack`.
 *
 * `local`: the state under `.local`, its passphrase, the toolchain, the project's own plugins, and what
 * Pulumi.local.yaml refers to. Other stacks: the toolchain, and our plugins where the official ones cannot be had;
 * backend, login and passphrase stay the user's.
 */
export async function pulumiEnvironment(root: string, stack: string): Promise<Record<string, string>> {
  const ctx = createContext(root);
  const common = { ...(await toolchainEnvironment(ctx)), ...(await languageHost(ctx)) };
  if (stack !== LOCAL_STACK) {
    if (!ownPluginsInstalled(ctx)) return common;
    // Another home hides where the user is logged in, unless it is said.
    const home = process.env.PULUMI_HOME ?? join(homedir(), '.pulumi');
    return {
      ...common,
      PULUMI_HOME: pulumiHome(ctx),
      PULUMI_CREDENTIALS_PATH: process.env.PULUMI_CREDENTIALS_PATH ?? home,
    };
  }
  secret(ctx, 'pulumi-passphrase');
  return {
    ...common,
    PULUMI_HOME: pulumiHome(ctx),
    PULUMI_BACKEND_URL: backendUrl(ctx),
    PULUMI_CONFIG_PASSPHRASE_FILE: secretPath(ctx, 'pulumi-passphrase'),
    PULUMI_STACK: LOCAL_STACK,
    // A package that has neither is an error at once, not after five attempts to download it.
    ...(ownPluginsInstalled(ctx) ? { PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true' } : {}),
    ...(await pluginHostProviders(ctx)),
    ...(await stackVariables(ctx)),
  };
}

/** The language host that is built where none can be downloaded is too old for hooks of resources. */
async function languageHost(ctx: Context): Promise<Record<string, string>> {
  const tool = await ctx.tool('pulumi-language-nodejs');
  return existsSync(`${tool}-host`) ? { DEVELOPMENT_OPERATIONS_WITHOUT_HOOKS: 'true' } : {};
}

/** What Pulumi.local.yaml refers to by `{ env: … }`. */
async function stackVariables(ctx: Context): Promise<Record<string, string>> {
  // Only now: other stacks' commands do not wait for what they do not use.
  const { caFilePath } = await import('./pki.ts');
  const gateway = await gatewayCertificate(ctx);
  return {
    ...dockerEnvironment(ctx),
    DEVOPS_KUBECONFIG: kubeconfigPath(ctx),
    DEVOPS_REGISTRY_USERNAME: REGISTRY_USERNAME,
    DEVOPS_REGISTRY_PASSWORD: secret(ctx, 'registry-password'),
    DEVOPS_DATABASE_ADMIN_USERNAME: POSTGRES_ADMIN,
    DEVOPS_DATABASE_ADMIN_PASSWORD: secret(ctx, 'postgres-password'),
    DEVOPS_DATABASE_CA_FILE: caFilePath(ctx),
    DEVOPS_NODE_BASE_IMAGE: nodeBaseImage(ctx),
    DEVOPS_NGINX_BASE_IMAGE: nginxBaseImage(ctx),
    DEVOPS_NPMRC_FILE: npmrcFile(ctx),
    DEVOPS_CA_FILE: caFilePath(ctx),
    DEVOPS_GATEWAY_CERTIFICATE_FILE: gateway.certFile,
    DEVOPS_GATEWAY_KEY_FILE: gateway.keyFile,
  };
}

/** For every host that the gateway may serve on this machine. */
async function gatewayCertificate(ctx: Context): Promise<CertificateFiles> {
  const { issue } = await import('./pki.ts');
  return await issue(ctx, {
    name: 'gateway',
    commonName: 'localhost',
    // Clients do not take "*.localhost" for names below: a wildcard needs two labels after it.
    sans: ['localhost', 'orders.localhost', 'kubernetes.localhost', NODE_ADDRESS, '127.0.0.1'],
    usages: ['server'],
  });
}

function backendUrl(ctx: Context): string {
  const state = join(ctx.directory, 'state');
  mkdirSync(state, { recursive: true, mode: 0o700 });
  return `file://${state}`;
}

/** Private packages in image builds need the user's tokens; the file is handed over as a secret mount. */
function npmrcFile(ctx: Context): string {
  const own = join(homedir(), '.npmrc');
  if (existsSync(own)) return own;
  const empty = join(ctx.directory, 'secrets', 'npmrc');
  if (!existsSync(empty)) {
    mkdirSync(dirname(empty), { recursive: true, mode: 0o700 });
    writeFileSync(empty, '', { mode: 0o600 });
  }
  return empty;
}

/** The local cluster's kubeconfig; the user's own is never written. */
export function kubeconfigPath(ctx: Pick<Context, 'directory'>): string {
  return join(ctx.directory, 'kubeconfig');
}
