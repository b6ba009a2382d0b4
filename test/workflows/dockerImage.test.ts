import assert from 'node:assert/strict';
import { createContext } from '../../local/context.ts';
import { dockerEnvironment } from '../../local/docker.ts';
import { NODE_ADDRESS, REGISTRY_ADDRESS } from '../../local/facts.ts';
import { PROVENANCE, SBOM } from '../../workflows/dockerImage/attestations.ts';
import type { SpdxDocument } from '../../workflows/dockerImage/sbom/spdx.ts';
import { type ActResult, runAct } from './support/act.ts';
import { medianOverhead } from './support/emptyRun.ts';
import { engineEnvironment } from './support/engine.ts';
import { type CommandResult, TestEnvironment } from './support/environment.ts';
import { push } from './support/events.ts';
import { createImagesApplication, type ImagesApplication } from './support/imagesApplication.ts';
import { publishClient } from './support/privatePackage.ts';
import { configOf, found, manifestOf, runsAs, statementsOf } from './support/pushedImage.ts';
import { startVerdaccio, type Verdaccio } from './support/verdaccio.ts';

type References = Record<string, Record<string, string>>;

interface Provenance {
  readonly predicate: {
    readonly buildDefinition: {
      readonly externalParameters: { readonly workflow: { readonly path: string } };
      readonly resolvedDependencies: readonly {
        readonly uri: string;
        readonly digest: { readonly gitCommit: string };
      }[];
    };
  };
}

