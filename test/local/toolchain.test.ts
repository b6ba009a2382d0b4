import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Progress } from '../../local/service.ts';
import { findChecksum } from '../../local/toolchain/download.ts';
import type { ToolSet } from '../../local/toolchain/sets.ts';
import { createToolchain, type Way } from '../../local/toolchain.ts';

const silent: Progress = { note: () => undefined, step: (_title, work) => work(() => undefined) };

describe('local/toolchain', () => {
  let cache: string;
  let bin: string;
  let obtained: string[];

  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), 'toolchain-'));
    bin = join(cache, 'bin');
    mkdirSync(bin);
    obtained = [];
  });
  afterEach(() => rmSync(cache, { recursive: true, force: true }));

  const obtain = async (set: ToolSet, directory: string): Promise<Way> => {
    obtained.push(set.name);
    for (const tool of set.tools) writeFileSync(join(directory, tool), `${tool} ${set.version}`, { mode: 0o755 });
    return 'downloaded';
  };
  const toolchain = () => createToolchain({ progress: silent, cache, env: { PATH: `${bin}:/usr/bin:/bin` }, obtain });
  const onMachine = (tool: string, version: string) => {
    writeFileSync(join(bin, tool), `#!/bin/sh\necho "${version}"\n`);
    chmodSync(join(bin, tool), 0o755);
  };

  it('takes what is on the machine in a version that will do', async () => {
    onMachine('pulumi', 'v3.250.7');
    assert.equal(await toolchain().tool('pulumi'), join(bin, 'pulumi'));
    assert.deepEqual(obtained, []);
  });

  it('passes over another minor, and obtains the pinned version once', async () => {
    onMachine('pulumi', 'v3.100.0');
    const path = await toolchain().tool('pulumi');
    assert.equal(path, join(cache, 'toolchain', 'pulumi', '3.250.0', 'pulumi'));
    assert.equal(await toolchain().tool('pulumi'), path);
    assert.deepEqual(obtained, ['pulumi']);
  });

  it('takes a kubectl one minor away, not two', async () => {
    onMachine('kubectl', 'Client Version: v1.33.1');
    assert.equal(await toolchain().tool('kubectl'), join(bin, 'kubectl'));
    onMachine('kubectl', 'Client Version: v1.32.10');
    assert.notEqual(await toolchain().tool('kubectl'), join(bin, 'kubectl'));
  });

  it('obtains a set anew when a file of it was changed', async () => {
    const path = await toolchain().tool('coredns');
    appendFileSync(path, 'x');
    await toolchain().tool('coredns');
    assert.deepEqual(obtained, ['coredns', 'coredns']);
    assert.equal(readFileSync(path, 'utf8'), 'coredns 1.12.4');
  });

  it('renews the launcher of an earlier version, and keeps the program', async () => {
    const built = () =>
      createToolchain({
        progress: silent,
        cache,
        env: { PATH: `${bin}:/usr/bin:/bin` },
        obtain: async (set, directory) => {
          await obtain(set, directory);
          assert.ok(set.launcher !== undefined);
          writeFileSync(join(directory, set.launcher.binary), 'the program', { mode: 0o755 });
          writeFileSync(join(directory, set.launcher.tool), '#!/bin/sh\n# of an earlier version\n', { mode: 0o755 });
          return 'built';
        },
      });
    const path = await built().tool('pulumi-language-nodejs');
    assert.equal(await built().tool('pulumi-language-nodejs'), path);
    assert.equal(readFileSync(path, 'utf8'), readFileSync('local/toolchain/language-host.sh', 'utf8'));
    assert.equal(statSync(path).mode & 0o777, 0o755);
    assert.equal(readFileSync(`${path}-host`, 'utf8'), 'the program');
    assert.deepEqual(obtained, ['language-nodejs']);
    // Damaged is not the same as earlier: all of it is obtained anew.
    appendFileSync(path, 'x');
    await built().tool('pulumi-language-nodejs');
    assert.deepEqual(obtained, ['language-nodejs', 'language-nodejs']);
  });

  it('obtains a set once for two runs at the same time', async () => {
    await Promise.all([toolchain().tool('coredns'), toolchain().tool('coredns')]);
    assert.deepEqual(obtained, ['coredns']);
  });

  it('leaves nothing half done behind a failure', async () => {
    const failing = createToolchain({
      progress: silent,
      cache,
      env: { PATH: bin },
      obtain: async (set, directory) => {
        writeFileSync(join(directory, set.tools[0] ?? ''), 'half');
        throw new Error('the line broke');
      },
    });
    await assert.rejects(failing.tool('coredns'), /the line broke/);
    await toolchain().tool('coredns');
    assert.deepEqual(obtained, ['coredns']);
  });

  it('reads published checksums: a list, one with a file name, a bare one', () => {
    const sum = 'a'.repeat(64);
    const other = 'b'.repeat(64);
    assert.equal(findChecksum(`${other}  x.tgz\n${sum} *y.tgz\n`, 'y.tgz'), sum);
    assert.equal(findChecksum(`${sum}  ./release/y.tgz`, 'y.tgz'), sum);
    assert.equal(findChecksum(`${sum}\n`, 'kubectl'), sum);
    assert.equal(findChecksum(`${sum}  x.tgz`, 'y.tgz'), undefined);
    assert.equal(findChecksum('<html>', 'y.tgz'), undefined);
  });
});
