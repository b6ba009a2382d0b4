import { getRegistryImage, getRegistryImageOutput } from '@pulumi/docker/getRegistryImage.js';
import type { ImageArgs } from '@pulumi/docker-build';
import { Image } from '@pulumi/docker-build/image.js';
import type { Platform } from '@pulumi/docker-build/types/enums/index.js';
import * as pulumi from '@pulumi/pulumi';
import { type Finding, refuse } from '../findings.ts';
import { labelProblem } from '../kubernetes/names.ts';
import { referenceByDigest, repositoryProblem, tagProblem } from './reference.ts';

/** One image of an application. */
export interface ImageTarget {
  /** Repository with its registry, without tag: `registry.example.com/team/orders`. */
  readonly repository: string;
  /** Stage of the Dockerfile that is built. @default the name of the target */
  readonly stage?: string;
  /** Path of its own Dockerfile. With a `.dockerignore` beside it only its own files make it build. @default the build's */
  readonly dockerfile?: string;
}

export interface ImageBuildArguments {
  /** `build`: build and push; `existing`: look up the tag in the registry and use what is there. */
  readonly mode: 'build' | 'existing';
  /** The images by name, at least one: usually `main` and `migrations`. */
  readonly targets: Readonly<Record<string, ImageTarget>>;
  /** Tag that is pushed or looked up; what is passed on is always the digest. */
  readonly tag: string;
  /** Build context: a folder. Needed to build. */
  readonly context?: string;
  /** Path of the Dockerfile. @default `Dockerfile` in the context */
  readonly dockerfile?: string;
  /** Build arguments. They end up in the image's history: never a secret. @default none */
  readonly buildArguments?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Contents of BuildKit secret mounts by id (`RUN --mount=type=secret,id=npmrc`). @default none */
  readonly secrets?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Platforms, such as `linux/amd64`. @default the builder's own */
  readonly platforms?: readonly string[];
  /**
   * Cache beyond the builder's own: `inline` in the pushed image, `registry` beside it (needs a builder with the
   * container driver), or `none`. @default 'none'
   */
  readonly cache?: 'none' | 'inline' | 'registry';
  /** Further labels; `org.opencontainers.image.title` and `.version` are set. @default none */
  readonly labels?: Readonly<Record<string, string>>;
  /** Build during a preview as well, to find out whether it works. @default false */
  readonly buildOnPreview?: boolean;
  /**
   * In a preview, an image that is not in the registry yet has a digest that is known only later, instead of being an
   * error: for changes that are looked at before their images are built. @default false
   */
  readonly mayBeMissing?: boolean;
}

/**
 * The images of one application, by target. What it hands on are digests: a tag can move, a digest cannot.
 *
 * Give it the docker-build provider (mode `build`) or the docker provider (mode `existing`) that holds the
 * registry's credentials: they are no part of an image's own difference.
 */
export class ImageBuild extends pulumi.ComponentResource {
  /** `repository@sha256:…` by target. */
  readonly images: Readonly<Record<string, pulumi.Output<string>>>;

  /** @throws pulumi.RunError with every invalid argument. */
  constructor(name: string, args: ImageBuildArguments, options?: pulumi.ComponentResourceOptions) {
    refuse(`ImageBuild "${name}"`, findings(args));
    super('development-operations:image:ImageBuild', name, {}, options);
    const resolve = args.mode === 'build' ? this.build : this.lookUp;
    this.images = Object.fromEntries(
      sortedEntries(args.targets).map(([target, image]) => [target, resolve.call(this, name, target, image, args)]),
    );
    this.registerOutputs({ images: this.images });
  }

  private build(name: string, target: string, image: ImageTarget, args: ImageBuildArguments): pulumi.Output<string> {
    const built = new Image(`${name}-${target}`, buildInputs(name, target, image, args), { parent: this });
    return built.digest.apply((digest) => reference(image.repository, digest));
  }

  private lookUp(_name: string, _target: string, image: ImageTarget, args: ImageBuildArguments): pulumi.Output<string> {
    const request = { name: `${image.repository}:${args.tag}` };
    const missing = args.mayBeMissing && pulumi.runtime.isDryRun();
    const found = missing
      ? this.unlessMissing(request)
      : getRegistryImageOutput(request, { parent: this }).sha256Digest;
    return found.apply((digest) => reference(image.repository, digest));
  }

