/** Builds, pushes, describes and tags the images of a commit; what has not changed only gets the tag. */

import { tagProblem } from '../../components/image/reference.ts';
import { RegistryClient, RegistryError } from '../../plugins/docker/registryClient.ts';
import { readTarget } from '../engine/target.ts';
import { WorkflowError } from '../failure.ts';
import { mask, output, summary } from '../github/report.ts';
import { flow } from '../options.ts';
import { attest } from './attestations.ts';
import { buildImages } from './build.ts';
import { type Image, references } from './images.ts';
import { report } from './report.ts';
import { type Registry, readImagesSettings } from './settings.ts';
import { readSource, type Source } from './source.ts';

interface Options {
  readonly application: string;
  readonly stack: string;
  readonly version: string;
  readonly attestations: string;
  readonly 'packages-registry': string;
  readonly 'packages-scope': string;
}

export const dockerImage = flow({
  name: 'docker-image',
  description: 'builds and pushes the images of an application, those whose inputs have changed',
  options: {
    application: { description: "folder of the application's repository", default: '.' },
    stack: { description: 'the stack with "stack: images", configured in Pulumi.<stack>.yaml', default: 'images' },
    version: { description: "tag of the images; the commit's name when it is left out", default: '' },
    attestations: { description: 'sbom and provenance, one of them, or none', default: 'sbom,provenance' },
    'packages-registry': { description: 'where builds get private packages', default: 'https://npm.pkg.github.com' },
    'packages-scope': {
      description: 'scope of the private packages, * for all; @owner when it is left out',
      default: '',
    },
  },
  run,
});

async function run(options: Options): Promise<undefined> {
  const started = new Date();
  const wanted = attestationsOf(options.attestations);
  const target = await readTarget(options.application, options.stack);
  const settings = await readImagesSettings(target);
  mask(settings.registry.password);
  const source = await readSource(target.root);
  const version = versionOf(options, source);
  const client = await signIn(settings.registry);
  const { images, changed } = await buildImages(target, {
    client,
    settings,
    source: source.repository,
    packages: {
      url: options['packages-registry'],
      scope: options['packages-scope'] || `@${(process.env.GITHUB_REPOSITORY ?? '').split('/')[0]}`,
      token: process.env.NODE_AUTH_TOKEN ?? '',
    },
  });
  const finished = new Date();
  for (const image of images) {
    await describe(client, settings.registry, image, { source, started, finished, wanted });
    await tag(client, image, version);
  }
  const reported = images.map((image) => ({
    ...image,
    done: changed.has(`${image.application}-${image.target}`) ? ('built' as const) : ('unchanged' as const),
  }));
  output('version', version);
  output('images', JSON.stringify(references(images)));
  output('built', JSON.stringify(references(reported.filter(({ done }) => done === 'built'))));
  await summary(report(reported, version, (Date.now() - started.getTime()) / 1000));
  return undefined;
}

function attestationsOf(text: string): { readonly sbom: boolean; readonly provenance: boolean } {
  const names = text === 'none' ? [] : text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => name !== 'sbom' && name !== 'provenance');
  if (unknown.length === 0) return { sbom: names.includes('sbom'), provenance: names.includes('provenance') };
  throw new WorkflowError(
    `there is no attestation "${unknown.join(', ')}"`,
    'write sbom,provenance, one of them, or none',
  );
}

function versionOf({ version }: Options, { commit }: Source): string {
  const tag = version || commit;
  const problem = tagProblem(tag);
  if (problem)
    throw new WorkflowError(`the version ${problem}`, 'name the version by another text (the option version)');
  return tag;
}

/** Before anything is built: a build of minutes must not end at the door. */
async function signIn(registry: Registry): Promise<RegistryClient> {
  const client = new RegistryClient(registry.server, { credentials: registry });
  try {
    await client.authenticate();
    return client;
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    if (error.status === 0) {
      throw new WorkflowError(
        error.message,
        'see whether the registry runs and whether this machine may reach it (registry.server)',
      );
    }
    throw new WorkflowError(
      `the registry refuses the password: ${error.message}`,
      `hand over the password of ${registry.username} at ${registry.server} (registry.username and registry.password in the configuration name where it comes from)`,
    );
  }
}

async function describe(
  client: RegistryClient,
  registry: Registry,
  image: Image,
  about: { source: Source; started: Date; finished: Date; wanted: ReturnType<typeof attestationsOf> },
): Promise<void> {
  const { source, started, finished, wanted } = about;
  if (!wanted.sbom && !wanted.provenance) return;
  const { application, target } = image;
  const times = { startedOn: started.toISOString(), finishedOn: finished.toISOString() };
  const attached = await attest(client, registry, image, { source, application, target, ...times }, wanted);
  for (const type of attached) console.log(`${image.text}: attached ${type}`);
}

/** Another tag for what is there already; nothing is copied. */
async function tag(client: RegistryClient, image: Image, version: string): Promise<void> {
  const tagged = { ...image.reference, digest: undefined, tag: version };
  if ((await client.digest(tagged)) === image.reference.digest) return;
  const manifest = await client.manifest(image.reference);
  if (manifest === undefined) {
    throw new WorkflowError(
      `${image.text} is not in the registry any more`,
      'run "pulumi refresh" on the stack, then this again',
    );
  }
  await client.tag(manifest, tagged);
  console.log(`${image.repository}:${version} is ${image.reference.digest}`);
}
