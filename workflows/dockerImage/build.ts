/** Lets the program build and push the images whose inputs have changed. */

import type { EngineEvent } from '../../engineEvents/steps.ts';
import type { RegistryClient } from '../../plugins/docker/registryClient.ts';
import { runEngine } from '../engine/run.ts';
import { withStack } from '../engine/stack.ts';
import type { Target } from '../engine/target.ts';
import { mask, warn } from '../github/report.ts';
import { buildFailure } from './failures.ts';
import { type Image, imagesOf } from './images.ts';
import { type PackagesRegistry, withNpmrc } from './packages.ts';
import { type ImagesSettings, NPMRC } from './settings.ts';

export interface BuildRequest {
  readonly client: RegistryClient;
  readonly settings: ImagesSettings;
  /** Page of the repository: a label of the images. */
  readonly source: string;
  /** Asked for only where the configuration refers to NPMRC_FILE. */
  readonly packages: PackagesRegistry;
}

export interface Built {
  /** All images of the stack. */
  readonly images: readonly Image[];
  /** Names of those that were built, as `orders-main`. */
  readonly changed: ReadonlySet<string>;
}

const IMAGE = 'docker-build:index:Image';

/**
 * Builds what has changed, and what somebody has deleted from the registry.
 *
 * @throws WorkflowError when it cannot be tried, or a build fails
 */
export async function buildImages(target: Target, request: BuildRequest): Promise<Built> {
  const first = await withPackages(target, request, false);
  const digests = await Promise.all(first.images.map(({ reference }) => request.client.digest(reference)));
  const lost = first.images.filter((_, index) => digests[index] === undefined);
  if (lost.length === 0) return first;
  warn(`built anew, as the registry does not have it any more: ${lost.map(({ text }) => text).join(', ')}`);
  return await withPackages(target, request, true);
}

async function withPackages(target: Target, request: BuildRequest, refresh: boolean): Promise<Built> {
  const { settings, packages, source } = request;
  mask(packages.token);
  const secrets = [...target.secrets, packages.token, settings.registry.password].filter((value) => value.length >= 4);
  const env = { ...target.env, DEVELOPMENT_OPERATIONS_SOURCE: source };
  const build = async (more: Readonly<Record<string, string>> = {}) =>
    await runStack({ ...target, secrets, env: { ...env, ...more } }, settings, refresh);
  // A laptop may have an npmrc of its own.
  if (!settings.usesPackagesToken || target.env[NPMRC]) return await build();
  return await withNpmrc(packages, async (file) => await build({ [NPMRC]: file }));
}

async function runStack(target: Target, { registry }: ImagesSettings, refresh: boolean): Promise<Built> {
  let outputs: Readonly<Record<string, unknown>> = {};
  const onEvent = ({ resOutputsEvent }: EngineEvent) => {
    const metadata = resOutputsEvent?.metadata;
    // Read from the events: asking the engine for them would take another start of it.
    if (metadata?.type === 'pulumi:pulumi:Stack') outputs = metadata.new?.outputs ?? {};
  };
  const { exitCode, errors, steps } = await withStack(
    target,
    'create',
    async (stack) => await runEngine(stack.target, 'up', { onEvent, refresh }),
  );
  if (exitCode !== 0) throw buildFailure(errors, registry);
  const changed = new Set(steps.filter(({ type }) => type === IMAGE).map(({ name }) => name));
  return { images: imagesOf(outputs, target.stack), changed };
}
