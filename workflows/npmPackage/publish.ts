/** `npm-publish`: publishes what `npm-pack` has made, once, and tags the commit. Runs no code of the package. */

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { needed, WorkflowError } from '../failure.ts';
import { mask, output, summary, warn } from '../github/report.ts';
import { flow } from '../options.ts';
import { npm, registryUrl, scopeOf, TOKEN_VARIABLE, withRegistry } from './npm.ts';
import { isPublished, type RegistryAccess, refusal, withPublished } from './registry.ts';
import { PACKAGE_FILE, type Release, readRelease } from './release.ts';
import { published } from './summaries.ts';
import { tagRelease } from './tag.ts';
import { contentsOf, differences } from './tarball.ts';

/** The one registry that keeps statements of provenance beside a package. */
const WITH_PROVENANCE = 'https://registry.npmjs.org/';

export const npmPublish = flow({
  name: 'npm-publish',
  description: `publishes what npm-pack has made, with the token in ${TOKEN_VARIABLE}, and tags the commit`,
  options: {
    package: { description: 'folder that npm-pack has made' },
    registry: { description: 'address of the registry' },
  },
  async run(options) {
    const folder = resolve(options.package);
    const release = await readRelease(folder);
    const file = await checkedPackage(folder, release);
    const token = needed(process.env, TOKEN_VARIABLE, 'the token for the registry (secret publish-token)');
    mask(token);
    const registry = { url: registryUrl(options.registry), scopes: scopeOf(release.name), token };
    const fresh = await withRegistry(registry, (userconfig) =>
      publish({ url: registry.url, userconfig }, release, file),
    );
    const left = release.distTag === 'latest' ? await tagRelease(release) : undefined;
    if (left) warn(left);
    output('version', release.version);
    output('dist-tag', release.distTag);
    await summary(published(release, registry.url, fresh, left));
    return undefined;
  },
});

/** The package's own name and version decide what is published: they must be those that were announced. */
async function checkedPackage(folder: string, release: Release): Promise<string> {
  const file = join(folder, PACKAGE_FILE);
  const { name, version } = existsSync(file) ? await contentsOf(file) : { name: 'nothing', version: 'at all' };
  if (name === release.name && version === release.version) return file;
  throw new WorkflowError(
    `${file} holds ${name} ${version}, not ${release.name} ${release.version}`,
    'make the folder anew with npm-pack',
  );
}

/** @returns whether it is new; false when the same is there already */
async function publish(access: RegistryAccess, release: Release, file: string): Promise<boolean> {
  const { name, version, distTag } = release;
  if (await isPublished(access, name, version)) {
    await sameAsPublished(access, release, file);
    return false;
  }
  const provenance = access.url === WITH_PROVENANCE && process.env.ACTIONS_ID_TOKEN_REQUEST_URL !== undefined;
  const args = ['publish', file, `--tag=${distTag}`, `--registry=${access.url}`, '--ignore-scripts', '--json'];
  const result = await npm([...args, ...(provenance ? ['--provenance'] : [])], {
    cwd: join(file, '..'),
    userconfig: access.userconfig,
    environment: provenance ? identity() : {},
  });
  if (result.exitCode === 0) return true;
  // Somebody else may have published it since it was asked for.
  if (await isPublished(access, name, version)) {
    await sameAsPublished(access, release, file);
    return false;
  }
  throw refusal(`publish ${name}@${version}`, access, result);
}

/** The right to prove to npm which run this is. */
function identity(): Record<string, string | undefined> {
  const { ACTIONS_ID_TOKEN_REQUEST_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN } = process.env;
  return { ACTIONS_ID_TOKEN_REQUEST_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN };
}

async function sameAsPublished(
  access: RegistryAccess,
  { name, version, commit }: Release,
  file: string,
): Promise<void> {
  const changed = await withPublished(access, name, version, async (there) =>
    differences(await contentsOf(there), await contentsOf(file)),
  );
  if (changed.length === 0) return;
  const shown = changed.slice(0, 5).join(', ') + (changed.length > 5 ? ` and ${changed.length - 5} more` : '');
  throw new WorkflowError(
    `${name}@${version} is published with other contents (${shown}), and a version never changes`,
    `when another run has published it a moment ago, run this one again; when the tag ${name}@${version} is missing, set it on the commit that was published, which is before ${commit.slice(0, 7)}: ` +
      `git tag '${name}@${version}' COMMIT && git push origin 'refs/tags/${name}@${version}'; ` +
      'otherwise raise the version in package.json, or commit the change as "fix: …" or "feat: …"',
  );
}
