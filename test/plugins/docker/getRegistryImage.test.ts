import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentialsFromConfig, findCredentials } from '../../../plugins/docker/credentials.ts';
import { plugin } from '../../../plugins/docker/plugin.ts';
import { parseReference, registryHost } from '../../../plugins/docker/reference.ts';
import { RegistryClient } from '../../../plugins/docker/registryClient.ts';
import { type PropertyMap, Secret } from '../../../plugins/framework/values.ts';
import { startRegistry, type TestRegistry } from '../../support/registry.ts';
import { connect } from '../client.ts';

const TOKEN = 'docker:index/getRegistryImage:getRegistryImage';
const TYPE = 'application/vnd.oci.image.manifest.v1+json';

/** Puts an image without layers into a registry with plain requests. Returns its digest. */
async function putImage(registry: TestRegistry, repository: string, tag: string): Promise<string> {
  const config = JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } });
  const digest = `sha256:${createHash('sha256').update(config).digest('hex')}`;
  const started = await registry.request('POST', `/v2/${repository}/blobs/uploads/`);
  const location = new URL(started.headers.get('location') ?? '', `http://${registry.address}`);
  location.searchParams.set('digest', digest);
  const authorization = `Basic ${Buffer.from(`${registry.username}:${registry.password}`).toString('base64')}`;
  const headers = { authorization, 'content-type': 'application/octet-stream' };
  assert.equal((await fetch(location, { method: 'PUT', headers, body: config })).status, 201);
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: TYPE,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', size: config.length, digest },
    layers: [],
  });
  const put = await fetch(`http://${registry.address}/v2/${repository}/manifests/${tag}`, {
    method: 'PUT',
    headers: { authorization, 'content-type': TYPE },
    body: manifest,
  });
  assert.equal(put.status, 201);
  return `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
}

describe('docker: getRegistryImage', function () {
  this.timeout(30_000);
  let registry: TestRegistry;
  let digest: string;
  const environment = { ...process.env };
  before(async () => {
    registry = await startRegistry();
    digest = await putImage(registry, 'team/app', 'v1');
  });
  after(() => registry?.stop());
  beforeEach(() => {
    // The user's own configuration must not decide these tests.
    process.env.DOCKER_CONFIG = '/nonexistent';
  });
  afterEach(() => {
    process.env.PATH = environment.PATH;
    if (environment.DOCKER_CONFIG === undefined) delete process.env.DOCKER_CONFIG;
    else process.env.DOCKER_CONFIG = environment.DOCKER_CONFIG;
  });

  async function ask(config: PropertyMap, name = `${registry.address}/team/app:v1`): Promise<PropertyMap> {
    const client = await connect(plugin);
    try {
      await client.configure(config);
      return (await client.invoke(TOKEN, { name })).result;
    } finally {
      await client.close();
    }
  }
  const auth = (more: PropertyMap = {}): PropertyMap => ({
    registryAuth: [
      { address: registry.address, username: registry.username, password: new Secret(registry.password), ...more },
    ],
  });

  it('gives the digest of a tag, in the official shape', async () => {
    const name = `${registry.address}/team/app:v1`;
    assert.deepEqual(await ask(auth()), { id: digest, insecureSkipVerify: false, name, sha256Digest: digest });
    assert.equal((await ask(auth(), `${registry.address}/team/app@${digest}`)).sha256Digest, digest);
  });

  it('takes registryAuth as JSON text, with http:// and from a configuration', async () => {
    const list = [{ address: `http://${registry.address}`, username: registry.username, password: registry.password }];
    assert.equal((await ask({ registryAuth: JSON.stringify(list) })).id, digest);
    const entry = Buffer.from(`${registry.username}:${registry.password}`).toString('base64');
    const configFileContent = JSON.stringify({ auths: { [registry.address]: { auth: entry } } });
    assert.equal((await ask({ registryAuth: [{ address: registry.address, configFileContent }] })).id, digest);
  });

  it('says what is wrong, without the password', async () => {
    await assert.rejects(ask({}), /asks for credentials and none are configured for 127\.0\.0\.1/);
    await assert.rejects(ask(auth({ password: 'wrong-one' })), (error: Error) => {
      assert.match(error.message, /refuses the username or password/);
      assert.ok(!error.message.includes('wrong-one'));
      return true;
    });
    await assert.rejects(ask(auth(), `${registry.address}/team/app:v2`), /does not exist: check its name and tag/);
    await assert.rejects(ask({}, '127.0.0.1:1/team/app:v1'), /127\.0\.0\.1:1 cannot be reached: ECONNREFUSED/);
    await assert.rejects(ask({ registryAuth: [{ username: 'x' }] }), /registryAuth\[0\]\.address/);
  });

  it('other functions and types name the official plugin', async () => {
    const client = await connect(plugin);
    await client.configure();
    await assert.rejects(
      client.invoke('docker:index/getNetwork:getNetwork'),
      /plugin install resource docker v5\.2\.0/,
    );
    await assert.rejects(client.check('docker:index/container:Container', 'x', {}), /install resource docker v5/);
    await client.close();
  });

  it('asks the credential helper of the docker configuration', async () => {
    const home = await mkdtemp(join(tmpdir(), 'devops-config-'));
    try {
      const answer = JSON.stringify({ Username: registry.username, Secret: registry.password });
      const script = `#!/bin/sh\n[ "$1" = get ] && read -r server || [ -n "$server" ] && [ "$server" = "${registry.address}" ] && echo '${answer}'\n`;
      await writeFile(join(home, 'docker-credential-devopstest'), script, { mode: 0o755 });
      await writeFile(join(home, 'config.json'), JSON.stringify({ credHelpers: { [registry.address]: 'devopstest' } }));
      process.env.DOCKER_CONFIG = home;
      process.env.PATH = `${home}:${environment.PATH}`;
      assert.equal((await ask({})).id, digest);
      await writeFile(join(home, 'config.json'), JSON.stringify({ credsStore: 'devopsmissing' }));
      await assert.rejects(ask({}), /docker-credential-devopsmissing, which is not on PATH/);
      await writeFile(join(home, 'config.json'), '{"auths": secret-text');
      await assert.rejects(ask({}), (error: Error) => {
        assert.match(error.message, /config\.json is not valid JSON/);
        return !error.message.includes('secret-text');
      });
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });

  it('gets a bearer token where the registry asks for one', async () => {
    const guarded = await startRegistry({ authentication: 'token' });
    try {
      const reference = parseReference(`${guarded.address}/team/app:v1`);
      const client = new RegistryClient(guarded.address, { credentials: guarded });
      // Empty, but the token was accepted: without one the answer is 401.
      assert.equal(await client.digest(reference), undefined);
      assert.deepEqual(guarded.scopes, ['repository:team/app:pull']);
      const wrong = new RegistryClient(guarded.address, { credentials: { username: 'tester', password: 'no' } });
      await assert.rejects(wrong.digest(reference), /refuses the username or password/);
      await assert.rejects(new RegistryClient(guarded.address).digest(reference), /none are configured/);
    } finally {
      await guarded.stop();
    }
  });
});