describe('the workflow docker-image', function () {
  this.timeout(900_000);

  let packages: Verdaccio;
  let application: ImagesApplication;
  let environment: TestEnvironment;
  let first: ActResult;
  let firstCommit: string;
  let images: References;

  /** The flow as a command, on what is checked out. */
  const command = (
    env: Readonly<Record<string, string | undefined>> = {},
    options: Readonly<Record<string, string>> = {},
  ): Promise<CommandResult> =>
    environment.workflow(
      'docker-image',
      {
        application: application.directory,
        'packages-registry': packages.url,
        'packages-scope': '@example',
        ...options,
      },
      {
        NODE_AUTH_TOKEN: packages.reader,
        REGISTRY_USERNAME: environment.env.DEVOPS_REGISTRY_USERNAME,
        REGISTRY_PASSWORD: environment.secrets.DEVOPS_REGISTRY_PASSWORD,
        ...dockerEnvironment(createContext()),
        ...env,
      },
    );

  /** The workflow, as a merge to main starts it. */
  const merge = async (token: string): Promise<ActResult> =>
    await runAct({
      application,
      workflow: '.github/workflows/images.yml',
      event: push(),
      secrets: {
        OPERATIONS_BACKEND: environment.env.PULUMI_BACKEND_URL ?? '',
        OPERATIONS_PASSPHRASE: environment.passphrase,
        NPM_INSTALL_TOKEN: token,
        REGISTRY_PASSWORD: environment.secrets.DEVOPS_REGISTRY_PASSWORD ?? '',
      },
      variables: { NPM_REGISTRY: packages.url, REGISTRY_USERNAME: environment.env.DEVOPS_REGISTRY_USERNAME ?? '' },
      environment: { ...(await engineEnvironment()), ...dockerEnvironment(createContext()), GITHUB_RUN_ID: '5' },
    });

  before(async () => {
    // Containers of builds reach it there.
    packages = await startVerdaccio({ host: NODE_ADDRESS });
    application = await createImagesApplication();
    await publishClient(application, packages);
    environment = await TestEnvironment.create({ application: application.directory });
    firstCommit = await application.commit('feat: the first');
    first = await merge(packages.reader);
    assert.equal(first.exitCode, 0, first.output.slice(-6000));
    images = JSON.parse(first.value('images') ?? '{}') as References;
  });

  after(async () => {
    // Each of them, whatever happens to the others.
    const ends = await Promise.allSettled([packages?.stop(), environment?.remove(), application?.remove()]);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  });

  it('builds with a package of the private registry, and hands on digests that can be pulled', async () => {
    assert.equal(first.value('version'), firstCommit);
    assert.deepEqual(Object.keys(images.orders ?? {}).sort(), ['main', 'migrations']);
    for (const [target, reference] of Object.entries(images.orders ?? {})) {
      assert.match(reference, new RegExp(`^${REGISTRY_ADDRESS}/${application.path(target)}@sha256:[0-9a-f]{64}$`));
      const digest = reference.slice(reference.indexOf('@') + 1);
      const answer = await application.registry('GET', `${application.path(target)}/manifests/${digest}`);
      assert.equal(answer.status, 200);
    }
    const main = images.orders?.main ?? '';
    // It says "function" only when the private package is there.
    assert.equal(await runsAs(environment, main), 'function');
    const summary = first.summaries.join('\n');
    assert.match(summary, /2 built, 0 unchanged/);
    assert.ok(summary.includes(main.slice(main.indexOf('@') + 1)), summary);
  });

  it('leaves the token in no layer and no history of the image, and nowhere in what it says', async () => {
    const main = await manifestOf(application, 'main', firstCommit);
    const token = packages.reader;
    const wanted = [token, Buffer.from(token).toString('base64'), '@example/orders-client'];
    // The last one shows that what is there is found.
    assert.deepEqual(await found(application, 'main', main, wanted), ['@example/orders-client']);
    assert.deepEqual(first.leaked, []);
  });

  it('describes the images: source as a label, SBOM and provenance in the registry', async () => {
    for (const target of ['main', 'migrations']) {
      const { Labels } = await configOf(application, target, firstCommit);
      assert.equal(Labels?.['org.opencontainers.image.source'], 'https://github.com/example/orders');
      assert.equal(Labels?.['org.opencontainers.image.title'], target === 'main' ? 'orders' : 'orders-migrations');
      const statements = await statementsOf(application, target, firstCommit);
      assert.deepEqual(statements.map(({ predicateType }) => predicateType).sort(), [PROVENANCE, SBOM].sort());
      const digest = images.orders?.[target]?.split('@sha256:')[1];
      for (const { subject } of statements)
        assert.deepEqual(
          subject.map((one) => one.digest.sha256),
          [digest],
        );
    }
    const statements = await statementsOf(application, 'main', firstCommit);
    const sbom = statements.find(({ predicateType }) => predicateType === SBOM)?.predicate as SpdxDocument;
    const purls = sbom.packages.flatMap(({ externalRefs }) => externalRefs.map((ref) => ref.referenceLocator));
    assert.ok(purls.includes('pkg:npm/%40example/orders-client@0.1.0'), purls.slice(0, 20).join('\n'));
    assert.ok(
      purls.some((purl) => /^pkg:deb\/debian\/libc6@.+distro=debian-12/.test(purl)),
      'packages of the base image',
    );
    const { predicate } = statements.find(({ predicateType }) => predicateType === PROVENANCE) as unknown as Provenance;
    assert.deepEqual(predicate.buildDefinition.resolvedDependencies[0]?.digest, { gitCommit: firstCommit });
  });

  it('builds nothing for another commit and another token, but gives the images the tag of it', async () => {
    await application.write('README.md', 'another');
    const commit = await application.commit('docs: say more');
    const second = await merge(packages.publisher);
    assert.equal(second.exitCode, 0, second.output.slice(-6000));
    assert.deepEqual(JSON.parse(second.value('built') ?? ''), {});
    assert.deepEqual(JSON.parse(second.value('images') ?? ''), images);
    assert.equal(second.value('version'), commit);
    assert.match(second.summaries.join('\n'), /0 built, 2 unchanged/);
    assert.deepEqual(second.leaked, []);
    for (const target of ['main', 'migrations']) {
      const { digest } = await manifestOf(application, target, commit);
      assert.equal(`${REGISTRY_ADDRESS}/${application.path(target)}@${digest}`, images.orders?.[target]);
      assert.equal((await statementsOf(application, target, commit)).length, 2, 'described once');
    }
  });

  it('costs at most 2 s more than an empty run of the engine when nothing has changed', async () => {
    // From here on the command runs in another folder, which counts as another input once.
    const moved = await command();
    assert.equal(moved.exitCode, 0, moved.output);
    images = JSON.parse(moved.outputs.images ?? '') as References;
    const unchanged = async (): Promise<void> => {
      const { exitCode, output, outputs } = await command();
      assert.equal(exitCode, 0, output);
      assert.deepEqual(JSON.parse(outputs.built ?? ''), {});
    };
    const { empty, flow, seconds, allowed } = await medianOverhead(environment, unchanged, 2);
    const figures = `empty run ${empty.toFixed(2)} s, unchanged images ${flow.toFixed(2)} s: ${seconds.toFixed(2)} s more`;
    console.log(`        ${figures}`);
    assert.ok(seconds <= allowed, `${figures}; ${allowed.toFixed(2)} s are allowed`);
  });

  it('builds only the image whose inputs have changed', async () => {
    await application.write('migrations/9999_more.sql', 'SELECT 1;\n');
    await application.commit('feat: another migration');
    const migration = await command();
    assert.equal(migration.exitCode, 0, migration.output);
    assert.deepEqual(Object.keys((JSON.parse(migration.outputs.built ?? '') as References).orders ?? {}), [
      'migrations',
    ]);
    const after = JSON.parse(migration.outputs.images ?? '') as References;
    assert.equal(after.orders?.main, images.orders?.main);
    assert.notEqual(after.orders?.migrations, images.orders?.migrations);

    await application.edit('src/main.js', (text) => `${text}console.log('more');\n`);
    await application.commit('feat: say more');
    const source = await command();
    assert.equal(source.exitCode, 0, source.output);
    assert.deepEqual(Object.keys((JSON.parse(source.outputs.built ?? '') as References).orders ?? {}), ['main']);
    const last = JSON.parse(source.outputs.images ?? '') as References;
    assert.equal(last.orders?.migrations, after.orders?.migrations);
    assert.notEqual(last.orders?.main, images.orders?.main);
  });

  it('builds anew what somebody has deleted from the registry', async () => {
    const before = await command();
    assert.equal(before.exitCode, 0, before.output);
    const { orders } = JSON.parse(before.outputs.images ?? '') as References;
    const digest = orders?.migrations?.split('@')[1];
    const deleted = await application.registry('DELETE', `${application.path('migrations')}/manifests/${digest}`);
    assert.equal(deleted.status, 202);
    const { exitCode, output, outputs } = await command();
    assert.equal(exitCode, 0, output);
    assert.match(output, /built anew, as the registry does not have it any more/);
    const { digest: again } = await manifestOf(application, 'migrations', outputs.version ?? '');
    const after = JSON.parse(outputs.images ?? '') as References;
    assert.equal(after.orders?.migrations?.split('@')[1], again);
    assert.equal(after.orders?.main, orders?.main);
  });

  describe('mistakes', () => {
    const refuses = async (
      env: Readonly<Record<string, string | undefined>>,
      exitCode: number,
      ...texts: readonly RegExp[]
    ): Promise<void> => {
      const result = await command(env);
      assert.equal(result.exitCode, exitCode, result.output);
      for (const text of texts) assert.match(result.output, text);
    };

    it('says that the token of the private packages is missing', () =>
      refuses({ NODE_AUTH_TOKEN: '' }, 2, /token of the private packages is missing/, /secret install-token/));

    it('says that the registry of the packages refuses the token', async () => {
      await application.edit('package.json', (text) => text.replace('"1.0.0"', '"1.0.1"'));
      await refuses(
        { NODE_AUTH_TOKEN: 'of-somebody-else' },
        1,
        /private packages refuses the token/,
        /secret install-token/,
      );
      await application.git('checkout', '--', 'package.json');
    });

    it('says that the registry refuses the password', () =>
      refuses({ REGISTRY_PASSWORD: 'wrong-password' }, 2, /registry refuses the password/, /registry\.password/));

    it('says that the state is not given', () =>
      refuses({ PULUMI_BACKEND_URL: '' }, 2, /state is missing/, /PULUMI_BACKEND_URL/));

    it('says that a variable of the configuration is not set', () =>
      refuses({ REGISTRY_PASSWORD: '' }, 2, /refers to REGISTRY_PASSWORD, which is not set/));
  });
});
