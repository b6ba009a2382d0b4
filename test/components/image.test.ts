import assert from 'node:assert/strict';
import { Provider } from '@pulumi/docker-build/provider.js';
import * as pulumi from '@pulumi/pulumi';
import * as fc from 'fast-check';
import { ImageBuild, type ImageBuildArguments } from '../../components/image/imageBuild.ts';
import { referenceByDigest, repositoryProblem, serverProblem, tagProblem } from '../../components/image/reference.ts';
import { holds } from '../holds.ts';
import { DIGEST, findingsOf, record, resolved, UNKNOWN } from './mocks.ts';

const built: ImageBuildArguments = {
  mode: 'build',
  tag: 'dev',
  context: 'examples/orders',
  targets: {
    migrations: { repository: 'registry.example.com/team/orders-migrations' },
    main: { repository: 'registry.example.com/team/orders', stage: 'server' },
  },
};

describe('ImageBuild', () => {
  it('builds and pushes one image for each target and hands on digests', async () => {
    const recording = await record();
    const provider = new Provider('registry', {});
    const images = new ImageBuild('orders', built, { providers: [provider] });
    const main = await recording.find('orders-main');
    assert.equal(main.type, 'docker-build:index:Image');
    assert.equal(main.parent, 'orders');
    assert.equal(main.provider, 'registry');
    assert.deepEqual(main.inputs, {
      buildOnPreview: false,
      context: { location: 'examples/orders' },
      dockerfile: { location: 'examples/orders/Dockerfile' },
      labels: { 'org.opencontainers.image.title': 'orders', 'org.opencontainers.image.version': 'dev' },
      network: 'default',
      push: true,
      tags: ['registry.example.com/team/orders:dev'],
      target: 'server',
    });
    assert.equal((await recording.find('orders-migrations')).inputs.target, 'migrations');
    assert.deepEqual(Object.keys(images.images), ['main', 'migrations']);
    assert.deepEqual(await resolved(images.images.main), {
      value: `registry.example.com/team/orders@${DIGEST}`,
      secret: false,
    });
  });

  it('keeps secrets of the build secret and out of the arguments', async () => {
    const recording = await record();
    new ImageBuild('orders', {
      ...built,
      buildArguments: { B: 'two', A: pulumi.output('one') },
      secrets: { npmrc: 'canary' },
    });
    const { inputs } = await recording.find('orders-main');
    assert.deepEqual(inputs.secrets, { secret: { npmrc: 'canary' } });
    // A renewed token makes no other image.
    assert.deepEqual(inputs.ignoreSecretsInDiffCalculation, ['npmrc']);
    assert.deepEqual(inputs.buildArgs, { A: 'one', B: 'two' });
    assert.ok(!JSON.stringify({ ...inputs, secrets: undefined }).includes('canary'));
  });

  it('builds a target by a Dockerfile of its own', async () => {
    const recording = await record();
    const { main, migrations } = built.targets;
    assert.ok(main && migrations);
    new ImageBuild('orders', {
      ...built,
      targets: { main, migrations: { ...migrations, dockerfile: 'examples/orders/migrations.Dockerfile' } },
    });
    const location = async (name: string) => (await recording.find(name)).inputs.dockerfile;
    assert.deepEqual(await location('orders-main'), { location: 'examples/orders/Dockerfile' });
    assert.deepEqual(await location('orders-migrations'), { location: 'examples/orders/migrations.Dockerfile' });
  });

  it('passes platforms, labels, previews and caches on', async () => {
    const recording = await record();
    const more = { platforms: ['linux/arm64', 'linux/amd64'], labels: { team: 'shop' }, buildOnPreview: true };
    new ImageBuild('inline', { ...built, ...more, cache: 'inline', dockerfile: 'other/Dockerfile' });
    new ImageBuild('beside', { ...built, cache: 'registry' });
    const inline = (await recording.find('inline-main')).inputs;
    assert.deepEqual(inline.platforms, ['linux/amd64', 'linux/arm64']);
    assert.equal((inline.labels as Record<string, string>).team, 'shop');
    assert.equal(inline.buildOnPreview, true);
    assert.deepEqual(inline.dockerfile, { location: 'other/Dockerfile' });
    assert.deepEqual(inline.cacheFrom, [{ registry: { ref: 'registry.example.com/team/orders:dev' } }]);
    assert.deepEqual(inline.cacheTo, [{ inline: {} }]);
    const beside = (await recording.find('beside-main')).inputs;
    assert.deepEqual(beside.cacheFrom, [{ registry: { ref: 'registry.example.com/team/orders:buildcache' } }]);
    assert.deepEqual(beside.cacheTo, [
      { registry: { ref: 'registry.example.com/team/orders:buildcache', mode: 'max', ignoreError: true } },
    ]);
  });

  it('looks up the digest of what exists and registers no image', async () => {
    const recording = await record();
    const images = new ImageBuild('orders', { ...built, mode: 'existing', context: undefined });
    assert.deepEqual(await resolved(images.images.migrations), {
      value: `registry.example.com/team/orders-migrations@${DIGEST}`,
      secret: false,
    });
    assert.deepEqual(
      (await recording.registrations()).map((one) => one.type),
      ['development-operations:image:ImageBuild'],
    );
    assert.deepEqual(recording.calls.map((call) => [call.token, call.inputs.name]).sort(), [
      ['docker:index/getRegistryImage:getRegistryImage', 'registry.example.com/team/orders-migrations:dev'],
      ['docker:index/getRegistryImage:getRegistryImage', 'registry.example.com/team/orders:dev'],
    ]);
  });

  it('does not know, in a preview, the digest of an image that may be missing and is', async () => {
    const missing: ImageBuildArguments = { ...built, mode: 'existing', mayBeMissing: true };
    const refuse = (message: string) => () => {
      // The way of an error through gRPC.
      throw Object.assign(new Error(message), { details: message });
    };
    const main = () => resolved(new ImageBuild('orders', missing).images.main);
    await record({ preview: true });
    assert.equal((await main()).value, `registry.example.com/team/orders@${DIGEST}`);
    await record({ preview: true, call: refuse('the image "orders:dev" does not exist') });
    assert.equal((await main()).value, UNKNOWN);
  });

  it('hands on nothing for an image that a targeted update leaves out', async () => {
    await record({ outputs: { 'docker-build:index:Image': () => ({ digest: undefined }) } });
    assert.deepEqual(await resolved(new ImageBuild('orders', built).images.main), { value: '', secret: false });
  });

  it('does not know the digest in the preview of a first build', async () => {
    await record({ preview: true });
    const images = new ImageBuild('orders', built);
    assert.deepEqual(await resolved(images.images.main), { value: UNKNOWN, secret: false });
  });

  it('names every invalid argument at once', async () => {
    await record();
    const found = findingsOf(
      () =>
        new ImageBuild('orders', {
          mode: 'build',
          tag: '-no',
          targets: { Main: { repository: 'orders' }, one: { repository: 'r.io/a:b' }, two: { repository: 'r.io/a:b' } },
          buildArguments: { NPM_TOKEN: 'x' },
          platforms: ['amd64'],
        }),
    );
    assert.deepEqual(
      found.map((line) => line.split(':')[0]),
      [
        'tag',
        'context',
        'targets.Main',
        'targets.Main.repository',
        'targets.one.repository',
        'targets.two.repository',
        'targets.two.repository',
        'buildArguments.NPM_TOKEN',
        'platforms',
      ],
    );
    assert.match(found[7] ?? '', /use `secrets`/);
    assert.match(findingsOf(() => new ImageBuild('none', { ...built, targets: {} }))[0] ?? '', /^targets: is empty/);
  });
});

describe('references of images', () => {
  it('accept what the grammar allows', () => {
    for (const good of ['r.io/a', 'localhost:5000/a/b', '127.0.0.1:15000/base/node', 'r.io/a__b/c-d.e']) {
      assert.equal(repositoryProblem(good), undefined, good);
    }
  });

  it('refuse what it does not', () => {
    for (const bad of ['a', 'r.io/A', 'r.io/a:tag', `r.io/a@${DIGEST}`, 'r.io//a', 'https://r.io/a', 'r.io:99999/a']) {
      assert.ok(repositoryProblem(bad), bad);
    }
    assert.match(serverProblem('https://r.io') ?? '', /scheme/);
  });

  it('take a digest for a digest only', () => {
    holds(
      fc.property(fc.string(), (text) => {
        fc.pre(!/^sha256:[a-f0-9]{64}$/.test(text));
        assert.throws(() => referenceByDigest('r.io/a', text), /expected "sha256:"/);
      }),
    );
  });

  it('know tags', () => {
    holds(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/), (tag) => tagProblem(tag) === undefined),
    );
    holds(fc.property(fc.stringMatching(/^[.-].*$/), (tag) => tagProblem(tag) !== undefined));
  });
});
