/** An application whose images need a private package, for the tests of docker-image.yml. */

import { randomBytes } from 'node:crypto';
import { execa } from 'execa';
import { parse, stringify } from 'yaml';
import { nodeBaseImage } from '../../../local/baseImages.ts';
import { createContext } from '../../../local/context.ts';
import { dockerEnvironment } from '../../../local/docker.ts';
import { REGISTRY_ADDRESS } from '../../../local/facts.ts';
import { registryAuthorization } from '../../../local/registry.ts';
import { type Application, createApplication } from './application.ts';

/** Two images that share nothing but their base: small, so that a build takes seconds. */
const DOCKERFILE = `ARG BASE_IMAGE
FROM \${BASE_IMAGE} AS main
WORKDIR /app
COPY package.json ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc \\
    npm install --omit=dev --ignore-scripts --no-audit --no-fund --no-package-lock
COPY src src
CMD ["node", "src/main.js"]

FROM \${BASE_IMAGE} AS migrations
WORKDIR /app
COPY migrations migrations
CMD ["node", "--version"]
`;

const MAIN = `import { OrdersClient } from '@example/orders-client';
console.log(typeof OrdersClient);
`;

const PACKAGE = {
  name: 'shop',
  version: '1.0.0',
  private: true,
  type: 'module',
  dependencies: { '@example/orders-client': '0.1.0' },
};

export interface ImagesApplication extends Application {
  /** Repositories of its own in the local registry: `w` and 6 hexadecimal digits. */
  readonly prefix: string;
  /** Repository of `main` or `migrations`, without the registry. */
  path(target: string): string;
  /** The registry's API, as its user. */
  registry(method: string, path: string, accept?: string): Promise<Response>;
  /** Changes `Pulumi.images.yaml` below the application's `images`. */
  configure(change: (images: Record<string, unknown>) => void): Promise<void>;
}

/**
 * A copy of the example with its `Pulumi.images.yaml` for the local registry, and smaller images: `main`, which needs
 * `@example/orders-client`, and `migrations`. `remove` takes what was pushed out of the registry.
 */
export async function createImagesApplication(): Promise<ImagesApplication> {
  const context = createContext();
  const prefix = `w${randomBytes(3).toString('hex')}`;
  const application = await createApplication();
  await application.write('Dockerfile', DOCKERFILE);
  await application.git('rm', '--quiet', 'package-lock.json');
  await application.write('package.json', JSON.stringify(PACKAGE));
  await application.write('.dockerignore', '*\n!migrations\n');
  await application.write('main.Dockerfile.dockerignore', '*\n!package.json\n!src/main.js\n');
  await application.write('src/main.js', MAIN);
  const edit = (change: (config: Record<string, Record<string, unknown>>) => void) =>
    application.edit('Pulumi.images.yaml', (text) => {
      const file = parse(text) as { config: Record<string, Record<string, unknown>> };
      change(file.config);
      return stringify(file);
    });
  await edit((config) => {
    Object.assign(config['development-operations:registry'] ?? {}, {
      server: REGISTRY_ADDRESS,
      repositoryPrefix: prefix,
    });
  });
  const configure = (change: (images: Record<string, unknown>) => void) =>
    edit((config) => {
      const { orders } = config['development-operations:applications'] as {
        orders: { images: Record<string, unknown> };
      };
      change(orders.images);
    });
  await configure((images) => {
    images.buildArguments = { BASE_IMAGE: nodeBaseImage(context) };
  });
  await application.commit('feat: small images');
  const registry = async (method: string, path: string, accept = MANIFESTS): Promise<Response> =>
    await fetch(`http://${REGISTRY_ADDRESS}/v2/${path}`, {
      method,
      headers: { authorization: registryAuthorization(context), accept },
    });
  const path = (target: string): string => `${prefix}/${target === 'main' ? 'orders' : `orders-${target}`}`;
  return {
    ...application,
    prefix,
    path,
    registry,
    configure,
    async remove() {
      await removeFromDocker(`${REGISTRY_ADDRESS}/${prefix}/*`, dockerEnvironment(context));
      for (const target of ['main', 'migrations']) await removeRepository(registry, path(target));
      await application.remove();
    },
  };
}

const MANIFESTS = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/** What docker keeps of what it has built and pushed: tags, and references by digest. */
async function removeFromDocker(repositories: string, env: Readonly<Record<string, string>>): Promise<void> {
  const format = '{{.Repository}}:{{.Tag}} {{.Repository}}@{{.Digest}}';
  const list = ['image', 'ls', '--digests', '--filter', `reference=${repositories}`, '--format', format];
  const { stdout } = await execa('docker', list, { env });
  const names = stdout.split(/\s+/).filter((name) => name !== '' && !name.includes('<none>'));
  if (names.length > 0) await execa('docker', ['image', 'rm', '--force', ...new Set(names)], { env, reject: false });
}

async function removeRepository(registry: ImagesApplication['registry'], path: string): Promise<void> {
  const answer = await registry('GET', `${path}/tags/list`);
  if (answer.status === 404) return;
  const { tags } = (await answer.json()) as { tags: string[] | null };
  for (const tag of tags ?? []) {
    const found = await registry('HEAD', `${path}/manifests/${tag}`);
    const digest = found.headers.get('docker-content-digest');
    if (digest) await registry('DELETE', `${path}/manifests/${digest}`);
  }
}
