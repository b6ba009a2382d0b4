/** What is in the registry of an image that a flow has pushed. */

import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { createGunzip } from 'node:zlib';
import { execa } from 'execa';
import { createContext } from '../../../local/context.ts';
import { dockerEnvironment } from '../../../local/docker.ts';
import { REGISTRY_ADDRESS } from '../../../local/facts.ts';
import type { TestEnvironment } from './environment.ts';
import type { ImagesApplication } from './imagesApplication.ts';

export interface PushedManifest {
  readonly digest: string;
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

export interface Statement {
  readonly predicateType: string;
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  readonly predicate: unknown;
}

/** @throws when the registry does not have it */
export async function manifestOf(
  { registry, path }: ImagesApplication,
  target: string,
  reference: string,
): Promise<PushedManifest> {
  const content = await fetched(registry, `${path(target)}/manifests/${reference}`);
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  return { ...(JSON.parse(content.toString('utf8')) as PushedManifest), digest };
}

/** The image's own configuration, such as its labels. */
export async function configOf(
  application: ImagesApplication,
  target: string,
  reference: string,
): Promise<{ readonly Labels?: Readonly<Record<string, string>> }> {
  const { config } = await manifestOf(application, target, reference);
  const content = await fetched(application.registry, `${application.path(target)}/blobs/${config.digest}`);
  return (JSON.parse(content.toString('utf8')) as { config: { Labels?: Record<string, string> } }).config;
}

/** The in-toto statements that are attached to an image, by the tag of its referrers. */
export async function statementsOf(
  application: ImagesApplication,
  target: string,
  reference: string,
): Promise<Statement[]> {
  const { registry, path } = application;
  const { digest } = await manifestOf(application, target, reference);
  const index = await fetched(registry, `${path(target)}/manifests/${digest.replace(':', '-')}`);
  const { manifests } = JSON.parse(index.toString('utf8')) as { manifests: readonly { digest: string }[] };
  return await Promise.all(
    manifests.map(async (one) => {
      const { layers } = await manifestOf(application, target, one.digest);
      const blob = await fetched(registry, `${path(target)}/blobs/${layers[0]?.digest}`);
      return JSON.parse(blob.toString('utf8')) as Statement;
    }),
  );
}

/** Which of the texts are in the configuration (with its history), or in a layer, unpacked. */
export async function found(
  { registry, path }: ImagesApplication,
  target: string,
  { config, layers }: PushedManifest,
  texts: readonly string[],
): Promise<string[]> {
  const own = await fetched(registry, `${path(target)}/blobs/${config.digest}`);
  const seen = new Set(texts.filter((text) => own.includes(text)));
  const longest = Math.max(...texts.map((text) => text.length));
  for (const { digest } of layers) {
    const answer = await registry('GET', `${path(target)}/blobs/${digest}`);
    if (!answer.ok || answer.body === null) throw new Error(`the layer ${digest}: ${answer.status}`);
    let rest = Buffer.alloc(0);
    for await (const chunk of Readable.fromWeb(answer.body as ReadableStream).pipe(createGunzip())) {
      // A text may be cut in two.
      const part = Buffer.concat([rest, chunk as Buffer]);
      for (const text of texts) if (part.includes(text)) seen.add(text);
      rest = part.subarray(Math.max(0, part.length - longest));
    }
  }
  return [...seen];
}

/** Pulls an image by its digest, with the registry's password, and runs it: what it prints. */
export async function runsAs({ env, secrets }: TestEnvironment, reference: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'docker-'));
  const docker = async (...args: string[]): Promise<string> => {
    const run = await execa('docker', ['--config', directory, ...args], { env: dockerEnvironment(createContext()) });
    return run.stdout;
  };
  try {
    const auth = Buffer.from(`${env.DEVOPS_REGISTRY_USERNAME}:${secrets.DEVOPS_REGISTRY_PASSWORD}`).toString('base64');
    await writeFile(join(directory, 'config.json'), JSON.stringify({ auths: { [REGISTRY_ADDRESS]: { auth } } }));
    await docker('pull', '--quiet', reference);
    return (await docker('run', '--rm', reference)).trim();
  } finally {
    await execa('docker', ['image', 'rm', '--force', reference], {
      env: dockerEnvironment(createContext()),
      reject: false,
    });
    await rm(directory, { recursive: true, force: true });
  }
}

async function fetched(registry: ImagesApplication['registry'], path: string): Promise<Buffer> {
  const answer = await registry('GET', path);
  if (!answer.ok) throw new Error(`the registry answered ${answer.status} to ${path}: ${await answer.text()}`);
  return Buffer.from(await answer.arrayBuffer());
}
