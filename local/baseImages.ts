import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  buildRootFileSystem,
  NGINX_ROOT,
  NODE_ROOT,
  NODE_VERSION,
  type RootFileSystem,
  releaseName,
} from './baseImages/rootFileSystem.ts';
import { dockerEnvironment } from './docker.ts';
import { isNodeOwner, REGISTRY_ADDRESS, REGISTRY_USERNAME } from './facts.ts';
import { registryAuthorization } from './registry.ts';
import { run, tryRun } from './run.ts';
import { secret } from './secrets.ts';
import { type Context, type Health, LocalError, type Service } from './service.ts';
import { cacheDirectory } from './toolchain.ts';

const NAME = 'base-images';
const NODE_MAJOR = NODE_VERSION.split('.')[0] ?? '';
const DAY_MS = 24 * 60 * 60 * 1000;
const PATH = 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

interface BaseImage {
  /** Taken where it can be pulled. */
  readonly publicImage: string;
  /** Name and tag of our own in the local registry. */
  readonly repository: string;
  readonly tag: string;
  readonly root: RootFileSystem;
  /** Instructions of a Dockerfile. */
  readonly changes: readonly string[];
  /** Name of the file in `.local/run` that says which was chosen. */
  readonly choice: string;
}

const NODE: BaseImage = {
  publicImage: `docker.io/library/node:${NODE_MAJOR}-bookworm-slim`,
  repository: 'base/node',
  tag: NODE_MAJOR,
  root: NODE_ROOT,
  changes: [
    PATH,
    `ENV NODE_VERSION=${NODE_VERSION}`,
    // node has a list of authorities of its own.
    'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt',
    'CMD ["node"]',
  ],
  choice: 'base-image',
};

const NGINX: BaseImage = {
  publicImage: 'docker.io/nginxinc/nginx-unprivileged:stable',
  repository: 'base/nginx',
  // Read when it is needed: there is no such file on macOS.
  get tag() {
    return releaseName();
  },
  root: NGINX_ROOT,
  changes: [PATH, 'CMD ["nginx", "-g", "daemon off;"]'],
  choice: 'base-image-nginx',
};

const IMAGES = [NODE, NGINX];

function ownName({ repository, tag }: BaseImage): string {
  return `${REGISTRY_ADDRESS}/${repository}:${tag}`;
}

function choiceFile(ctx: Pick<Context, 'directory'>, { choice }: BaseImage): string {
  return join(ctx.directory, 'run', choice);
}

function chosen(ctx: Pick<Context, 'directory'>, image: BaseImage): string | undefined {
  const file = choiceFile(ctx, image);
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

/** The image that Dockerfiles start from: Docker Hub's where it can be pulled, else one made here. */
export function nodeBaseImage(ctx: Pick<Context, 'directory'>): string {
  return chosen(ctx, NODE) ?? NODE.publicImage;
}

/** The image of gateways: Docker Hub's where it can be pulled, else one made here of the distribution's nginx. */
export function nginxBaseImage(ctx: Pick<Context, 'directory'>): string {
  return chosen(ctx, NGINX) ?? NGINX.publicImage;
}

function choose(ctx: Context, image: BaseImage, name: string): void {
  mkdirSync(dirname(choiceFile(ctx, image)), { recursive: true });
  writeFileSync(choiceFile(ctx, image), name);
}

async function health(ctx: Context): Promise<Health> {
  for (const image of IMAGES) {
    const name = chosen(ctx, image);
    if (name === undefined) return { healthy: false, detail: `${ownName(image)} was never made` };
    if (name !== image.publicImage && !(await inRegistry(ctx, image)))
      return { healthy: false, detail: `${name} is not in the registry` };
  }
  return { healthy: true, detail: IMAGES.map((image) => chosen(ctx, image)).join(', ') };
}

async function inRegistry(ctx: Context, { repository, tag }: BaseImage): Promise<boolean> {
  try {
    const response = await fetch(`http://${REGISTRY_ADDRESS}/v2/${repository}/manifests/${tag}`, {
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

async function pullPublic(ctx: Context, image: string): Promise<boolean> {
  const env = dockerEnvironment(ctx);
  if ((await tryRun('docker', ['image', 'inspect', image], { env })) !== undefined) return true;
  // dockerd itself waits 15 s for a registry that does not answer; a slow line gets its time once it has answered.
  const reachable = await tryRun(
    'curl',
    ['-sS', '-o', '/dev/null', '--connect-timeout', '5', 'https://registry-1.docker.io/v2/'],
    {
      timeoutMs: 15_000,
    },
  );
  if (reachable === undefined) return false;
  return (await tryRun('docker', ['pull', '--quiet', image], { env, timeoutMs: 10 * 60_000 })) !== undefined;
}

async function start(ctx: Context): Promise<void> {
  for (const image of IMAGES) await provide(ctx, image);
}

async function provide(ctx: Context, image: BaseImage): Promise<void> {
  const wasPublic = chosen(ctx, image) === image.publicImage;
  if (wasPublic || !publicWasUnreachable()) {
    const { publicImage } = image;
    const pulled = await ctx.progress.step(`base image: pulling ${publicImage}`, () => pullPublic(ctx, publicImage));
    if (pulled) {
      choose(ctx, image, publicImage);
      return;
    }
    mkdirSync(cacheDirectory(), { recursive: true });
    writeFileSync(unreachableFile(), String(Date.now()));
  }
  if (!isNodeOwner()) {
    throw new LocalError(
      `${image.publicImage} cannot be pulled; check the network, then run: docker pull ${image.publicImage}`,
    );
  }
  choose(ctx, image, ownName(image));
  const tarball = await buildRootFileSystem(ctx, image.root);
  const pushed = pushedFile(ctx, image);
  const same = existsSync(pushed) && readFileSync(pushed, 'utf8') === tarball;
  if (same && (await inRegistry(ctx, image))) return;
  await push(ctx, image, tarball);
  writeFileSync(pushed, tarball);
}

/** Which root file system is in the registry. */
function pushedFile(ctx: Pick<Context, 'directory'>, image: BaseImage): string {
  return `${choiceFile(ctx, image)}.pushed`;
}

async function push(ctx: Context, image: BaseImage, tarball: string): Promise<void> {
  const env = dockerEnvironment(ctx);
  const name = ownName(image);
  await ctx.progress.step(`base image: pushing ${name}`, async (report) => {
    report('import');
    const changes = image.changes.flatMap((change) => ['--change', change]);
    await run('docker', ['import', ...changes, tarball, name], { env, timeoutMs: 5 * 60_000 });
    report('push');
    // A docker configuration for this push only: the user's own is not written, and the password is no argument.
    const config = join(ctx.directory, 'secrets', 'docker');
    mkdirSync(config, { recursive: true, mode: 0o700 });
    const auth = Buffer.from(`${REGISTRY_USERNAME}:${secret(ctx, 'registry-password')}`).toString('base64');
    writeFileSync(join(config, 'config.json'), JSON.stringify({ auths: { [REGISTRY_ADDRESS]: { auth } } }), {
      mode: 0o600,
    });
    await run('docker', ['push', '--quiet', name], {
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
