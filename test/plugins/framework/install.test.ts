import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { installPlugins } from '../../../plugins/install.ts';
import { plugin } from '../../../plugins/random/plugin.ts';
import { PluginClient } from '../client.ts';

describe('installPlugins', () => {
  let home: string;
  let folder: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'install-plugins-'));
    folder = join(home, 'plugins', `resource-random-v${plugin.version}`);
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  it('makes a folder that runs without node_modules, with the version of the SDK', async () => {
    await installPlugins(home, ['random']);
    const options = { cwd: home, stdio: ['pipe', 'pipe', 'inherit'] as ('pipe' | 'inherit')[] };
    const child = spawn(join(folder, 'pulumi-resource-random'), ['127.0.0.1:1'], options);
    try {
      assert.ok(child.stdout);
      const [port] = (await once(createInterface(child.stdout), 'line')) as [string];
      const client = new PluginClient(Number(port));
      assert.equal(await client.version(), plugin.version);
      await client.configure();
      const { state } = await client.create('random:index/randomId:RandomId', 'a', { byteLength: 4 });
      assert.match(String(state.hex), /^[0-9a-f]{8}$/);
      await client.close();
    } finally {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  });

  it('leaves alone what has not changed and renews what has', async () => {
    const file = join(folder, 'main.mjs');
    await installPlugins(home, ['random']);
    const first = await stat(file);
    await installPlugins(home, ['random']);
    assert.equal((await stat(file)).ino, first.ino);
    const code = await readFile(file, 'utf8');
    await writeFile(file, 'older');
    await writeFile(join(folder, 'sources.sha256'), 'older');
    await installPlugins(home, ['random']);
    assert.equal(await readFile(file, 'utf8'), code);
  });

  it('is whole at every moment of several installs at once, and leaves nothing beside it', async () => {
    await installPlugins(home, ['random']);
    const file = join(folder, 'main.mjs');
    const code = await readFile(file, 'utf8');
    await writeFile(file, 'older');
    await writeFile(join(folder, 'sources.sha256'), 'older');
    let done = false;
    const installs = Promise.all(Array.from({ length: 6 }, () => installPlugins(home, ['random']))).finally(() => {
      done = true;
    });
    while (!done) {
      const now = await readFile(file, 'utf8');
      assert.ok(now === 'older' || now === code, 'a half-written bundle was seen');
      await sleep(1);
    }
    await installs;
    assert.equal(await readFile(file, 'utf8'), code);
    assert.deepEqual(await readdir(join(home, 'plugins')), [`resource-random-v${plugin.version}`]);
    assert.deepEqual((await readdir(folder)).sort(), ['main.mjs', 'pulumi-resource-random', 'sources.sha256']);
  });

  it('makes one whole folder when the first installs run at once', async () => {
    await Promise.all(Array.from({ length: 4 }, () => installPlugins(home, ['random'])));
    assert.deepEqual(await readdir(join(home, 'plugins')), [`resource-random-v${plugin.version}`]);
    assert.deepEqual((await readdir(folder)).sort(), ['main.mjs', 'pulumi-resource-random', 'sources.sha256']);
  });

  it('refuses an unknown plugin and the home of the user', async () => {
    await assert.rejects(installPlugins(home, ['aws']), /no plugin "aws"; there are random, /);
    await assert.rejects(installPlugins(join(homedir(), '.pulumi'), ['random']), /the user's own/);
  });
});
