/**
 * `node scripts/run.mjs scripts/buildClient.ts`: writes what follows from the service's routes into `client/`, namely
 * its OpenAPI document and the types of the client. With `--dist` also compiles the client into `client/dist`, as it is
 * published.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { readDocument } from '../client/document.ts';
import { generateClient } from '../client/generate.ts';

const root = join(import.meta.dirname, '..');
const client = join(root, 'client');

for (const [path, text] of Object.entries(await generateClient(await readDocument()))) {
  await writeFile(join(client, path), text);
  console.log(`wrote client/${path}`);
}
if (process.argv.includes('--dist')) {
  await rm(join(client, 'dist'), { recursive: true, force: true });
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  await execa(process.execPath, [tsc, '--project', client], { stdio: 'inherit' });
  console.log('wrote client/dist');
}
