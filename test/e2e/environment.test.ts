import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { kubectl, orderOf, root } from './support.ts';

interface Entry {
  readonly name: string;
  readonly url: string;
  readonly healthy: boolean;
  readonly detail: string;
}

/** One of the README's commands, as `npm run` starts it. */
async function run(args: readonly string[]): Promise<{ exitCode: number; all: string; stdout: string }> {
  const { exitCode, all, stdout } = await execa(process.execPath, ['scripts/run.mjs', 'local/cli.ts', ...args], {
    cwd: root,
    reject: false,
    all: true,
    timeout: 280_000,
    stdin: 'ignore',
  });
  return { exitCode: exitCode ?? 1, all, stdout };
}

async function status(): Promise<Entry[]> {
  const { stdout } = await run(['status', '--json']);
  return JSON.parse(stdout) as Entry[];
}

/** Kills the process of a service, as `kill -9` by hand would. */
async function kill(name: string): Promise<void> {
  const { pid } = JSON.parse(await readFile(join(root, '.local', 'run', `${name}.json`), 'utf8')) as { pid: number };
  process.kill(pid, 'SIGKILL');
}

describe('the local environment', function () {
  this.timeout(300_000);

  it('is healthy, with an entry for each service and application', async () => {
    const entries = await status();
    assert.deepEqual(
      entries.filter(({ healthy }) => !healthy),
      [],
    );
    for (const { name, url, detail } of entries) assert.ok(name && url && typeof detail === 'string');
    const names = entries.map(({ name }) => name);
    for (const name of ['postgres', 'registry', 'docker', 'kube-apiserver', 'kubelet', 'orders']) {
      assert.ok(names.includes(name), `no entry for ${name} among ${names.join(', ')}`);
    }
  });

  it('serves the example at its load-balancer address, which stores and reads back', async () => {
    const url = (await status()).find(({ name }) => name === 'orders')?.url ?? '';
    assert.match(url, /^http:\/\/172\.31\.241\.\d+/);
    const created = await fetch(`${url}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: orderOf('Grace'),
    });
    assert.equal(created.status, 201);
    const { id } = (await created.json()) as { id: string };
    const read = (await (await fetch(`${url}/orders/${id}`)).json()) as { customer: string };
    assert.equal(read.customer, 'Grace');
  });

  it('changes nothing the second time, neither in the stack nor in the checkout', async () => {
    const before = await execa('git', ['status', '--porcelain'], { cwd: root });
    const { all, exitCode } = await run(['up']);
    assert.equal(exitCode, 0, all);
    assert.match(all, /unchanged/);
    assert.doesNotMatch(all, /\d+ (created|updated|replaced|deleted)/);
    assert.equal((await execa('git', ['status', '--porcelain'], { cwd: root })).stdout, before.stdout);
  });

  it('heals what was killed, while the pods go on', async () => {
    const pods = async (): Promise<string> =>
      kubectl(['-n', 'local', 'get', 'pods', '-o', 'jsonpath={.items[*].metadata.uid}']);
    const before = await pods();
    for (const name of ['postgres', 'registry', 'docker', 'kubelet', 'containerd', 'kube-apiserver', 'etcd'])
      await kill(name);
    const ill = (await status()).filter(({ healthy }) => !healthy).map(({ name }) => name);
    for (const name of ['postgres', 'registry', 'kubelet'])
      assert.ok(ill.includes(name), `${name} is still shown as healthy`);
    const { all, exitCode } = await run(['up']);
    assert.equal(exitCode, 0, all);
    assert.deepEqual(
      (await status()).filter(({ healthy }) => !healthy),
      [],
    );
    assert.equal(await pods(), before);
  });

  it('lets two at once take turns', async () => {
    const results = await Promise.all([run(['up', '--services-only']), run(['up', '--services-only'])]);
    for (const { exitCode, all } of results) assert.equal(exitCode, 0, all);
  });

  it('refuses a second clone, naming whose environment runs and how to stop it', async () => {
    const clone = await mkdtemp(join(tmpdir(), 'second-clone-'));
    try {
      await execa('git', ['clone', '--quiet', root, clone]);
      // The dependencies are the same: installing them again would prove nothing here.
      await symlink(join(root, 'node_modules'), join(clone, 'node_modules'));
      const { all, exitCode } = await execa(process.execPath, ['--import', 'tsx', 'local/cli.ts', 'up'], {
        cwd: clone,
        reject: false,
        all: true,
        stdin: 'ignore',
      });
      assert.equal(exitCode, 1, all);
      assert.ok(all.includes(root) && all.includes('npm run down'), all);
    } finally {
      await rm(clone, { recursive: true, force: true });
    }
    assert.deepEqual(
      (await status()).filter(({ healthy }) => !healthy),
      [],
    );
  });
});
