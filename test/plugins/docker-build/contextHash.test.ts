import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { hashBuildContext } from '../../../plugins/docker-build/contextHash.ts';

/** The hashes of these files are those of the official provider's algorithm, computed with its Go libraries. */
describe('docker-build: context hash', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'devops-hash-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  async function put(path: string, text: string, mode = 0o644): Promise<void> {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    await chmod(file, mode);
  }
  const hash = (): Promise<string> =>
    hashBuildContext({ context: root, dockerfile: join(root, 'Dockerfile'), named: {} });

  it('equals the official one', async () => {
    await put('Dockerfile', 'FROM scratch\nCOPY . /\n');
    await put('.dockerignore', 'node_modules\n**/*.log\n!keep/*/a.log\n# note\n/build/\n');
    await put('src/index.js', 'one');
    await put('src/run.sh', 'two', 0o755);
    await put('src/setuid', 'three', 0o4755);
    await put('src/é.txt', 'four');
    await put('node_modules/x/index.js', 'ignored');
    await put('b.log', 'ignored');
    await put('keep/x/a.log', 'kept by the exception');
    await put('keep/x/b.log', 'ignored');
    await put('build/out', 'ignored');
    await symlink('src/index.js', join(root, 'link'));
    await symlink('src', join(root, 'linked-directory'));
    assert.equal(await hash(), '633c32570f873f5f67bc46c21769b061f7813c2dec45133258b24474448ec34d');
  });

  it('changes with contents, names and modes, and not with ignored files', async () => {
    await put('Dockerfile', 'FROM scratch\n');
    await put('.dockerignore', 'skip\n');
    await put('a', '1');
    const seen = new Set([await hash()]);
    await put('skip/file', 'x');
    assert.ok(seen.has(await hash()), 'an ignored file changed the hash');
    await put('a', '2');
    seen.add(await hash());
    await chmod(join(root, 'a'), 0o755);
    seen.add(await hash());
    await rename(join(root, 'a'), join(root, 'b'));
    seen.add(await hash());
    await put('Dockerfile', 'FROM scratch AS x\n');
    seen.add(await hash());
    assert.equal(seen.size, 5);
  });

  it('prefers <Dockerfile>.dockerignore', async () => {
    await put('Dockerfile', 'FROM scratch\n');
    await put('.dockerignore', 'a\n');
    await put('Dockerfile.dockerignore', 'b\n');
    await put('a', '1');
    await put('b', '1');
    const before = await hash();
    await put('b', '2');
    assert.equal(await hash(), before);
    await put('a', '2');
    assert.notEqual(await hash(), before);
  });

  it('counts what follows a dangling link', async () => {
    await put('Dockerfile', 'FROM scratch\n');
    await symlink('nowhere', join(root, 'a-link'));
    await put('b', '1');
    const before = await hash();
    await put('b', '2');
    assert.notEqual(await hash(), before);
  });

  it('counts named contexts', async () => {
    await put('app/Dockerfile', 'FROM scratch\n');
    await put('extra/file', '1');
    const named = { extra: join(root, 'extra'), image: 'docker-image://scratch' };
    const ask = () => hashBuildContext({ context: join(root, 'app'), dockerfile: join(root, 'app/Dockerfile'), named });
    const before = await ask();
    await put('extra/file', '2');
    assert.notEqual(await ask(), before);
  });

  it('sees a change of the same size right after the hash was taken', async () => {
    await put('Dockerfile', 'FROM scratch\n');
    await put('a', '1');
    const seen = new Set<string>();
    for (let round = 0; round < 20; round++) {
      await writeFile(join(root, 'a'), String.fromCharCode(65 + round));
      seen.add(await hash());
    }
    assert.equal(seen.size, 20);
  });

  it('takes less than 50 ms for 200 files', async () => {
    await put('Dockerfile', 'FROM scratch\n');
    await put('.dockerignore', 'node_modules\n');
    await Promise.all(
      Array.from({ length: 200 }, (_, index) => put(`src/${index % 20}/${index}.ts`, 'x'.repeat(2000))),
    );
    await hash();
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      const start = performance.now();
      await hash();
      times.push(performance.now() - start);
    }
    const median = times.sort((a, b) => a - b)[2] ?? Number.POSITIVE_INFINITY;
    assert.ok(median < 50, `median of ${times.map((time) => time.toFixed(1)).join(', ')} ms`);
  });

  it('names a file that cannot be read', async () => {
    if (process.getuid?.() === 0) {
      // Root reads everything: a directory in the Dockerfile's place is what it cannot read.
      await mkdir(join(root, 'Dockerfile.dockerignore'), { recursive: true });
      await assert.rejects(hash(), /EISDIR/);
      return;
    }
    await put('Dockerfile', 'FROM scratch\n');
    await put('a', '1', 0o000);
    await assert.rejects(hash(), /a cannot be read \(EACCES\).*\.dockerignore/);
  });
});
