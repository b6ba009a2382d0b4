import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { digest, imageArchive, tarArchive } from '../../../local/kubernetes/imageArchive.ts';
import { pauseProgram } from '../../../local/kubernetes/pause.ts';
import { LocalError } from '../../../local/service.ts';

describe('local/kubernetes: images made here', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'kubernetes-images-'));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  function unpack(archive: Buffer): void {
    const path = join(directory, 'archive.tar');
    writeFileSync(path, archive);
    execFileSync('tar', ['-xf', path, '-C', directory]);
  }

  it('writes archives that tar reads back', function () {
    this.timeout(20_000);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.stringMatching(/^[a-z]{1,90}$/), (bytes, name) => {
        unpack(tarArchive([{ name: `x/${name}`, mode: 0o755, content: Buffer.from(bytes) }]));
        assert.deepEqual(readFileSync(join(directory, 'x', name)), Buffer.from(bytes));
      }),
      { numRuns: 25 },
    );
  });

  it('refuses a name that does not fit', () => {
    assert.throws(() => tarArchive([{ name: 'x'.repeat(101), mode: 0o644, content: Buffer.alloc(0) }]), /too long/);
  });

  it('makes an OCI layout whose digests hold', () => {
    const archive = imageArchive({
      reference: 'localhost/example:1',
      files: [{ name: 'hello', mode: 0o755, content: Buffer.from('hi') }],
      entrypoint: ['/hello'],
      architecture: 'amd64',
    });
    unpack(archive);
    const blob = (name: string) => readFileSync(join(directory, 'blobs', 'sha256', name.replace('sha256:', '')));
    const index = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8'));
    const reference = index.manifests[0];
    assert.equal(reference.annotations['io.containerd.image.name'], 'localhost/example:1');
    const manifest = JSON.parse(blob(reference.digest).toString());
    for (const part of [reference, manifest.config, ...manifest.layers]) {
      assert.equal(digest(blob(part.digest)), part.digest);
      assert.equal(blob(part.digest).length, part.size);
    }
    const config = JSON.parse(blob(manifest.config.digest).toString());
    assert.deepEqual(config.rootfs.diff_ids, [manifest.layers[0].digest]);
    assert.deepEqual(config.config.Entrypoint, ['/hello']);
  });

  it('has a pause program that runs, ignores SIGCHLD and sleeps', async function () {
    if (process.platform !== 'linux') this.skip();
    const path = join(directory, 'pause');
    writeFileSync(path, pauseProgram(), { mode: 0o755 });
    const child = spawn(path, { stdio: 'ignore' });
    try {
      await sleep(300);
      assert.equal(child.exitCode, null);
      assert.equal(child.signalCode, null);
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      assert.match(status, /^State:\tS/m);
      // SigIgn is a mask; SIGCHLD is number 17.
      const ignored = BigInt(`0x${/^SigIgn:\t([0-9a-f]+)/m.exec(status)?.[1]}`);
      assert.equal((ignored >> 16n) & 1n, 1n);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('has one for each processor that it supports', () => {
    for (const arch of ['x64', 'arm64']) {
      const path = join(directory, arch);
      writeFileSync(path, pauseProgram(arch));
      // e_machine: 62 is x86-64, 183 is AArch64.
      assert.equal(readFileSync(path).readUInt16LE(18), arch === 'x64' ? 62 : 183);
      const read = spawnSync('readelf', ['-lh', path], { encoding: 'utf8' });
      if (read.error === undefined) assert.equal(read.stderr, '');
    }
    assert.throws(() => pauseProgram('riscv64'), LocalError);
  });
});
