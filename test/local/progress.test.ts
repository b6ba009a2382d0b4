import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createProgress, formatDuration } from '../../local/progress.ts';

describe('local/progress', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'progress-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const record = () => {
    const stream = new PassThrough();
    let text = '';
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
    const options = { durationsFile: join(directory, 'durations.json'), intervalMs: 20, quietMs: 10 };
    const progress = createProgress({ ...options, stream: stream as unknown as NodeJS.WriteStream });
    return { progress, text: () => text };
  };

  it('shows what runs, how far it is, and how long it took last time', async () => {
    await record().progress.step('a build', () => sleep(40));
    const { progress, text } = record();
    await progress.step('a build', async (report) => {
      report('half way');
      await sleep(70);
    });
    assert.match(text(), /… a build: half way \(0\.\d s, 0\.\d s last time\)\n/);
    assert.match(text(), /a build \(0\.\d s, 0\.\d s last time\)\n$/);
  });

  it('marks a failure and passes it on', async () => {
    const { progress, text } = record();
    const failing = progress.step('a build', async () => {
      throw new Error('broken');
    });
    await assert.rejects(failing, /broken/);
    assert.match(text(), /✗.* a build/);
  });

  it('writes durations as people do', () => {
    assert.deepEqual([4230, 41_900, 187_000].map(formatDuration), ['4.2 s', '42 s', '3 min 07 s']);
  });
});
