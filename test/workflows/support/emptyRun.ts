/** What a flow takes beside what the engine takes when there is nothing at all to do. */

import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { repositoryRoot } from '../../../local/context.ts';
import type { TestEnvironment } from './environment.ts';

export interface Overhead {
  /** Medians in seconds. */
  readonly empty: number;
  readonly flow: number;
  /** The difference. */
  readonly seconds: number;
  /** What it may be. */
  readonly allowed: number;
}

const PAIRS = 3;
const ATTEMPTS = 4;
/** Seconds that an empty run takes at most on a machine with two cores and nothing else to do. */
const USUAL = 1.5;

/**
 * Runs an empty program and the flow in turns, three times each, and compares the medians; again when the difference is
 * not allowed, four times at most, as the machine may just have been busy.
 *
 * @param bound seconds that are allowed where an empty run takes a second or so. Where it takes more than USUAL, the machine
 * is slow or busy throughout, and as many times more is allowed.
 * @returns the first comparison that is allowed, else the last one
 */
export async function medianOverhead(
  { env, secrets }: TestEnvironment,
  flow: () => Promise<void>,
  bound: number,
): Promise<Overhead> {
  const directory = await mkdtemp(join(tmpdir(), 'empty-'));
  try {
    await writeFile(join(directory, 'Pulumi.yaml'), 'name: empty\nruntime: nodejs\nmain: main.mjs\n');
    await writeFile(join(directory, 'package.json'), '{"type":"module"}');
    await writeFile(join(directory, 'main.mjs'), 'export default {};\n');
    await symlink(join(repositoryRoot(), 'node_modules'), join(directory, 'node_modules'));
    const pulumi = async (...args: string[]): Promise<void> => {
      await execa('pulumi', [...args, '--stack', 'empty', '--non-interactive'], {
        cwd: directory,
        env: { ...env, ...secrets, PULUMI_SKIP_UPDATE_CHECK: 'true' },
        stdin: 'ignore',
      });
    };
    await pulumi('stack', 'init', '--no-select');
    const up = () => pulumi('up', '--yes', '--skip-preview');
    await up();
    await flow();
    for (let attempt = 1; ; attempt += 1) {
      const found = await compare(up, flow, bound);
      if (found.seconds <= found.allowed || attempt === ATTEMPTS) return found;
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function compare(empty: () => Promise<void>, flow: () => Promise<void>, bound: number): Promise<Overhead> {
  const times: { empty: number[]; flow: number[] } = { empty: [], flow: [] };
  for (let pair = 0; pair < PAIRS; pair += 1) {
    times.empty.push(await timed(empty));
    times.flow.push(await timed(flow));
  }
  const [a, b] = [median(times.empty), median(times.flow)];
  return { empty: a, flow: b, seconds: b - a, allowed: bound * Math.max(1, a / USUAL) };
}

async function timed(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