describe('docker: references and credentials', () => {
  it('are read as docker reads them', () => {
    const parts = (text: string) => {
      const { registry, repository, tag } = parseReference(text);
      return [registry, repository, tag];
    };
    assert.deepEqual(parts('node'), ['docker.io', 'library/node', undefined]);
    assert.deepEqual(parts('team/app:1'), ['docker.io', 'team/app', '1']);
    assert.deepEqual(parts('localhost/app:1'), ['localhost', 'app', '1']);
    assert.deepEqual(parts('r.example.com:5000/a/b/c'), ['r.example.com:5000', 'a/b/c', undefined]);
    for (const wrong of ['', 'App', 'a//b', 'a:!', 'a@sha256:1', 'r.io/']) assert.throws(() => parseReference(wrong));
    assert.equal(registryHost('https://index.docker.io/v1/'), 'docker.io');
  });

  it('plain entries are found by host, whatever their form', async () => {
    const auths = { 'https://r.example.com/v2/': { auth: Buffer.from('u:p:q').toString('base64') } };
    assert.deepEqual(await credentialsFromConfig({ auths }, 'r.example.com'), { username: 'u', password: 'p:q' });
    assert.equal(await credentialsFromConfig({ auths }, 'other.example.com'), undefined);
    const own = [
      { address: 'r.example.com', username: 'a', password: '1' },
      { address: 'https://r.example.com', username: 'b', password: '2' },
    ];
    assert.equal((await findCredentials('r.example.com', own))?.username, 'b');
  });
});
