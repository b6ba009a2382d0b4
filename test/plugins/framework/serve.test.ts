import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PluginClient } from '../client.ts';

const MAIN = fileURLToPath(new URL('../../../plugins/random/main.ts', import.meta.url));

/** The random plugin as the engine starts it: a pipe to its standard input, the engine's address as argument. */
async function start(stdin: 'pipe' | 'ignore'): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, '127.0.0.1:1'], {
    stdio: [stdin, 'pipe', 'inherit'],
  });
  assert.ok(child.stdout);
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, port: Number(line) };
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

describe('serve', () => {
  let child: ChildProcess | undefined;
  afterEach(() => {
    if (child?.exitCode === null) child.kill('SIGKILL');
  });

  it('prints a port that serves the plugin', async () => {
    const started = await start('pipe');
    child = started.child;
    const client = new PluginClient(started.port);
    assert.match(await client.version(), /^4\.\d+\.\d+$/);
    await client.close();
  });

  it('ends when its standard input ends', async () => {
    ({ child } = await start('pipe'));
    child.stdin?.end();
    assert.equal(await exitCode(child), 0);
  });

  it('ends when the engine interrupts it, also while a client is connected', async () => {
    const started = await start('pipe');
    child = started.child;
    const client = new PluginClient(started.port);
    await client.version();
    child.kill('SIGINT');
    assert.equal(await exitCode(child), 0);
    await client.close();
  });

  it('stays when it has no standard input to begin with', async () => {
    const started = await start('ignore');
    child = started.child;
    const client = new PluginClient(started.port);
    assert.match(await client.version(), /^4\./);
    assert.equal(child.exitCode, null);
    await client.close();
  });
});
