import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assertPortFree, portOwner } from '../../local/ports.ts';
import {
  isRunning,
  logFilePath,
  processStartTime,
  runFilePath,
  runningPid,
  startProcess,
  stopProcess,
  waitFor,
} from '../../local/process.ts';

describe('local/process', () => {
  let directory: string;
  const name = 'probe';
  const start = (script: string) =>
    startProcess({ directory }, { name, command: process.execPath, args: ['-e', script] });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'process-'));
  });
  afterEach(async () => {
    await stopProcess({ directory }, name, 500);
    rmSync(directory, { recursive: true, force: true });
  });

  it('starts a process once and appends what it prints to its log', async () => {
    const pid = await start('console.log("ready"); setInterval(() => {}, 1000)');
    assert.equal(await start('process.exit(1)'), pid);
    await waitFor(async () => readFileSync(logFilePath({ directory }, name), 'utf8') === 'ready\n', {
      timeoutMs: 5000,
      what: name,
    });
  });

  it('sees that it was killed with SIGKILL, and starts another', async () => {
    const pid = await start('setInterval(() => {}, 1000)');
    process.kill(pid, 'SIGKILL');
    await waitFor(async () => !isRunning({ directory }, name), { timeoutMs: 5000, what: 'its end' });
    const next = await start('setInterval(() => {}, 1000)');
    assert.notEqual(next, pid);
    assert.equal(runningPid({ directory }, name), next);
  });

  it('does not take a later process of the same pid for its own', async () => {
    await start('setInterval(() => {}, 1000)');
    const path = runFilePath({ directory }, name);
    const run = readFileSync(path, 'utf8');
    const { bootId } = JSON.parse(run) as { bootId: string };
    writeFileSync(path, JSON.stringify({ pid: process.pid, startTime: '1', bootId }));
    assert.equal(isRunning({ directory }, name), false);
    await stopProcess({ directory }, name, 100);
    // This very process was not signalled; the real one still runs.
    writeFileSync(path, run);
    assert.equal(isRunning({ directory }, name), true);
  });

  it('ends a process that ignores SIGTERM', async () => {
    const pid = await start('process.on("SIGTERM", () => {}); console.log("ready"); setInterval(() => {}, 1000)');
    await waitFor(async () => readFileSync(logFilePath({ directory }, name), 'utf8') !== '', {
      timeoutMs: 5000,
      what: name,
    });
    await stopProcess({ directory }, name, 300);
    // Dead, though perhaps not yet reaped by this process, whose child it is.
    assert.equal(processStartTime(pid), undefined);
  });

  it('fails with the command when it cannot be started', async () => {
    const spec = { name, command: join(directory, 'nothing'), args: [] };
    await assert.rejects(startProcess({ directory }, spec), /probe cannot be started: .*nothing/);
  });

  it('says which process has a port', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    try {
      assert.equal(portOwner(address.port)?.pid, process.pid);
      assert.throws(() => assertPortFree(address.port, 'postgres'), {
        message: new RegExp(`^port ${address.port} \\(postgres\\) is taken by pid ${process.pid} \\(.+\\); stop it`),
      });
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    assert.equal(portOwner(address.port), undefined);
  });

  it('ends a wait at once when the process has died, with the end of its log', async () => {
    await start('console.log("no such database"); process.exit(1)');
    const started = Date.now();
    await assert.rejects(
      waitFor(async () => false, {
        timeoutMs: 20_000,
        what: name,
        logFile: logFilePath({ directory }, name),
        alive: () => isRunning({ directory }, name),
      }),
      /probe ended while it was starting[\s\S]*no such database/,
    );
    assert.ok(Date.now() - started < 10_000);
  });
});
