/**
 * `npm run graph [-- FILE.svg]`: draws the dependency graph of the running local stack, from its state: FILE.svg with
 * every resource, and FILE-overview.svg with one node for each component. An arrow points from what is needed to what
 * needs it; one that follows from others is left out.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { toDot, toOverviewDot } from '../workflows/graph/dot.ts';
import { shownOf } from '../workflows/graph/model.ts';
import { drawSvg } from '../workflows/graph/svg.ts';
import { exportStack } from './stack.ts';

const root = join(import.meta.dirname, '..');

async function main(file: string): Promise<void> {
  const { resources } = await exportStack(root, 'local');
  const overview = `${file.replace(/\.svg$/, '')}-overview.svg`;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, await drawSvg(toDot(resources), 'Every resource of the stack and what it depends on'));
  await writeFile(
    overview,
    await drawSvg(toOverviewDot(resources), 'The components of the stack and what they depend on'),
  );
  console.log(`${file}, ${overview}: ${shownOf(resources).length} resources and components`);
}

if (process.argv[1] === import.meta.filename) await main(resolve(process.argv[2] ?? join(root, 'docs', 'graph.svg')));
