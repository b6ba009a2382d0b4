import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PLUGIN_NAMES, PLUGINS } from '../../../plugins/index.ts';
import { PluginClient } from '../client.ts';

const HOST = fileURLToPath(new URL('../../../plugins/host.ts', import.meta.url));

describe('plugin host', function () {
  this.timeout(60_000);
  let folder: string;
  let child: ChildProcess | undefined;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'plugin-host-'));
  });
  after(async () => {
    if (child?.exitCode === null) child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  it('serves every plugin until it is told to stop, and takes its file with it', async () => {
    const file = join(folder, 'ports.json');
    child = spawn(process.execPath, ['--import', 'tsx', HOST, file], { stdio: 'inherit' });
    const ports = await portsIn(file, child);
    assert.deepEqual(Object.keys(ports).sort(), [...PLUGIN_NAMES].sort());
    for (const name of PLUGIN_NAMES) {
      const client = new PluginClient(ports[name] ?? 0);
      assert.equal(await client.version(), (await PLUGINS[name]()).version, name);
      await client.close();
    }
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    await assert.rejects(access(file), { code: 'ENOENT' });
  });

  it('says how it is called', async () => {
    child = spawn(process.execPath, ['--import', 'tsx', HOST], { stdio: ['ignore', 'inherit', 'pipe'] });
    assert.ok(child.stderr);
    const [text] = await once(child.stderr, 'data');
    assert.match(String(text), /usage: node plugin-host.mjs <file/);
  });
});

async function portsIn(file: string, host: ChildProcess): Promise<Record<string, number>> {
  for (let waited = 0; waited < 30_000; waited += 50) {
    if (host.exitCode !== null) throw new Error(`the host ended with code ${host.exitCode}`);
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) return JSON.parse(text) as Record<string, number>;
    await sleep(50);
  }
  throw new Error('the host wrote no ports in 30 s');
}
