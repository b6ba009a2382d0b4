/** What the flow itself needs to know of the configuration of the stack: the registry, and whether builds want a token. */

import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { pulumi } from '../engine/run.ts';
import type { Target } from '../engine/target.ts';
import { WorkflowError } from '../failure.ts';

/** The variable by which `secretFiles` refers to the npmrc that the flow writes. */
export const NPMRC = 'NPMRC_FILE';

export interface Registry {
  /** Host and port, such as `ghcr.io`. */
  readonly server: string;
  readonly username: string;
  readonly password: string;
}

export interface ImagesSettings {
  readonly registry: Registry;
  /** Whether an application's `secretFiles` refer to NPMRC_FILE. */
  readonly usesPackagesToken: boolean;
}

/** A text, a reference to a variable, or an encrypted text. */
type Leaf = string | { readonly env?: string; readonly default?: string; readonly secure?: string } | undefined;

interface Config {
  readonly 'development-operations:registry'?: Readonly<Record<string, Leaf>>;
  readonly 'development-operations:applications'?: Readonly<
    Record<string, { readonly images?: { readonly secretFiles?: Readonly<Record<string, Leaf>> } } | null>
  >;
}

/** @throws WorkflowError when the registry, or what it refers to, is missing */
export async function readImagesSettings(target: Target): Promise<ImagesSettings> {
  const file = parse(readFileSync(target.configFile, 'utf8')) as { readonly config?: Config } | null;
  const config = file?.config ?? {};
  const registry = config['development-operations:registry'];
  const value = async (key: string): Promise<string> => await resolve(target, key, registry?.[key]);
  const applications = Object.values(config['development-operations:applications'] ?? {});
  const files = applications.flatMap((application) => Object.values(application?.images?.secretFiles ?? {}));
  return {
    registry: { server: await value('server'), username: await value('username'), password: await value('password') },
    usesPackagesToken: files.some((leaf) => typeof leaf === 'object' && leaf.env === NPMRC),
  };
}

async function resolve(target: Target, key: string, leaf: Leaf): Promise<string> {
  if (typeof leaf === 'string') return leaf;
  const where = `registry.${key} in ${target.configFile}`;
  if (leaf?.secure !== undefined) {
    const path = `development-operations:registry.${key}`;
    const { exitCode, stdout, stderr } = await pulumi(target, ['config', 'get', path, '--path']);
    if (exitCode === 0) return stdout.trim();
    throw new WorkflowError(
      `${where} cannot be decrypted: ${stderr.trim()}`,
      'hand over the passphrase that it was encrypted with (PULUMI_CONFIG_PASSPHRASE, the secret passphrase)',
    );
  }
  const found = (leaf?.env && target.env[leaf.env]) || leaf?.default;
  if (found) return found;
  throw new WorkflowError(
    leaf?.env ? `${where} refers to ${leaf.env}, which is not set` : `${where} is missing`,
    leaf?.env
      ? `set ${leaf.env}; in a workflow, add it to the secret variables`
      : 'name the registry that the images go to, with a user and a password (docs/configuration.md)',
  );
}
