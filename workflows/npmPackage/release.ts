/** What `npm-pack` hands to `npm-publish`: a folder with the package and this description. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import semver from 'semver';
import { z } from 'zod';
import { WorkflowError } from '../failure.ts';

/** The package in the folder. */
export const PACKAGE_FILE = 'package.tgz';
const RELEASE_FILE = 'release.json';

const SCHEMA = z.strictObject({
  name: z.string().regex(/^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/),
  version: z.string().refine((text) => semver.valid(text) !== null, 'no version'),
  /** `latest`, or `pr-NUMBER`. */
  distTag: z.string().regex(/^(latest|pr-\d+)$/),
  /** What it was packed from. */
  commit: z.string().regex(/^[0-9a-f]{40}$/),
  /** What users notice, the newest first. */
  changes: z.array(z.object({ hash: z.string(), bump: z.enum(['major', 'minor', 'patch']), subject: z.string() })),
});

export type Release = z.infer<typeof SCHEMA>;

export async function writeRelease(folder: string, release: Release): Promise<void> {
  await writeFile(join(folder, RELEASE_FILE), `${JSON.stringify(SCHEMA.parse(release), undefined, 2)}\n`);
}

/** @throws WorkflowError when the folder was not made by `npm-pack` */
export async function readRelease(folder: string): Promise<Release> {
  const file = join(folder, RELEASE_FILE);
  try {
    return SCHEMA.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    throw new WorkflowError(
      `${file} does not describe a package: ${(error as Error).message}`,
      'make the folder with npm-pack --output, and name it with --package',
    );
  }
}
