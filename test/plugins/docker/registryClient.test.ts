import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { attachArtifactToImage } from '@sigstore/oci';
import { parseReference, type Reference } from '../../../plugins/docker/reference.ts';
import { RegistryClient, RegistryError } from '../../../plugins/docker/registryClient.ts';
import { startRegistry, type TestRegistry } from '../../support/registry.ts';

const CONFIG = JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } });

for (const authentication of ['htpasswd', 'token'] as const) {
  describe(`the registry's client, authentication ${authentication}`, function () {
    this.timeout(60_000);
    let registry: TestRegistry;
    let client: RegistryClient;
    let image: Reference;

    const clientWith = (password: string): RegistryClient =>
      new RegistryClient(registry.address, { credentials: { username: registry.username, password } });
    const named = (tag: string): Reference => parseReference(`${registry.address}/team/app:${tag}`);

    before(async () => {
      registry = await startRegistry({ authentication });
      client = clientWith(registry.password);
      // An index without manifests is the smallest thing that can be tagged.
      const content = Buffer.from(
        JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] }),
      );
      const first = named('one');
      await client.tag({ mediaType: 'application/vnd.oci.image.index.v1+json', digest: '', content }, first);
      image = { ...first, tag: undefined, digest: await client.digest(first) };
    });
    after(() => registry?.stop());

    it('tells whether the credentials are taken', async () => {
      await clientWith(registry.password).authenticate();
      await assert.rejects(clientWith('wrong').authenticate(), (error: unknown) => {
        assert.ok(error instanceof RegistryError);
        assert.equal(error.status, 401);
        assert.match(error.message, /refuses the username or password/);
        return true;
      });
    });

    it('puts a manifest under another tag, byte by byte', async () => {
      const fresh = clientWith(registry.password);
      const manifest = await fresh.manifest(image);
      assert.ok(manifest);
      assert.equal(manifest.digest, image.digest);
      assert.equal(manifest.mediaType, 'application/vnd.oci.image.index.v1+json');
      await fresh.tag(manifest, named('two'));
      assert.equal(await fresh.digest(named('two')), image.digest);
      assert.equal(await fresh.digest(named('one')), image.digest);
    });

    it('has no manifest under a tag that nobody pushed', async () => {
      assert.equal(await client.manifest(named('none')), undefined);
    });

    it('lists what is attached to an image, and reads it', async () => {
      assert.deepEqual(await client.referrers(image), []);
      await attachArtifactToImage({
        credentials: { username: registry.username, password: registry.password },
        imageName: `${registry.address}/team/app`,
        imageDigest: image.digest ?? '',
        mediaType: 'application/vnd.in-toto+json',
        artifact: Buffer.from(CONFIG),
        annotations: { 'in-toto.io/predicate-type': 'https://example.com/p' },
      });
      const [attached, ...more] = await client.referrers(image);
      assert.ok(attached);
      assert.deepEqual(more, []);
      assert.equal(attached.artifactType, 'application/vnd.in-toto+json');
      assert.equal(attached.annotations?.['in-toto.io/predicate-type'], 'https://example.com/p');
      const manifest = await client.manifest({ ...image, digest: attached.digest });
      const { layers } = JSON.parse(manifest?.content.toString('utf8') ?? '') as { layers: { digest: string }[] };
      assert.equal(await text(await client.blob('team/app', layers[0]?.digest ?? '')), CONFIG);
    });

    it('says which blob the registry does not have', async () => {
      await assert.rejects(client.blob('team/app', `sha256:${'0'.repeat(64)}`), /team\/app: the registry answered 404/);
    });
  });
}
