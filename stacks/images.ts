import type * as pulumi from '@pulumi/pulumi';
import { ImageBuild } from '../components/image/imageBuild.ts';
import type { Settings } from './config.ts';
import { imageRepository } from './configuration/relations.ts';
import { imageProviders } from './providers.ts';

/** The images of each application, by target: `repository@sha256:…`. */
export type Images = Readonly<Record<string, Readonly<Record<string, pulumi.Output<string>>>>>;

/** The outputs of the stack `images`. */
export interface ImagesOutputs {
  readonly applications: Readonly<Record<string, { readonly images: Images[string] }>>;
}

/** Builds and pushes, or looks up, the images of all applications: all that CI does on a merge. */
export function deployImages(settings: Settings): ImagesOutputs {
  const images = createImages(settings, imageProviders(settings.configuration));
  return { applications: Object.fromEntries(Object.entries(images).map(([name, refs]) => [name, { images: refs }])) };
}

/** One ImageBuild for each application. */
export function createImages(settings: Settings, providers: pulumi.ProviderResource[]): Images {
  const { configuration, files } = settings;
  const create = (name: string) => {
    const application = configuration.applications[name];
    if (!application) throw new Error(`there is no application "${name}"`);
    const { images, path } = application;
    const targets = Object.entries(images.targets).map(
      ([target, { target: stage }]) =>
        [target, { repository: imageRepository(configuration, name, target), stage }] as const,
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
        labels: images.labels,
        buildOnPreview: images.buildOnPreview,
      },
      { providers },
    );
    return build.images;
  };
  return Object.fromEntries(
    Object.keys(configuration.applications)
      .sort()
      .map((name) => [name, create(name)]),
  );
}
