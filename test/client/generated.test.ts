import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readDocument } from '../../client/document.ts';
import { generateClient } from '../../client/generate.ts';

const client = join(import.meta.dirname, '..', '..', 'client');

describe("the client's generated files", () => {
  it('are what the service says now', async () => {
    const files = Object.entries(await generateClient(await readDocument()));
    assert.deepEqual(files.map(([path]) => path).sort(), ['openapi.json', 'src/schema.ts']);
    for (const [path, text] of files) {
      const committed = await readFile(join(client, path), 'utf8');
      assert.ok(committed === text, `client/${path} is old: node scripts/run.mjs scripts/buildClient.ts`);
    }
  }).timeout(30_000);
});
