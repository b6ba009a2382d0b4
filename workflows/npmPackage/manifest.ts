/** The package.json of the package that is published. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import semver from 'semver';
import { z } from 'zod';
import { WorkflowError } from '../failure.ts';

export interface Manifest {
  readonly name: string;
  readonly version: string;
  /** Names of the scripts that it has. */
  readonly scripts: readonly string[];
}

const SCHEMA = z.object({
  name: z.string().min(1),
  version: z.string(),
  private: z.boolean().optional(),
  scripts: z.record(z.string(), z.string()).optional(),
});

/** @throws WorkflowError when it is missing, cannot be read, or says that the package is private */
export async function readManifest(folder: string): Promise<Manifest> {
  const file = join(folder, 'package.json');
  const wrong = (what: string, cure: string): WorkflowError => new WorkflowError(`${file} ${what}`, cure);
  const text = await readFile(file, 'utf8').catch(() => {
    throw wrong('does not exist', 'name the folder of the package with --package-folder (input package-folder)');
  });
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw wrong(`is no JSON: ${(error as Error).message}`, 'mend the file');
  }
  const { success, data, error } = SCHEMA.safeParse(content);
  if (!success) throw wrong(`is not that of a package:\n${z.prettifyError(error)}`, 'mend the file');
  if (data.private) {
    throw wrong('says "private": true', 'take that out, or name the folder of another package with --package-folder');
  }
  if (semver.valid(data.version) === null) {
    throw wrong(`has the version "${data.version}"`, 'write one of the form 1.2.3');
  }
  return { name: data.name, version: data.version, scripts: Object.keys(data.scripts ?? {}) };
}

/**
 * Does `work` while package.json has this version, and puts the file back as it was. Only the number is changed, so that
 * the file in the package is the file in the repository.
 */
export async function withVersion<T>(folder: string, version: string, work: () => Promise<T>): Promise<T> {
  const file = join(folder, 'package.json');
  const before = await readFile(file, 'utf8');
  const parsed = JSON.parse(before) as Record<string, unknown>;
  const indent = /^([ \t]+)"/m.exec(before)?.[1] ?? '  ';
  await writeFile(file, `${JSON.stringify({ ...parsed, version }, undefined, indent)}\n`);
  try {
    return await work();
  } finally {
    await writeFile(file, before);
  }
}
