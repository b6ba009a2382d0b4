/**
 * Says in the registry what an image holds and how it came to be: in-toto statements as referrers of the image (OCI
 * distribution specification 1.1), under the tag `sha256-…` in a registry that has no referrers API. They are not signed.
 */

import type { Reference } from '../../plugins/docker/reference.ts';
import type { Manifest, RegistryClient } from '../../plugins/docker/registryClient.ts';
import { WorkflowError } from '../failure.ts';
import type { Image } from './images.ts';
import { type Build, provenance } from './provenance.ts';
import type { Layer } from './sbom/layers.ts';
import type { Registry } from './settings.ts';

export const SBOM = 'https://spdx.dev/Document';
export const PROVENANCE = 'https://slsa.dev/provenance/v1';
const STATEMENT = 'https://in-toto.io/Statement/v1';
const MEDIA_TYPE = 'application/vnd.in-toto+json';
/** As BuildKit names it (docs/attestations/attestation-storage.md). */
const PREDICATE = 'in-toto.io/predicate-type';

export interface Wanted {
  readonly sbom: boolean;
  readonly provenance: boolean;
}

interface IndexedManifest {
  readonly layers?: readonly Layer[];
  readonly manifests?: readonly {
    readonly digest: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly platform?: { readonly os?: string };
  }[];
}

/**
 * Attaches what the image does not have yet; an image that has it is only looked at.
 *
 * @returns the predicate types that were attached
 * @throws WorkflowError when the registry does not take them
 */
export async function attest(
  client: RegistryClient,
  registry: Registry,
  image: Image,
  build: Build,
  wanted: Wanted,
): Promise<string[]> {
  const manifest = await client.manifest(image.reference);
  if (manifest === undefined) {
    throw new WorkflowError(
      `${image.text} is not in the registry any more`,
      'build it anew: "pulumi refresh" of the stack lets the next run find that it is missing',
    );
  }
  const attached: string[] = [];
  const attach = async (reference: Reference, predicateType: string, predicate: () => Promise<unknown>) => {
    const known = await client.referrers(reference);
    if (known.some(({ annotations }) => annotations?.[PREDICATE] === predicateType)) return;
    await upload(registry, image, reference.digest ?? '', predicateType, await predicate());
    if (!attached.includes(predicateType)) attached.push(predicateType);
  };
  if (wanted.sbom) {
    for (const { reference, layers } of await platformsOf(client, image.reference, manifest)) {
      await attach(reference, SBOM, () => sbomOf(client, image.repository, reference, layers, build.finishedOn));
    }
  }
  if (wanted.provenance) await attach(image.reference, PROVENANCE, async () => provenance(build, process.env));
  return attached;
}

async function sbomOf(
  client: RegistryClient,
  repository: string,
  reference: Reference,
  layers: readonly Layer[],
  created: string,
): Promise<unknown> {
  // Only now: a run that changes nothing does not wait for what it does not use.
  const [{ readFiles }, { contentsOf, namesPackages }, { spdxDocument }] = await Promise.all([
    import('./sbom/layers.ts'),
    import('./sbom/contents.ts'),
    import('./sbom/spdx.ts'),
  ]);
  const files = await readFiles(layers, ({ digest }) => client.blob(reference.repository, digest), namesPackages);
  return spdxDocument({ repository, digest: reference.digest ?? '' }, contentsOf(files), created);
}

/** The image itself, or each of an index's images: each has layers of its own. */
async function platformsOf(
  client: RegistryClient,
  reference: Reference,
  manifest: Manifest,
): Promise<{ reference: Reference; layers: readonly Layer[] }[]> {
  const { layers, manifests } = JSON.parse(manifest.content.toString('utf8')) as IndexedManifest;
  if (layers) return [{ reference, layers }];
  // BuildKit's own attestations are in an index too, for a platform that nothing runs on.
  const images = (manifests ?? []).filter(({ platform }) => platform?.os !== 'unknown');
  const found = await Promise.all(
    images.map(async ({ digest }) => {
      const one = { ...reference, tag: undefined, digest };
      const child = await client.manifest(one);
      return child ? await platformsOf(client, one, child) : [];
    }),
  );
  return found.flat();
}

async function upload(
  { server, username, password }: Registry,
  image: Image,
  digest: string,
  predicateType: string,
  predicate: unknown,
): Promise<void> {
  const statement = {
    _type: STATEMENT,
    subject: [{ name: image.repository, digest: { sha256: digest.replace('sha256:', '') } }],
    predicateType,
    predicate,
  };
  const { attachArtifactToImage } = await import('@sigstore/oci');
  try {
    await attachArtifactToImage({
      credentials: { username, password },
      imageName: image.repository,
      imageDigest: digest,
      mediaType: MEDIA_TYPE,
      artifact: Buffer.from(JSON.stringify(statement)),
      annotations: { [PREDICATE]: predicateType },
    });
  } catch (error) {
    const { cause, message } = error as Error;
    throw new WorkflowError(
      `${predicateType} of ${image.text} cannot be attached: ${cause instanceof Error ? cause.message : message}`,
      `see whether ${server} takes OCI artifacts and whether ${username} may push, or leave them out (the option attestations)`,
    );
  }
}
