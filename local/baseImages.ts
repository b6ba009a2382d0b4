import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildRootFileSystem } from './baseImages/rootFileSystem.ts';
import { dockerEnvironment } from './docker.ts';
import { isNodeOwner, REGISTRY_ADDRESS, REGISTRY_USERNAME } from './facts.ts';
import { registryAuthorization } from './registry.ts';
import { run, tryRun } from './run.ts';
import { secret } from './secrets.ts';
import { type Context, type Health, LocalError, type Service } from './service.ts';
import { cacheDirectory } from './toolchain.ts';

const NAME = 'base-images';
const NODE_MAJOR = process.versions.node.split('.')[0] ?? '';
const PUBLIC_IMAGE = `docker.io/library/node:${NODE_MAJOR}-bookworm-slim`;
const REPOSITORY = 'base/node';
const OWN_IMAGE = `${REGISTRY_ADDRESS}/${REPOSITORY}:${NODE_MAJOR}`;
const DAY_MS = 24 * 60 * 60 * 1000;

function choiceFile(ctx: Pick<Context, 'directory'>): string {
  return join(ctx.directory, 'run', 'base-image');
}

/** The image that Dockerfiles start from: Docker Hub's where it can be pulled, else one made here. */
export function nodeBaseImage(ctx: Pick<Context, 'directory'>): string {
  return existsSync(choiceFile(ctx)) ? readFileSync(choiceFile(ctx), 'utf8').trim() : PUBLIC_IMAGE;
}

function choose(ctx: Context, image: string): void {
  mkdirSync(dirname(choiceFile(ctx)), { recursive: true });
  writeFileSync(choiceFile(ctx), image);
}

async function health(ctx: Context): Promise<Health> {
  const image = nodeBaseImage(ctx);
  if (!existsSync(choiceFile(ctx))) return { healthy: false, detail: 'was never made' };
  if (image === PUBLIC_IMAGE) return { healthy: true, detail: image };
  const there = await inRegistry(ctx);
  return { healthy: there, detail: there ? image : `${image} is not in the registry` };
}

async function inRegistry(ctx: Context): Promise<boolean> {
  try {
    const response = await fetch(`http://${REGISTRY_ADDRESS}/v2/${REPOSITORY}/manifests/${NODE_MAJOR}`, {
      method: 'HEAD',
      headers: {
        authorization: registryAuthorization(ctx),
        accept: 'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json',
      },
      signal: AbortSignal.timeout(3000),
    });
    return response.ok;
  } catch {
    return false;
  }
}

/** Asked again after a day: a laptop may have been offline. */
function publicWasUnreachable(): boolean {
  try {
    return Date.now() - Number(readFileSync(unreachableFile(), 'utf8')) < DAY_MS;
  } catch {
    return false;
  }
}

function unreachableFile(): string {
  return join(cacheDirectory(), 'docker-hub-unreachable');
}

async function pullPublic(ctx: Context): Promise<boolean> {
  const env = dockerEnvironment(ctx);
  if ((await tryRun('docker', ['image', 'inspect', PUBLIC_IMAGE], { env })) !== undefined) return true;
  // dockerd itself waits 15 s for a registry that does not answer; a slow line gets its time once it has answered.
  const reachable = await tryRun(
    'curl',
    ['-sS', '-o', '/dev/null', '--connect-timeout', '5', 'https://registry-1.docker.io/v2/'],
    {
      timeoutMs: 15_000,
    },
  );
  if (reachable === undefined) return false;
  return (await tryRun('docker', ['pull', '--quiet', PUBLIC_IMAGE], { env, timeoutMs: 10 * 60_000 })) !== undefined;
}

async function start(ctx: Context): Promise<void> {
  const wasPublic = existsSync(choiceFile(ctx)) && nodeBaseImage(ctx) === PUBLIC_IMAGE;
  if (wasPublic || !publicWasUnreachable()) {
    const pulled = await ctx.progress.step(`base image: pulling ${PUBLIC_IMAGE}`, () => pullPublic(ctx));
    if (pulled) {
      choose(ctx, PUBLIC_IMAGE);
      return;
    }
    mkdirSync(cacheDirectory(), { recursive: true });
    writeFileSync(unreachableFile(), String(Date.now()));
  }
  if (!isNodeOwner()) {
    throw new LocalError(`${PUBLIC_IMAGE} cannot be pulled; check the network, then run: docker pull ${PUBLIC_IMAGE}`);
  }
  choose(ctx, OWN_IMAGE);
  const tarball = await buildRootFileSystem(ctx);
  const same = existsSync(pushedFile(ctx)) && readFileSync(pushedFile(ctx), 'utf8') === tarball;
  if (same && (await inRegistry(ctx))) return;
  await push(ctx, tarball);
  writeFileSync(pushedFile(ctx), tarball);
}

/** Which root file system is in the registry. */
function pushedFile(ctx: Pick<Context, 'directory'>): string {
  return join(ctx.directory, 'run', 'base-image.pushed');
}

async function push(ctx: Context, tarball: string): Promise<void> {
  const env = dockerEnvironment(ctx);
  await ctx.progress.step(`base image: pushing ${OWN_IMAGE}`, async (report) => {
    report('import');
    await run(
      'docker',
      [
        'import',
        '--change',
        'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        '--change',
        `ENV NODE_VERSION=${process.versions.node}`,
        // node has a list of authorities of its own.
        '--change',
        'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt',
        '--change',
        'CMD ["node"]',
        tarball,
        OWN_IMAGE,
      ],
      { env, timeoutMs: 5 * 60_000 },
    );
    report('push');
    // A docker configuration for this push only: the user's own is not written, and the password is no argument.
    const config = join(ctx.directory, 'secrets', 'docker');
    mkdirSync(config, { recursive: true, mode: 0o700 });
    const auth = Buffer.from(`${REGISTRY_USERNAME}:${secret(ctx, 'registry-password')}`).toString('base64');
    writeFileSync(join(config, 'config.json'), JSON.stringify({ auths: { [REGISTRY_ADDRESS]: { auth } } }), {
      mode: 0o600,
    });
    await run('docker', ['push', '--quiet', OWN_IMAGE], {
      env: { ...env, DOCKER_CONFIG: config },
      timeoutMs: 5 * 60_000,
    });
  });
}

/** What Dockerfiles start from, on machines that cannot pull public images as well. */
export const baseImages: Service = {
  name: NAME,
  url: REGISTRY_ADDRESS,
  dependsOn: ['docker', 'registry'],
  health,
  start,
  // An image is no process.
  stop: async () => undefined,
};
