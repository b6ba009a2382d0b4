import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/registry.ts';
import { type CommandResult, runCommand } from './support/command.ts';
import { type GitHubStandIn, startGitHub, TOKEN } from './support/github.ts';
import { createPackage, type SmallPackage } from './support/package.ts';
import { startVerdaccio, type Verdaccio } from './support/verdaccio.ts';

const READ_ONLY = 'ghs_may-only-read';

describe('workflow npm-package, the commands', function () {
  this.timeout(600_000);
  let registry: Verdaccio;
  let hub: GitHubStandIn;
  let small: SmallPackage;
  let packed: string;

  before(async () => {
    registry = await startVerdaccio();
    hub = await startGitHub({ tokens: { [TOKEN]: 'everything', [READ_ONLY]: { contents: 'read' } } });
  });
  after(async () => {
    await registry?.stop();
    await hub?.stop();
  });
  beforeEach(async () => {
    small = await createPackage();
    packed = await mkdtemp(join(tmpdir(), 'packed-'));
  });
  afterEach(async () => {
    await small.remove();
    await rm(packed, { recursive: true, force: true });
  });

  const pack = (...more: string[]): Promise<CommandResult> =>
    runCommand('npm-pack', [
      ...['--application', small.directory, '--package-folder', 'packages/small', '--output', packed],
      ...more,
    ]);
  const publish = (environment: Record<string, string> = {}, url = registry.url): Promise<CommandResult> =>
    runCommand('npm-publish', ['--package', packed, '--registry', url], {
      environment: {
        REGISTRY_TOKEN: registry.publisher,
        GITHUB_TOKEN: TOKEN,
        GITHUB_REPOSITORY: 'example/orders',
        GITHUB_API_URL: hub.url,
        ...environment,
      },
    });
  const succeeded = (result: CommandResult): CommandResult => {
    assert.equal(result.exitCode, 0, result.output);
    return result;
  };
  const refused = (result: CommandResult, exitCode: number, ...texts: RegExp[]): void => {
    assert.equal(result.exitCode, exitCode, result.output);
    for (const text of texts) assert.match(result.output, text);
    assert.ok(
      !result.output.includes(registry.publisher) && !result.output.includes(registry.reader),
      'a token is shown',
    );
  };

  it('are content when they are run again on the same commit', async () => {
    succeeded(await pack());
    assert.equal(succeeded(await publish()).outputs.version, '1.0.0');
    const first = await registry.packument(small.name);
    succeeded(await pack());
    const again = succeeded(await publish());
    assert.match(again.summary, /published before, with the same contents/);
    assert.equal(again.outputs.version, '1.0.0');
    assert.deepEqual(await registry.packument(small.name), first);
    assert.equal(await small.git('status', '--porcelain'), '', 'the work tree is as it was');
  });

  it('refuse other contents under a version that is published', async () => {
    succeeded(await pack());
    succeeded(await publish());
    const before = await registry.packument(small.name);
    // The tag was never set: the same version is counted again.
    await small.write('index.js', 'export const value = 2;\n');
    await small.commit('fix: the value');
    succeeded(await pack());
    const result = await publish();
    refused(
      result,
      2,
      /1\.0\.0 is published with other contents \(index\.js\)/,
      /git tag '@example\/small-\d+-\d+@1\.0\.0' COMMIT/,
    );
    assert.deepEqual(await registry.packument(small.name), before);
  });

  it('name the secret that is missing', async () => {
    succeeded(await pack());
    refused(await publish({ REGISTRY_TOKEN: '' }), 2, /REGISTRY_TOKEN is not set/, /secret publish-token/);
    assert.equal(await registry.packument(small.name), undefined);
  });

  it('say so when the token may not publish', async () => {
    succeeded(await pack());
    refused(await publish({ REGISTRY_TOKEN: registry.reader }), 2, /this token may not do it/, /packages: write/);
    refused(
      await publish({ REGISTRY_TOKEN: 'no-token' }),
      2,
      /does not take the token/,
      /hand over a token that is valid/,
    );
    assert.equal(await registry.packument(small.name), undefined);
  });

  it('name the registry that cannot be reached', async () => {
    succeeded(await pack());
    const nowhere = `http://127.0.0.1:${await freePort()}/`;
    refused(await publish({}, nowhere), 2, new RegExp(`${nowhere} cannot be reached`), /the input registry names it/);
  });

  it('count the version from the tag and the commits since, and say what is left to do without the right to tag', async () => {
    const tag = `${small.name}@1.4.2`;
    await small.git('tag', tag);
    // Another package's tag, and one that is no release, do not count.
    await small.git('tag', '@example/other@7.0.0');
    await small.git('tag', `${small.name}@2.0.0-rc.1`);
    await small.write('added.js', 'export const added = true;\n');
    const commit = await small.commit('feat(api): add | something');
    succeeded(await pack());
    const result = succeeded(await publish({ GITHUB_TOKEN: READ_ONLY }));
    assert.equal(result.outputs.version, '1.5.0');
    assert.equal((await registry.packument(small.name))?.['dist-tags'].latest, '1.5.0');
    assert.match(result.summary, /\| new \| `[0-9a-f]{7}` \| add \\\| something \|/);
    const byHand = `git tag '${small.name}@1.5.0' ${commit} && git push origin 'refs/tags/${small.name}@1.5.0'`;
    assert.ok(result.summary.includes(byHand), result.summary);
    assert.match(result.summary, /contents: write/);
    assert.equal(hub.state.refs.get(`refs/tags/${small.name}@1.5.0`), undefined);
  });

  it('set the tag on the commit that is published', async () => {
    const commit = await small.git('rev-parse', 'HEAD');
    succeeded(await pack());
    const result = succeeded(await publish());
    assert.equal(hub.state.refs.get(`refs/tags/${small.name}@1.0.0`), commit);
    assert.doesNotMatch(result.summary, /WARNING/);
  });

  it('publish nothing when no commit touches what users notice', async () => {
    await small.git('tag', `${small.name}@1.0.0`);
    await small.write('../../README.md', 'Elsewhere\n');
    await small.commit('feat: elsewhere');
    await small.write('index.js', 'export const value = 1; // one\n');
    await small.commit('docs: say what the value is');
    const result = succeeded(await pack());
    assert.equal(result.outputs.publish, 'false');
    assert.equal(result.outputs.version, '');
    assert.match(result.summary, /nothing to publish/);
    assert.match(result.summary, /None of the 1 commits since 1\.0\.0/);
  });

  it('ask for the whole history', async () => {
    await small.commit('fix: a second commit');
    const part = await mkdtemp(join(tmpdir(), 'part-'));
    try {
      await small.git('clone', '--quiet', '--depth=1', `file://${small.directory}`, join(part, 'r'));
      const args = ['--application', join(part, 'r'), '--package-folder', 'packages/small', '--output', packed];
      refused(await runCommand('npm-pack', args), 2, /only a part of its history/, /fetch-depth: 0/);
    } finally {
      await rm(part, { recursive: true, force: true });
    }
  });
});
