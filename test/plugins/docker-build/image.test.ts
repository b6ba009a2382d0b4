import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { plugin } from '../../../plugins/docker-build/plugin.ts';
import {
  containsSecret,
  isSecret,
  type PropertyMap,
  Secret,
  UNKNOWN,
  unwrapMap,
} from '../../../plugins/framework/values.ts';
import { startDocker, type TestDocker } from '../../support/docker.ts';
import { startRegistry, type TestRegistry } from '../../support/registry.ts';
import { connect, type Existing, type PluginClient } from '../client.ts';
import { commandLines, DOCKERFILE, readdirRecursive, TOOL, until } from './helpers.ts';

const IMAGE = 'docker-build:index:Image';
const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';

describe('docker-build: Image', function () {
  this.timeout(120_000);
  let docker: TestDocker;
  let registry: TestRegistry;
  let client: PluginClient;
  let context: string;
  const canary = `canary-${randomBytes(12).toString('hex')}`;
  const environment = { ...process.env };

  before(async () => {
    // The plugin finds buildx as a user's would be found, or where this variable says.
    const buildx = process.env.DEVOPS_BUILDX ?? join(homedir(), '.docker', 'cli-plugins', 'docker-buildx');
    assert.ok(existsSync(buildx), 'docker-buildx is missing: set DEVOPS_BUILDX to its path');
    context = await mkdtemp(join(tmpdir(), 'devops-context-'));
    await writeFile(join(context, 'tool.c'), TOOL);
    execFileSync('gcc', ['-static', '-Os', '-o', join(context, 'tool'), join(context, 'tool.c')]);
    [docker, registry] = await Promise.all([startDocker(), startRegistry()]);
    client = await connect(plugin);
    await client.configure({ host: docker.host });
  });
  after(async () => {
    await client?.close();
    // The daemon may be one that outlives these tests.
    await removeImages().catch(() => undefined);
    await Promise.allSettled([docker?.stop(), registry?.stop()]);
    if (context) await rm(context, { recursive: true, force: true });
    assert.deepEqual(privateConfigs(), [], 'private docker configurations were left behind');
  });
  async function removeImages(): Promise<void> {
    const lines = await docker.docker('image', 'ls', '--format', '{{.Repository}} {{.ID}}');
    const own = lines.split('\n').filter((line) => line.startsWith(`${registry.address}/`));
    const ids = new Set(own.map((line) => line.split(' ')[1] ?? ''));
    if (ids.size > 0) await docker.docker('image', 'rm', '--force', ...ids);
  }

  beforeEach(async () => {
    await writeFile(join(context, 'Dockerfile'), DOCKERFILE);
    await writeFile(join(context, '.dockerignore'), 'ignored\n*.c\n');
    await writeFile(join(context, 'app.txt'), randomBytes(8).toString('hex'));
    await writeFile(join(context, 'migrations.txt'), randomBytes(8).toString('hex'));
  });
  afterEach(() => {
    for (const key of ['DOCKER_CONFIG', 'PATH']) {
      if (environment[key] === undefined) delete process.env[key];
      else process.env[key] = environment[key];
    }
  });

  const privateConfigs = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('devops-docker-'));

  function inputs(repository: string, target: string, more: PropertyMap = {}): PropertyMap {
    return {
      context: { location: context },
      network: 'none',
      push: true,
      registries: [{ address: registry.address, username: registry.username, password: registry.password }],
      tags: [`${registry.address}/${repository}:v1`],
      target,
      ...more,
    };
  }

  async function registryDigest(repository: string, reference = 'v1'): Promise<string | undefined> {
    const answer = await registry.request('HEAD', `/v2/${repository}/manifests/${reference}`, { accept: MANIFEST });
    return answer.status === 200 ? (answer.headers.get('docker-content-digest') ?? '') : undefined;
  }

  async function failure(work: Promise<unknown>): Promise<string> {
    try {
      await work;
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error('it did not fail');
  }

  it('builds and pushes two targets side by side; digest, ref and id are what the registry has', async () => {
    const [main, migrations] = await Promise.all([
      client.checkAndCreate(IMAGE, 'main', inputs('two/main', 'main', { secrets: { token: canary } })),
      client.checkAndCreate(IMAGE, 'migrations', inputs('two/migrations', 'migrations')),
    ]);
    for (const [image, repository] of [
      [main, 'two/main'],
      [migrations, 'two/migrations'],
    ] as const) {
      const digest = await registryDigest(repository);
      assert.match(digest ?? '', /^sha256:[0-9a-f]{64}$/);
      assert.equal(image.state.digest, digest);
      assert.equal(image.id, digest);
      assert.equal(image.state.ref, `${registry.address}/${repository}:v1@${digest}`);
      assert.match(String(image.state.contextHash), /^[0-9a-f]{64}$/);
    }
    assert.notEqual(main.id, migrations.id);
    const { contextHash, digest, ref, ...rest } = main.state;
    assert.deepEqual(unwrapMap(rest), unwrapMap(main.inputs));
  });

  it('shows a changed file as a change of contextHash, and an ignored one or a new password as none', async () => {
    const given = inputs('diff/main', 'migrations');
    const image = await client.checkAndCreate(IMAGE, 'diff', given);
    const changes = async (news: PropertyMap) => {
      const { inputs: checked } = await client.check(IMAGE, 'diff', news, image.inputs);
      return client.diff(IMAGE, 'diff', image, checked);
    };
    assert.equal((await changes(given)).changes, false);
    await writeFile(join(context, 'ignored'), 'x');
    await writeFile(join(context, 'more.c'), 'x');
    assert.equal((await changes(given)).changes, false);
    const registries = [{ address: registry.address, username: registry.username, password: 'rotated' }];
    assert.equal((await changes({ ...given, registries })).changes, false);
    const renamed = [{ address: registry.address, username: 'other', password: registry.password }];
    const diff = await changes({ ...given, registries: renamed, target: 'main', secrets: { token: 'a' } });
    assert.deepEqual(Object.keys(diff.detailedDiff ?? {}).sort(), ['registries[0]', 'secrets', 'target']);
    await writeFile(join(context, 'migrations.txt'), 'changed');
    const changed = await changes(given);
    assert.deepEqual(changed.detailedDiff, { contextHash: { kind: 'update', inputDiff: false } });
    assert.deepEqual(changed.replaces, []);

    const updated = await client.update(IMAGE, 'diff', image, image.inputs);
    assert.notEqual(updated.state.digest, image.state.digest);
    assert.equal(updated.state.digest, await registryDigest('diff/main'));
    assert.equal((await client.diff(IMAGE, 'diff', { ...image, state: updated.state }, image.inputs)).changes, false);
  });

  it('a secret reaches the build, and neither arguments, history, layers nor plain state', async () => {
    const seen: string[] = [];
    const timer = setInterval(() => seen.push(...commandLines()), 50);
    let image: Existing;
    try {
      image = await client.checkAndCreate(
        IMAGE,
        'secret',
        inputs('secret/main', 'main', { secrets: { token: canary }, tags: [`${registry.address}/secret/main:v1`] }),
      );
    } finally {
      clearInterval(timer);
    }
    const builds = seen.filter((line) => line.includes('--metadata-file') && line.includes('secret/main'));
    assert.ok(builds.length > 0, 'the running build was not seen');
    assert.ok(builds.every((line) => line.includes('id=token,env=')));
    const forbidden = [canary, registry.password, Buffer.from(canary).toString('base64')];
    for (const value of forbidden) assert.ok(!seen.some((line) => line.includes(value)), 'a secret in arguments');

    assert.ok(isSecret(image.state.secrets) && isSecret(image.inputs.secrets));
    assert.ok(!containsSecret(image.state.ref ?? null) && !containsSecret(image.state.digest ?? null));
    assert.ok(!JSON.stringify(image).includes(canary) && !JSON.stringify(image).includes(registry.password));

    const tag = `${registry.address}/secret/main:v1`;
    assert.ok(!(await docker.docker('history', '--no-trunc', tag)).includes(canary));
    const saved = await mkdtemp(join(tmpdir(), 'devops-saved-'));
    try {
      await docker.docker('save', '--output', join(saved, 'image.tar'), tag);
      execFileSync('tar', ['-xf', join(saved, 'image.tar'), '-C', saved]);
      const layers = (await readdirRecursive(saved)).map((file) => readFileSync(file, 'latin1'));
      assert.ok(layers.some((text) => text.includes(String(canary.length)) && text.includes('length')));
      assert.ok(!layers.some((text) => text.includes(canary)), 'the secret is in the image');
    } finally {
      await rm(saved, { recursive: true, force: true });
    }
  });

  it('a failing step shows its output without the secret', async () => {
    const work = client.checkAndCreate(IMAGE, 'broken', inputs('x/broken', 'broken', { secrets: { token: canary } }));
    const message = await failure(work);
    assert.match(message, /docker buildx build failed/);
    assert.match(message, /the tool has failed as asked/);
    assert.match(message, /\[broken 1\/1\] RUN/);
    assert.match(message, /\[secret\]/);
    assert.ok(!message.includes(canary), message);
  });

  it('a wrong password is named as such', async () => {
    const registries = [{ address: registry.address, username: registry.username, password: 'wrong-password' }];
    const message = await failure(
      client.checkAndCreate(IMAGE, 'denied', inputs('x/denied', 'migrations', { registries })),
    );
    assert.match(message, /The registry refuses the credentials/);
    assert.ok(!message.includes('wrong-password'), message);
    assert.equal(await registryDigest('x/denied'), undefined);
  });

  it("the provider's own registries serve every image, the image's come first", async () => {
    const other = await connect(plugin);
    try {
      const { address, username, password } = registry;
      const list = [{ address: `https://${address}/v2/`, username, password }];
      await other.configure({ host: docker.host, registries: new Secret(JSON.stringify(list)) });
      const image = await other.checkAndCreate(IMAGE, 'all', inputs('x/all', 'migrations', { registries: [] }));
      assert.equal(image.state.digest, await registryDigest('x/all'));
      const wrong = inputs('x/all', 'migrations', { registries: [{ address, username, password: 'wrong-password' }] });
      assert.match(await failure(other.checkAndCreate(IMAGE, 'all', wrong)), /The registry refuses the credentials/);
    } finally {
      await other.close();
    }
  });

  it('a cancelled build ends', async () => {
    const other = await connect(plugin);
    try {
      await other.configure({ host: docker.host });
      await writeFile(join(context, 'app.txt'), 'cancelled');
      const work = other.checkAndCreate(
        IMAGE,
        'x',
        inputs('x/cancelled', 'main', { noCache: true, secrets: { token: 'abcd' } }),
      );
      const rejected = assert.rejects(work);
      await until(() => commandLines().some((line) => line.includes('x/cancelled')));
      await other.cancel();
      await rejected;
      await until(() => !commandLines().some((line) => line.includes('x/cancelled')));
      assert.equal(await registryDigest('x/cancelled'), undefined);
    } finally {
      await other.close();
    }
  });

  it("uses the user's docker configuration where no registries are given, also through a credential helper", async () => {
    const home = await mkdtemp(join(tmpdir(), 'devops-config-'));
    try {
      const helper = join(home, 'docker-credential-devopstest');
      const answer = JSON.stringify({ Username: registry.username, Secret: registry.password });
      await writeFile(
        helper,
        `#!/bin/sh\nread -r server\ncase "$server" in ${registry.address}) echo '${answer}';; *) echo 'credentials not found in native keychain'; exit 1;; esac\n`,
        { mode: 0o755 },
      );
      await writeFile(join(home, 'config.json'), JSON.stringify({ credsStore: 'devopstest' }));
      process.env.DOCKER_CONFIG = home;
      process.env.PATH = `${home}:${environment.PATH}`;
      const image = await client.checkAndCreate(IMAGE, 'helper', inputs('x/helper', 'migrations', { registries: [] }));
      assert.equal(image.state.digest, await registryDigest('x/helper'));
      assert.equal((await client.read(IMAGE, 'helper', image)).id, image.id);
      assert.equal(await readFile(join(home, 'config.json'), 'utf8'), '{"credsStore":"devopstest"}');
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });

  it('a preview builds without pushing, or does not build', async () => {
    const options = { preview: true };
    const { inputs: checked } = await client.check(
      IMAGE,
      'p',
      inputs('x/preview', 'main', { secrets: { token: 'abcd' } }),
    );
    const previewed = await client.create(IMAGE, 'p', checked, options);
    assert.equal(previewed.state.digest, UNKNOWN);
    assert.equal(previewed.state.ref, UNKNOWN);
    assert.equal(await registryDigest('x/preview'), undefined);
    // The build of the preview fails where the real one would; without it nothing runs.
    const broken = { ...checked, target: 'broken' };
    assert.match(await failure(client.create(IMAGE, 'p', broken, options)), /the tool has failed as asked/);
    await client.create(IMAGE, 'p', { ...broken, buildOnPreview: false }, options);
    await client.create(IMAGE, 'p', { ...broken, tags: [UNKNOWN] }, options);
  });

  it('refuses what cannot work before anything is built', async () => {
    const failures = async (more: PropertyMap) =>
      (await client.check(IMAGE, 'c', inputs('x/c', 'main', more))).failures;
    assert.deepEqual(await failures({}), []);
    const [argument] = await failures({ buildArgs: { TOKEN: new Secret('hush'), MODE: 'x' } });
    assert.equal(argument?.property, 'buildArgs.TOKEN');
    assert.match(argument?.reason ?? '', /pass it in "secrets"/);
    assert.match((await failures({ target: 'nowhere' }))[0]?.reason ?? '', /no stage "nowhere".*main, migrations/);
    assert.equal((await failures({ context: { location: '/does/not/exist' } }))[0]?.property, 'context.location');
    assert.equal((await failures({ tags: ['UPPER/Case:1:2'] }))[0]?.property, 'tags[0]');
    assert.equal((await failures({ tags: [] }))[0]?.property, 'tags');
    assert.equal((await failures({ tag: 'x' }))[0]?.property, 'tag');
    assert.deepEqual(await failures({ tags: [UNKNOWN], target: UNKNOWN, secrets: { token: UNKNOWN } }), []);
    await writeFile(join(context, 'Dockerfile'), 'FROM scratch AS main\nCOPPY a b\n');
    assert.match((await failures({}))[0]?.reason ?? '', /line 2: "COPPY"/);
  });

  it('read finds an image that is gone; delete removes it and is content when it is gone already', async () => {
    const image = await client.checkAndCreate(IMAGE, 'gone', inputs('x/gone', 'migrations'));
    const read = await client.read(IMAGE, 'gone', image);
    assert.equal(read.id, image.id);
    assert.deepEqual(unwrapMap(read.state), unwrapMap(image.state));
    await client.delete(IMAGE, 'gone', image);
    assert.equal(await registryDigest('x/gone', image.id), undefined);
    assert.equal((await client.read(IMAGE, 'gone', image)).id, '');
    assert.equal((await docker.docker('image', 'ls', '--quiet', `${registry.address}/x/gone`)).trim(), '');
    await client.delete(IMAGE, 'gone', image);
  });

  it('read leaves the state alone when the registry cannot be asked', async () => {
    const image = await client.checkAndCreate(IMAGE, 'asked', inputs('x/asked', 'migrations'));
    const registries = [{ address: registry.address, username: registry.username, password: 'expired' }];
    const read = await client.read(IMAGE, 'asked', { ...image, inputs: { ...image.inputs, registries } });
    assert.equal(read.id, image.id);
  });

  it('loads, tars and takes labels, build arguments and an inline Dockerfile', async () => {
    const archive = join(context, 'ignored');
    const image = await client.checkAndCreate(IMAGE, 'inline', {
      addHosts: ['example.internal:10.0.0.1'],
      buildArgs: { NAME: 'value with spaces' },
      context: { location: context },
      dockerfile: { inline: 'FROM scratch\nARG NAME\nLABEL name=$NAME\nCOPY app.txt /file\n' },
      labels: { 'org.example.note': 'a, "quoted" label' },
      load: true,
      tags: ['devops-inline-test:1'],
    });
    assert.equal(image.state.ref, 'devops-inline-test:1');
    const labels = await docker.docker(
      'image',
      'inspect',
      '--format',
      '{{json .Config.Labels}}',
      'devops-inline-test:1',
    );
    assert.deepEqual(JSON.parse(labels), { name: 'value with spaces', 'org.example.note': 'a, "quoted" label' });
    await client.delete(IMAGE, 'inline', image);
    await assert.rejects(docker.docker('image', 'inspect', 'devops-inline-test:1'));

    const tar = await client.checkAndCreate(IMAGE, 'tar', {
      context: { location: context },
      exports: [{ tar: { dest: archive } }],
      target: 'migrations',
    });
    assert.ok(execFileSync('tar', ['-tf', archive]).toString().includes('migrations.txt'));
    await rm(archive);
    const diff = await client.diff(IMAGE, 'tar', tar, tar.inputs);
    assert.deepEqual(Object.keys(diff.detailedDiff ?? {}), ['exports[0]']);
  });

  it('a daemon that does not answer is named', async () => {
    const other = await connect(plugin);
    try {
      await other.configure({ host: 'unix:///tmp/no-daemon-here.sock' });
      const message = await failure(other.checkAndCreate(IMAGE, 'x', inputs('x/x', 'migrations')));
      assert.match(message, /The docker daemon at unix:\/\/\/tmp\/no-daemon-here.sock \(DOCKER_HOST\) does not answer/);
    } finally {
      await other.close();
    }
  });

  it('other types name the official plugin', async () => {
    const message = await failure(client.check('docker-build:index:Index', 'x', {}));
    assert.match(message, /pulumi plugin install resource docker-build v0\.0\.22/);
  });
});
