import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  activity,
  confirmOwnership,
  type Owner,
  readOwner,
  releaseOwnership,
  takeOwnership,
} from '../../local/owner.ts';
import { assertPortFree } from '../../local/ports.ts';
import { processStartTime, runningPid, startProcess, stopProcess, waitFor } from '../../local/process.ts';
import { LocalError } from '../../local/service.ts';
import { describe as describeProcesses, endProcesses, environmentProcesses, strays } from '../../local/strays.ts';

describe('local: whose environment is on the machine', () => {
  const service = 'probe-service';
  const services = new Set([service]);
  let base: string;
  let runtime: string;
  let one: string;
  let two: string;

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'owner-'));
    [runtime, one, two] = ['runtime', 'clone one', 'two'].map((name) => join(base, name)) as [string, string, string];
    for (const root of [one, two]) mkdirSync(join(root, '.local', 'run'), { recursive: true });
  });
  afterEach(async () => {
    await endProcesses(
      environmentProcesses(services).filter(({ root }) => root.startsWith(base)),
      0,
    );
    rmSync(base, { recursive: true, force: true });
  });

  const start = async (root: string, script = '') => {
    const spec = { name: service, command: process.execPath, args: ['-e', `${script};setInterval(() => {}, 1000)`] };
    return await startProcess({ directory: join(root, '.local') }, spec);
  };
  /** As if the `up` that wrote it had ended. */
  const endUp = () => {
    const owner = readOwner(runtime) as Owner;
    writeFileSync(join(runtime, 'owner.json'), JSON.stringify({ ...owner, startTime: '1' }));
  };

  it('refuses another clone while an up works or a service lives, then hands over what is to be removed', async () => {
    assert.equal(await takeOwnership(one, runtime), undefined);
    await assert.rejects(takeOwnership(two, runtime), /clone one runs on this machine .*npm run up, pid \d+/);
    endUp();
    await start(one);
    await assert.rejects(takeOwnership(two, runtime), (error: Error) => {
      assert.ok(error instanceof LocalError);
      assert.match(error.message, new RegExp(`${service}\\), and there can be one.*cd ${one} && npm run down`));
      return true;
    });
    assert.equal(readOwner(runtime)?.path, one);
    await stopProcess({ directory: join(one, '.local') }, service, 500);
    assert.equal(await takeOwnership(two, runtime), one);
    // Killed while it removed that: the next one goes on with it.
    assert.equal(await takeOwnership(two, runtime), one);
    confirmOwnership(two, runtime);
    assert.equal(await takeOwnership(two, runtime), undefined);
    releaseOwnership(one, runtime);
    assert.equal(readOwner(runtime)?.path, two);
    releaseOwnership(two, runtime);
    assert.equal(readOwner(runtime), undefined);
  });

  it('gives the machine to one of two clones that come at the same moment', async () => {
    const results = await Promise.allSettled([takeOwnership(one, runtime), takeOwnership(two, runtime)]);
    assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    const winner = results[0]?.status === 'fulfilled' ? one : two;
    assert.equal(readOwner(runtime)?.path, winner);
  });

  it('knows the processes of a clone that was deleted under them, and ends those only', async () => {
    const port = 'require("http").createServer().listen(0,"127.0.0.1",function(){console.log(this.address().port)})';
    const child = `require("child_process").spawn(process.execPath,["-e","setInterval(()=>{},1000)"],{stdio:"inherit"});${port}`;
    const pid = await start(one, child);
    const other = await start(two);
    const log = join(one, '.local', 'log', `${service}.log`);
    await waitFor(async () => /^\d+$/m.test(readFileSync(log, 'utf8')), { timeoutMs: 10_000, what: 'the port' });
    const taken = Number(readFileSync(log, 'utf8'));
    assert.deepEqual(strays(one, services), [], 'its run file accounts for it and its child');
    assert.throws(() => assertPortFree(taken, 'etcd'), new RegExp(`pid ${pid} .* of the local environment in ${one};`));
    rmSync(log);
    assert.equal(strays(one, services).length, 2, 'a log that was deleted');
    rmSync(one, { recursive: true });
    const found = strays(one, services);
    assert.equal(found.length, 2);
    assert.ok(found.some((item) => item.pid === pid));
    assert.match(describeProcesses(found), /^probe-service \(pid \d+\)$/);
    assert.equal(activity({ path: one, pid: 1, startTime: '1', started: '' }), undefined);
    await endProcesses(found);
    assert.equal(processStartTime(pid), undefined);
    assert.doesNotThrow(() => assertPortFree(taken, 'etcd'));
    assert.equal(runningPid({ directory: join(two, '.local') }, service), other);
  });

  it('ends with SIGKILL what does not end by itself', async () => {
    const pid = await start(one, 'process.on("SIGTERM",()=>{});console.log("ready")');
    const log = join(one, '.local', 'log', `${service}.log`);
    await waitFor(async () => readFileSync(log, 'utf8') !== '', { timeoutMs: 10_000, what: 'it' });
    rmSync(join(one, '.local'), { recursive: true });
    await endProcesses(strays(one, services), 200);
    assert.equal(processStartTime(pid), undefined);
  });

  it('takes no process for an environment that is none of its services', async () => {
    await start(one);
    assert.equal(environmentProcesses(new Set(['etcd'])).filter(({ root }) => root === one).length, 0);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      assert.throws(() => assertPortFree(port, 'etcd'), {
        message: new RegExp(`^port ${port} \\(etcd\\) is taken by pid ${process.pid} \\([^)]+\\); stop it and run`),
      });
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
