import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { createGzip, gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { contentsOf, namesPackages } from '../../../workflows/dockerImage/sbom/contents.ts';
import { readFiles } from '../../../workflows/dockerImage/sbom/layers.ts';
import { spdxDocument } from '../../../workflows/dockerImage/sbom/spdx.ts';

const DPKG = `Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
`;

/** Layers as the registry would hand them out. */
async function read(layers: readonly Readonly<Record<string, string>>[], mediaType = 'layer.tar+gzip') {
  const open = async ({ digest }: { digest: string }): Promise<Readable> => {
    const tar = pack();
    for (const [name, content] of Object.entries(layers[Number(digest)] ?? {})) tar.entry({ name }, content);
    tar.finalize();
    return mediaType.endsWith('gzip') ? tar.pipe(createGzip()) : Readable.from(tar);
  };
  return await readFiles(
    layers.map((_, index) => ({ mediaType, digest: String(index) })),
    open,
    namesPackages,
  );
}

describe("an image's SBOM", () => {
  it('takes what the layers have in the end: later ones replace and take away', async () => {
    const files = await read([
      {
        './app/node_modules/a/package.json': 'old',
        'app/node_modules/b/package.json': 'b',
        'srv/node_modules/c/package.json': 'c',
        'opt/node_modules/d/package.json': 'd',
        'app/other.txt': 'not wanted',
      },
      {
        'app/node_modules/a/package.json': 'new',
        'app/node_modules/.wh.b': '',
        'srv/node_modules/.wh..wh..opq': '',
        'srv/node_modules/e/package.json': 'e',
        '.wh.opt': '',
      },
    ]);
    assert.deepEqual(Object.fromEntries(files), {
      'app/node_modules/a/package.json': 'new',
      'srv/node_modules/e/package.json': 'e',
    });
  });

  it('reads layers that are not compressed, and says which it cannot read', async () => {
    const path = 'app/node_modules/a/package.json';
    assert.deepEqual([...(await read([{ [path]: '{}' }], 'application/vnd.oci.image.layer.v1.tar')).keys()], [path]);
    await assert.rejects(read([{}], 'application/vnd.oci.image.layer.v1.tar+zstd'), /layer 0 is compressed as .*zstd/);
    const broken = async (): Promise<Readable> => Readable.from([gzipSync('x').subarray(0, 5)]);
    await assert.rejects(readFiles([{ mediaType: 'tar.gzip', digest: '0' }], broken, namesPackages), /unexpected end/);
  });

  it('knows the files in which packages are named', () => {
    const wanted = [
      ...['var/lib/dpkg/status', 'var/lib/dpkg/status.d/libc6', 'lib/apk/db/installed', 'usr/lib/apk/db/installed'],
      ...['node_modules/a/package.json', 'app/node_modules/@b/c/package.json', 'usr/lib/os-release'],
    ];
    const others = [
      ...['package.json', 'app/node_modules/a/lib/package.json', 'node_modules/@b/package.json'],
      ...['var/lib/dpkg/status-old', 'var/lib/dpkg/status.d/libc6.md5sums', 'node_modules/.cache/package.json'],
    ];
    assert.deepEqual(wanted.filter(namesPackages), wanted);
    assert.deepEqual(others.filter(namesPackages), []);
  });

  it('names packages of npm, Debian and Alpine, each once', () => {
    const manifest = JSON.stringify({ name: '@b/c', version: '1.2.3', license: 'MIT' });
    const { packages, distribution } = contentsOf(
      new Map([
        ['usr/lib/os-release', 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\n'],
        ['var/lib/dpkg/status', DPKG],
        ['lib/apk/db/installed', 'P:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\n\nP:busybox\nV:1.36.1-r29\nA:x86_64\n'],
        ['app/node_modules/@b/c/package.json', manifest],
        ['srv/node_modules/@b/c/package.json', manifest],
        ['app/node_modules/fixture/package.json', '{ not json'],
        ['app/node_modules/nothing/package.json', 'null'],
      ]),
    );
    assert.deepEqual(distribution, { id: 'debian', version: '12' });
    assert.deepEqual(packages, [
      { type: 'apk', name: 'busybox', version: '1.36.1-r29', architecture: 'x86_64' },
      { type: 'apk', name: 'musl', version: '1.2.5-r0', architecture: 'x86_64', license: 'MIT' },
      { type: 'deb', name: 'libc6', version: '2.36-9+deb12u10', architecture: 'amd64' },
      { type: 'npm', name: '@b/c', version: '1.2.3', license: 'MIT' },
    ]);
  });

  it('is an SPDX document with package URLs', () => {
    const image = { repository: 'ghcr.io/example/orders', digest: `sha256:${'a'.repeat(64)}` };
    const document = spdxDocument(
      image,
      {
        distribution: { id: 'debian', version: '12' },
        packages: [
          { type: 'deb', name: 'libc6', version: '2.36-9', architecture: 'amd64' },
          { type: 'npm', name: '@b/c', version: '1.2.3', license: '(MIT OR Apache-2.0)' },
          { type: 'npm', name: 'd', version: '1.0.0', license: 'SEE LICENSE IN file' },
        ],
      },
      '2026-01-02T03:04:05.678Z',
    );
    assert.equal(document.creationInfo.created, '2026-01-02T03:04:05Z');
    const [own, ...packages] = document.packages;
    assert.match(own?.externalRefs[0]?.referenceLocator ?? '', /^pkg:oci\/orders@sha256(:|%3A)a{64}\?repository_url=/);
    assert.deepEqual(
      packages.map(({ externalRefs, licenseDeclared }) => [externalRefs[0]?.referenceLocator, licenseDeclared]),
      [
        ['pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12', 'NOASSERTION'],
        ['pkg:npm/%40b/c@1.2.3', '(MIT OR Apache-2.0)'],
        ['pkg:npm/d@1.0.0', 'NOASSERTION'],
      ],
    );
    assert.deepEqual(
      document.relationships.map(({ relationshipType }) => relationshipType),
      ['DESCRIBES', 'CONTAINS', 'CONTAINS', 'CONTAINS'],
    );
    assert.equal(new Set(document.packages.map(({ SPDXID }) => SPDXID)).size, 4);
  });
});