  private unlessMissing(request: { name: string }): pulumi.Output<string> {
    const digest = getRegistryImage(request, { parent: this, async: true }).then(
      ({ sha256Digest }) => sha256Digest,
      (error: Error) => {
        if (!NOT_THERE.test(error.message)) throw error;
        return pulumi.unknown as unknown as string;
      },
    );
    return pulumi.output(digest);
  }
}

/** What the docker provider, ours or the official one, says of a tag that nobody has pushed. */
const NOT_THERE = /does not exist|not found|\b404\b|manifest unknown/i;

/** The inputs of one docker-build Image. */
export function buildInputs(name: string, target: string, image: ImageTarget, args: ImageBuildArguments): ImageArgs {
  const cacheReference = `${image.repository}:buildcache`;
  const context = args.context ?? '.';
  return {
    context: { location: context },
    dockerfile: { location: image.dockerfile ?? args.dockerfile ?? `${context}/Dockerfile` },
    target: image.stage ?? target,
    tags: [`${image.repository}:${args.tag}`],
    push: true,
    buildOnPreview: args.buildOnPreview ?? false,
    buildArgs: sorted(args.buildArguments),
    // The SDK marks this input, and this output, as secret.
    secrets: sorted(args.secrets),
    // A token is renewed without anything in the image changing.
    ...secretNames(args.secrets),
    platforms: args.platforms && ([...args.platforms].sort() as Platform[]),
    labels: sorted({
      'org.opencontainers.image.title': target === 'main' ? name : `${name}-${target}`,
      'org.opencontainers.image.version': args.tag,
      ...args.labels,
    }),
    ...cacheInputs(args.cache ?? 'none', image, args.tag, cacheReference),
  };
}

function secretNames(secrets: ImageBuildArguments['secrets'] = {}): Pick<ImageArgs, 'ignoreSecretsInDiffCalculation'> {
  const names = Object.keys(secrets).sort();
  return names.length > 0 ? { ignoreSecretsInDiffCalculation: names } : {};
}

/** Empty when a targeted update leaves the image out: it has no digest yet, and whoever uses it is left out as well. */
function reference(repository: string, digest: string | undefined): string {
  return digest === undefined ? '' : referenceByDigest(repository, digest);
}

function cacheInputs(
  cache: 'none' | 'inline' | 'registry',
  image: ImageTarget,
  tag: string,
  reference: string,
): Pick<ImageArgs, 'cacheFrom' | 'cacheTo'> {
  if (cache === 'none') return {};
  if (cache === 'inline') {
    return { cacheFrom: [{ registry: { ref: `${image.repository}:${tag}` } }], cacheTo: [{ inline: {} }] };
  }
  return {
    cacheFrom: [{ registry: { ref: reference } }],
    // A cache that cannot be written is slower, not wrong: the build goes on.
    cacheTo: [{ registry: { ref: reference, mode: 'max', ignoreError: true } }],
  };
}

function findings(args: ImageBuildArguments): Finding[] {
  const found: Finding[] = [];
  const add = (path: string, problem: string | undefined) => problem && found.push({ path, problem });
  add('tag', tagProblem(args.tag));
  if (Object.keys(args.targets).length === 0) add('targets', 'is empty: name at least one image, such as "main"');
  if (args.mode === 'build' && !args.context) add('context', 'is missing: name the folder that is built');
  const owners = new Map<string, string>();
  for (const [target, image] of sortedEntries(args.targets)) {
    add(`targets.${target}`, labelProblem(target));
    add(`targets.${target}.repository`, repositoryProblem(image.repository));
    const owner = owners.get(image.repository);
    if (owner) add(`targets.${target}.repository`, `"${image.repository}" is also the repository of target "${owner}"`);
    owners.set(image.repository, target);
  }
  for (const key of Object.keys(args.buildArguments ?? {})) {
    if (/token|password|secret|npmrc/i.test(key)) {
      add(`buildArguments.${key}`, 'looks like a secret, and build arguments are kept in the image: use `secrets`');
    }
  }
  for (const platform of args.platforms ?? []) {
    if (!/^[a-z0-9]+\/[a-z0-9]+(\/[a-z0-9]+)?$/.test(platform)) {
      add('platforms', `"${platform}" is not a platform: expected "os/architecture", such as "linux/amd64"`);
    }
  }
  return found;
}

function sorted<T>(record: Readonly<Record<string, T>> | undefined): Record<string, T> | undefined {
  return record && Object.fromEntries(sortedEntries(record));
}

function sortedEntries<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
