/** Building, looking up and deleting one Image. */

import { findCredentials, type RegistryCredentials } from '../docker/credentials.ts';
import { parseReference, type Reference } from '../docker/reference.ts';
import { RegistryClient, RegistryError } from '../docker/registryClient.ts';
import type { Log } from '../framework/provider.ts';
import { containsUnknown, type PropertyMap, UNKNOWN, unwrap, unwrapMap } from '../framework/values.ts';
import { isExportedToRegistry } from './arguments.ts';
import { runBuild } from './buildx.ts';
import { hashInputs } from './diff.ts';
import { type ImageInputs, toImageInputs } from './model.ts';

export interface BuildContext {
  readonly urn: string;
  readonly preview: boolean;
  /** True for a resource that is not there yet. */
  readonly create: boolean;
  readonly signal: AbortSignal;
  readonly host: string;
  /** Registries of the provider; those of the resource go before them. */
  readonly registries: readonly RegistryCredentials[];
  readonly log: Log;
}

/** Builds the image (in a preview: without exporting it) and returns the state. */
export async function buildImage(inputs: PropertyMap, context: BuildContext): Promise<PropertyMap> {
  const { urn, preview, log } = context;
  const plain = unwrapMap(inputs);
  if (preview) {
    const known = !containsUnknown(plain);
    if (plain.buildOnPreview !== false && known) await build(toImageInputs(plain), context);
    else if (!known) log.debug('not built in this preview: some inputs are not known yet', urn);
    // What a file of the context will be at the update is not known before a first build: the official outputs.
    const contextHash = context.create || !known ? UNKNOWN : await hashInputs(plain);
    return { ...inputs, contextHash, digest: UNKNOWN, ref: UNKNOWN };
  }
  const image = toImageInputs(plain);
  warnAbout(image, context);
  // Hashed before the build: a file that changes meanwhile shows as a change next time.
  const contextHash = await hashInputs(plain);
  const digest = await build(image, context);
  return { ...inputs, contextHash, digest, ref: imageReference(image.tags, digest) };
}

async function build(inputs: ImageInputs, context: BuildContext): Promise<string> {
  const { urn, preview, signal, host, log } = context;
  const result = await runBuild({
    inputs,
    registries: [...context.registries, ...inputs.registries],
    host,
    preview,
    signal,
    onLine: (line) => {
      if (line.trim() !== '') log.status(line, urn);
    },
  });
  log.status('', urn);
  if (preview) return '';
  if (isExportedToRegistry(inputs) && result.digest === '') {
    throw new Error(
      'the build ended without naming the digest of the pushed image: update buildx (docker buildx version)',
    );
  }
  return result.digest;
}

function warnAbout(inputs: ImageInputs, context: BuildContext): void {
  if (inputs.exports.length === 0 && !inputs.push && !inputs.load) {
    context.log.warn(
      'The image stays in the build cache: set "push", "load" or "exports" (a "cacheonly" export keeps it so on purpose).',
      context.urn,
    );
  }
}

/**
 * The output `ref`: the first tag that names its registry, with the digest (`host/name:tag@sha256:…`); without a
 * digest the first valid tag; '' without tags.
 */
export function imageReference(tags: readonly string[], digest: string): string {
  if (digest !== '') {
    for (const tag of tags) {
      const reference = tryParse(tag);
      if (reference?.qualified) return `${withoutTag(tag)}:${reference.tag ?? 'latest'}@${digest}`;
    }
  }
  return tags.find((tag) => tryParse(tag) !== undefined) ?? '';
}

function tryParse(tag: string): Reference | undefined {
  try {
    return parseReference(tag);
  } catch {
    return undefined;
  }
}

function withoutTag(name: string): string {
  const bare = name.split('@')[0] ?? name;
  const colon = bare.lastIndexOf(':');
  return colon > bare.lastIndexOf('/') ? bare.slice(0, colon) : bare;
}

/** One reference by digest for each repository that the image was pushed to. */
export function pushedReferences(state: PropertyMap): Reference[] {
  const digest = unwrap(state.digest ?? '');
  if (typeof digest !== 'string' || digest === '' || !isExportedToRegistry(toImageInputs(state))) return [];
  const found = new Map<string, Reference>();
  for (const tag of toImageInputs(state).tags) {
    const reference = tryParse(tag);
    if (reference) found.set(`${reference.registry}/${reference.repository}`, { ...reference, tag: undefined, digest });
  }
  return [...found.values()];
}

/** What the local daemon may hold of the image: its references by digest, or `ref` where there is no digest. */
export function localReferences(state: PropertyMap): Set<string> {
  const pushed = pushedReferences(state).map((one) => `${one.registry}/${one.repository}@${one.digest}`);
  const reference = unwrap(state.ref ?? '');
  if (pushed.length === 0 && typeof reference === 'string' && reference !== '') return new Set([reference]);
  return new Set(pushed);
}

async function clientFor(
  reference: Reference,
  registries: readonly RegistryCredentials[],
  signal: AbortSignal,
): Promise<RegistryClient> {
  const credentials = await findCredentials(reference.registry, registries, signal);
  return new RegistryClient(reference.registry, { credentials, signal });
}

/**
 * The tags whose repository still has the image's digest; [] when it is gone everywhere. Undefined when there is
 * nothing to verify, or when it could not be verified: then the state stays as it is, after a warning.
 */
export async function existingTags(
  state: PropertyMap,
  registries: readonly RegistryCredentials[],
  signal: AbortSignal,
  warn: (message: string) => void,
): Promise<string[] | undefined> {
  const image = toImageInputs(state);
  const digest = unwrap(state.digest ?? '');
  if (!isExportedToRegistry(image) || image.tags.length === 0 || typeof digest !== 'string' || digest === '') return;
  const kept: string[] = [];
  for (const tag of image.tags) {
    const reference = tryParse(tag);
    if (!reference?.qualified) {
      kept.push(tag);
      continue;
    }
    try {
      const client = await clientFor(reference, registries, signal);
      if ((await client.digest({ ...reference, digest })) !== undefined) kept.push(tag);
      else warn(`${tag}@${digest} is not in the registry any more`);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      warn(`could not verify the image's tags, the state stays as it is: ${error.message}`);
      return undefined;
    }
  }
  return kept;
}

/** Deletes what was pushed, as far as the registry allows it. An image that is gone already is a success. */
export async function removePushed(
  references: readonly Reference[],
  registries: readonly RegistryCredentials[],
  signal: AbortSignal,
  warn: (message: string) => void,
): Promise<void> {
  for (const reference of references) {
    try {
      const client = await clientFor(reference, registries, signal);
      await client.delete(reference);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      // Many registries do not delete (docker.io among them): that must not keep a stack from being destroyed.
      warn(`the pushed image stays in the registry: ${error.message}`);
    }
  }
}
