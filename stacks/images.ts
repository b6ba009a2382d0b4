import { join } from 'node:path';
import type * as pulumi from '@pulumi/pulumi';
import { ImageBuild } from '../components/image/imageBuild.ts';
import type { ApplicationConfiguration, ImagesConfiguration, OperationsApiConfiguration, Settings } from './config.ts';
import { imageRepository, OPERATIONS_API } from './configuration/relations.ts';
import { imageProviders } from './providers.ts';

/** The images of each application, by target: `repository@sha256:…`. */
export type Images = Readonly<Record<string, Readonly<Record<string, pulumi.Output<string>>>>>;

/** The outputs of the stack `images`. */
export interface ImagesOutputs {
  readonly applications: Readonly<Record<string, { readonly images: Images[string] }>>;
  readonly operationsApi?: { readonly images: Images[string] };
}

/** Builds and pushes, or looks up, the images of all applications: all that CI does on a merge. */
export function deployImages(settings: Settings): ImagesOutputs {
  const providers = imageProviders(settings.configuration);
  const images = createImages(settings, providers);
  const api = settings.configuration.operationsApi;
  return {
    applications: Object.fromEntries(Object.entries(images).map(([name, refs]) => [name, { images: refs }])),
    ...(api && { operationsApi: { images: buildImages(settings, operationsApiSource(api), providers) } }),
  };
}

/** The operations API is built from this repository. */
export function operationsApiSource({ images }: Pick<OperationsApiConfiguration, 'images'>): ImageSource {
  return { name: OPERATIONS_API, path: 'api', images };
}

/** One ImageBuild for each application. */
export function createImages(settings: Settings, providers: pulumi.ProviderResource[]): Images {
  const create = ([name, { images, path }]: [string, ApplicationConfiguration]) => {
    const { source } = settings.configuration;
    return [name, buildImages(settings, { name, path: join(settings.root, path), images, source }, providers)] as const;
  };
  const applications = Object.entries(settings.configuration.applications).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(applications.map(create));
}

/** What images are made of. */
export interface ImageSource {
  readonly name: string;
  /** Folder of the build context. */
  readonly path: string;
  readonly images: ImagesConfiguration;
  /** Address of the repository: a label. @default none */
  readonly source?: string;
}

/** Builds and pushes, or looks up, the images of one source. */
export function buildImages(
  { configuration, files, missingImages }: Settings,
  { name, path, images, source }: ImageSource,
  providers: pulumi.ProviderResource[],
): Images[string] {
  const targets = Object.entries(images.targets).map(
    ([target, { target: stage, dockerfile }]) =>
      [
        target,
        {
          repository: imageRepository(configuration, { name, images }, target),
          stage,
          dockerfile: dockerfile && `${path}/${dockerfile}`,
        },
      ] as const,
  );
  const build = new ImageBuild(
    name,
    {
      mode: images.mode,
      targets: Object.fromEntries(targets),
      tag: images.tag ?? configuration.environment,
      context: path,
      dockerfile: images.dockerfile && `${path}/${images.dockerfile}`,
      buildArguments: images.buildArguments,
      secrets: files.buildSecrets[name],
      platforms: images.platforms,
      cache: images.cache,
      labels: { ...(source && { 'org.opencontainers.image.source': source }), ...images.labels },
      buildOnPreview: images.buildOnPreview,
      mayBeMissing: missingImages,
    },
    { providers },
  );
  return build.images;
}
