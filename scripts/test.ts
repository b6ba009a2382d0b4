/**
 * `npm test`: everything, in the order in which a fault is cheapest to find. Types, lint and unit tests first, then
 * the local environment is brought up (left running if it already ran), then the tests against real services.
 * `npm test -- unit plugins e2e` runs only the named phases; `faults` runs only so. The last line is `N passed, N failed`.
 */

import { type SpawnOptions, spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createContext } from '../local/context.ts';
import { toolchainEnvironment } from '../local/toolchainEnvironment.ts';

const root = join(import.meta.dirname, '..');
const scratch = join(root, '.local', 'test');
const minute = 60_000;

interface Count {
  passed: number;
  failed: number;
}

interface Told {
  readonly title: string;
  readonly message: string;
}

/** What is said once more at the very end, where it is not lost in the output. */
const failures: Told[] = [];
const triedAgain: Told[] = [];

interface Phase {
  readonly name: string;
  /** Runs only when it is named: it takes long, and kills parts of the environment. @default false */
  readonly byName?: boolean;
  readonly run: () => Promise<Count>;
}

/** Runs a command to its end; past `limit` milliseconds its whole process group is ended. */
async function command(args: readonly string[], limit: number, options: SpawnOptions = {}): Promise<number> {
  const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit', detached: true, ...options });
  const end = (signal: NodeJS.Signals): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal);
  };
  const timer = setTimeout(() => {
    console.error(`${args.join(' ')}: not finished after ${limit / minute} minutes, ending it`);
    end('SIGTERM');
    setTimeout(() => end('SIGKILL'), 10_000).unref();
  }, limit);
  const interrupt = (): void => end('SIGINT');
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? 1));
    });
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

function sum(counts: readonly Count[]): Count {
  return counts.reduce((a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed }));
}

async function step(args: readonly string[], limit: number): Promise<Count> {
  const code = await command(args, limit);
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** A mocha run; a run that ends without its counts, or with a non-zero exit and no failed test, counts as one failure. */
async function mocha(args: readonly string[], limit: number, environment: NodeJS.ProcessEnv = {}): Promise<Count> {
  const counts = join(scratch, `counts-${process.pid}.json`);
  await rm(counts, { force: true });
  const code = await command(['node_modules/mocha/bin/mocha.js', '--reporter', 'test/reporter.cjs', ...args], limit, {
    env: { ...process.env, ...environment, TEST_COUNTS: counts, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' },
  });
  const text = await readFile(counts, 'utf8').catch(() => undefined);
  await rm(counts, { force: true });
  if (text === undefined) return { passed: 0, failed: 1 };
  const counted = JSON.parse(text) as { passes: number; failures: number; failed: Told[]; again: Told[] };
  failures.push(...counted.failed);
  const lost = new Set(counted.failed.map(({ title }) => title));
  triedAgain.push(...counted.again.filter(({ title }) => !lost.has(title)));
  return { passed: counted.passes, failed: code !== 0 && counted.failures === 0 ? 1 : counted.failures };
}

const local = (...args: string[]): string[] => ['--import', 'tsx', 'local/cli.ts', ...args];

/** Like a test, it is tried once more: it goes on where it was. */
async function bringUp(): Promise<Count> {
  const first = await step(local('up'), 50 * minute);
  if (first.failed === 0) return first;
  const second = await step(local('up'), 50 * minute);
  if (second.failed === 0) triedAgain.push({ title: 'phase environment', message: 'see the output of the first' });
  return second;
}

const phases: readonly Phase[] = [
  {
    name: 'types',
    run: async () => {
      const compiler = ['node_modules/typescript/bin/tsc', '--noEmit'];
      return sum([await step(compiler, 5 * minute), await step([...compiler, '-p', 'api/console'], 5 * minute)]);
    },
  },
  { name: 'lint', run: () => step(['node_modules/@biomejs/biome/bin/biome', 'check', '.'], 2 * minute) },
  { name: 'unit', run: () => mocha(['--config', 'test/unit.mocharc.json'], 5 * minute) },
  { name: 'environment', run: bringUp },
  {
    name: 'plugins',
    run: async () =>
      mocha(['--config', 'test/plugins.mocharc.json'], 15 * minute, await toolchainEnvironment(createContext(root))),
  },
  { name: 'api', run: () => mocha(['--config', 'test/api.mocharc.json'], 20 * minute) },
  {
    name: 'faults',
    byName: true,
    run: () => mocha(['--config', 'test/faults.mocharc.json'], 30 * minute),
  },
  {
    name: 'workflows',
    run: async () =>
      mocha(['--config', 'test/workflows.mocharc.json'], 45 * minute, await toolchainEnvironment(createContext(root))),
  },
  { name: 'e2e', run: () => mocha(['--config', 'test/e2e.mocharc.json'], 25 * minute) },
];

/** Titles with the beginning of each message. */
function tell(what: string, tests: readonly Told[]): void {
  if (tests.length === 0) return;
  const lines = tests.map(
    ({ title, message }) => `  ${title}\n    ${message.slice(0, 600).replaceAll('\n', '\n    ')}`,
  );
  console.log(`\n== ${what}:\n${lines.join('\n')}`);
}

async function wasRunning(): Promise<boolean> {
  return (await command(local('status'), minute, { stdio: 'ignore' })) === 0;
}

async function main(names: readonly string[]): Promise<number> {
  const chosen =
    names.length === 0 ? phases.filter(({ byName }) => !byName) : phases.filter(({ name }) => names.includes(name));
  const unknown = names.filter((name) => !phases.some((phase) => phase.name === name));
  if (unknown.length > 0)
    throw new Error(`no phase ${unknown.join(', ')}; there are ${phases.map(({ name }) => name).join(', ')}`);
  await mkdir(scratch, { recursive: true });
  const keep = !chosen.some(({ name }) => name === 'environment') || (await wasRunning());
  const total: Count = { passed: 0, failed: 0 };
  for (const { name, run } of chosen) {
    const started = Date.now();
    console.log(`\n== ${name}`);
    const told = failures.length;
    const { passed, failed } = await run();
    if (failed > 0 && failures.length === told) failures.push({ title: `phase ${name}`, message: 'see its output' });
    total.passed += passed;
    total.failed += failed;
    console.log(
      `== ${name}: ${failed === 0 ? 'passed' : `${failed} failed`} in ${Math.round((Date.now() - started) / 1000)} s`,
    );
    if (name === 'environment' && failed > 0) break;
  }
  if (!keep) await command(local('down'), 5 * minute);
  tell('passed only when they were tried again', triedAgain);
  tell('failed', failures);
  const summary = `${total.passed} passed, ${total.failed} failed`;
  await writeFile(join(scratch, 'summary'), `${summary}\n`);
  console.log(`\n${summary}`);
  return total.failed === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
