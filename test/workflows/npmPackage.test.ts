import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { type ActResult, runAct } from './support/act.ts';
import { type Application, createApplication } from './support/application.ts';
import { type Event, pullRequest, push } from './support/events.ts';
import { type GitHubStandIn, startGitHub, TOKEN } from './support/github.ts';
import { startVerdaccio, type Verdaccio } from './support/verdaccio.ts';

const NAME = '@example/orders-client';

describe('workflow npm-package, run by act', function () {
  this.timeout(900_000);
  let registry: Verdaccio;
  let hub: GitHubStandIn;
  let application: Application;

  before(async () => {
    registry = await startVerdaccio();
    hub = await startGitHub();
  });
  after(async () => {
    await registry?.stop();
    await hub?.stop();
  });
  beforeEach(async () => {
    application = await createApplication();
  });
  afterEach(async () => {
    await application.remove();
  });

  const run = async (event: Event): Promise<ActResult> => {
    const secrets = { GITHUB_TOKEN: TOKEN, NPM_INSTALL_TOKEN: registry.reader, NPM_PUBLISH_TOKEN: registry.publisher };
    const result = await runAct({
      application,
      workflow: '.github/workflows/npm-package.yml',
      event,
      secrets,
      variables: { NPM_REGISTRY: registry.url },
      environment: { GITHUB_API_URL: hub.url },
    });
    assert.deepEqual(result.leaked, [], result.output);
    return result;
  };
  const change = async (): Promise<{ base: string; head: string }> => {
    const base = await application.git('rev-parse', 'HEAD');
    await application.git('checkout', '--quiet', '-b', 'change');
    await application.edit('packages/client/src/client.ts', (text) => text.replace('?? 10_000', '?? 20_000'));
    return { base, head: await application.commit('fix(client): wait longer') };
  };
  /** `npm install` of the package in an empty project, as a user of the registry. */
  const install = async (version: string, token: string | undefined, use: (folder: string) => Promise<void>) => {
    const folder = await mkdtemp(join(tmpdir(), 'consumer-'));
    try {
      const auth = token === undefined ? '' : `${registry.url.replace('http:', '')}:_authToken=${token}\n`;
      await writeFile(join(folder, '.npmrc'), `@example:registry=${registry.url}\n${auth}`);
      await writeFile(join(folder, 'package.json'), '{ "name": "consumer", "version": "1.0.0", "type": "module" }\n');
      await execa('npm', ['install', `${NAME}@${version}`, '--no-audit', '--no-fund'], { cwd: folder });
      await use(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };

  it('publishes the first version, which is installed with a token and not without', async () => {
    const commit = await application.git('rev-parse', 'HEAD');
    const result = await run(push());
    assert.equal(result.exitCode, 0, result.output);
    assert.equal(result.value('version'), '0.1.0');
    assert.ok(result.summaries.some((text) => text.includes(`${NAME}@0.1.0`) && text.includes('published')));
    assert.equal(hub.state.refs.get(`refs/tags/${NAME}@0.1.0`), commit);

    const nothing = async (): Promise<void> => undefined;
    await assert.rejects(install('0.1.0', undefined, nothing), /E401|ENEEDAUTH/);
    await install('0.1.0', registry.reader, async (folder) => {
      const script = `import { OrdersClient } from '${NAME}'; console.log(typeof new OrdersClient({ baseUrl: 'http://x' }).list)`;
      const { stdout } = await execa(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder });
      assert.equal(stdout, 'function');
    });
    await isAttested('0.1.0');
  });

  it('publishes a pull request under a tag of its own', async () => {
    const before = await registry.packument(NAME);
    const { base, head } = await change();
    const result = await run(pullRequest({ base, head, number: 12 }));
    assert.equal(result.exitCode, 0, result.output);
    const version = result.value('version') ?? '';
    // A short commit of digits alone has a letter in front.
    assert.match(version, new RegExp(`^0\\.1\\.0-pr\\.12\\.g?${head.slice(0, 7)}$`));
    const after = await registry.packument(NAME);
    assert.equal(after?.['dist-tags']['pr-12'], version);
    assert.equal(after?.['dist-tags'].latest, before?.['dist-tags'].latest);
    assert.deepEqual(Object.keys(after?.versions ?? {}), [...Object.keys(before?.versions ?? {}), version]);
    assert.ok(![...hub.state.refs.keys()].some((ref) => ref.includes('-pr.')), 'what is tried out has no tag in git');
  });

  it("gives a fork's pull request no job that has a token", async () => {
    const [before, asked] = [await registry.packument(NAME), hub.requests.length];
    const { base, head } = await change();
    const result = await run(pullRequest({ base, head, number: 13, fork: true }));
    assert.equal(result.exitCode, 0, result.output);
    // A step of its code never begins, whatever secrets were handed over.
    assert.doesNotMatch(result.output, /⭐ Run (Main|Pre) /u);
    assert.deepEqual(result.outputs, []);
    assert.equal(hub.requests.length, asked);
    assert.deepEqual(await registry.packument(NAME), before);
  });

  it('publishes nothing when a test fails', async () => {
    const before = await registry.packument(NAME);
    await application.edit('packages/client/test/client.test.js', (text) =>
      text.replace('{ limit: 5 }', '{ limit: 6 }'),
    );
    await application.commit('feat(client): break it');
    const result = await run(push());
    assert.notEqual(result.exitCode, 0, result.output);
    assert.match(result.output, /"npm run test" in \S+packages\/client failed \(exit code 1\); nothing is published/);
    assert.ok(
      result.summaries.some((text) => /What to do/.test(text)),
      'the page of the run says what to do',
    );
    assert.deepEqual(await registry.packument(NAME), before);
  });

  /** The attestation's subject is the file that the registry hands out. */
  async function isAttested(version: string): Promise<void> {
    const tarball = (await registry.packument(NAME))?.versions[version]?.dist.tarball ?? '';
    const answer = await fetch(tarball, { headers: { authorization: `Bearer ${registry.reader}` } });
    const sha256 = createHash('sha256')
      .update(Buffer.from(await answer.arrayBuffer()))
      .digest('hex');
    const statement = await readFile(join(application.artifacts, '1', 'attestations', `${sha256}.json`), 'utf8');
    const { subject, predicateType } = JSON.parse(statement) as { subject: unknown; predicateType: string };
    assert.deepEqual(subject, [{ name: 'package.tgz', digest: { sha256 } }]);
    assert.equal(predicateType, 'https://slsa.dev/provenance/v1');
  }
});
