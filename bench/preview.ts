/**
 * `npm run bench`: what a no-change preview of the whole local stack costs, beside an empty program's and beside
 * asking the same questions by hand (`kubectl diff` of the same objects, the same look-ups in psql).
 * The runs are interleaved, so that a noisy machine disturbs all of them alike; the figures to read are the ratios.
 */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Table from 'cli-table3';
import { execa } from 'execa';
import { createContext } from '../local/context.ts';
import { pulumiEnvironment } from '../local/pulumiEnvironment.ts';
import { writeLocalConfiguration } from '../local/stackConfiguration.ts';
import { exportStack, type StateResource } from '../scripts/stack.ts';

const root = join(import.meta.dirname, '..');
const rounds = 5;

type Run = () => Promise<void>;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

async function timed(run: Run): Promise<number> {
  const started = performance.now();
  await run();
  return (performance.now() - started) / 1000;
}

/** A project of one empty file, in a state backend of its own: TypeScript through tsx, or plain JavaScript. */
async function emptyProgram(directory: string, language: 'ts' | 'js', base: NodeJS.ProcessEnv): Promise<Run> {
  const project = join(directory, language);
  const state = join(project, 'state');
  await mkdir(state, { recursive: true });
  const main = `index.${language}`;
  const nodeargs = language === 'ts' ? '\n    nodeargs: --import tsx' : '';
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'empty', type: 'module', main }));
  await writeFile(join(project, main), 'export {};\n');
  await writeFile(
    join(project, 'Pulumi.yaml'),
    `name: empty\nruntime:\n  name: nodejs\n  options:\n    typescript: false${nodeargs}\n`,
  );
  const env = {
    ...base,
    PULUMI_BACKEND_URL: `file://${state}`,
    PULUMI_DEBUG_PROVIDERS: undefined,
    PULUMI_STACK: undefined,
  };
  const options = { cwd: project, env } as const;
  await execa('pulumi', ['stack', 'init', 'empty'], options);
  await execa('pulumi', ['up', '--stack', 'empty', '--yes', '--skip-preview'], options);
  return async () => {
    await execa('pulumi', ['preview', '--stack', 'empty', '--expect-no-changes'], options);
  };
}

const ofPackage = (resources: readonly StateResource[], name: string): readonly StateResource[] =>
  resources.filter(({ type }) => type.startsWith(`${name}:`));

/** `kubectl diff` of the objects as the stack gave them. Secrets go through standard input only. */
function kubectlDiff(resources: readonly StateResource[], env: NodeJS.ProcessEnv): Run {
  const items = ofPackage(resources, 'kubernetes').map(({ inputs }) => inputs);
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  return async () => {
    const args = ['diff', '--server-side', '--force-conflicts', '--field-manager=bench', '-f', '-'];
    const { exitCode, stderr } = await execa('kubectl', args, { input, env, reject: false });
    if (exitCode !== 0 && exitCode !== 1) throw new Error(`kubectl diff: ${stderr}`);
  };
}

/** One psql session that looks up what the stack's PostgreSQL resources describe. */
function psqlLookUps(
  resources: readonly StateResource[],
  env: NodeJS.ProcessEnv,
  address: { host: string; port: number },
): Run {
  const literal = (value: unknown): string => `'${String(value).replaceAll("'", "''")}'`;
  const queries = ofPackage(resources, 'postgresql').map(({ type, inputs }) => {
    const name = literal(inputs?.name ?? inputs?.role);
    if (type.endsWith(':Database')) return `SELECT * FROM pg_database WHERE datname = ${name};`;
    if (type.endsWith(':Schema')) return `SELECT * FROM pg_namespace WHERE nspname = ${name};`;
    if (type.endsWith(':DefaultPrivileges')) return 'SELECT * FROM pg_default_acl;';
    if (type.endsWith(':Grant')) return 'SELECT relname, relacl FROM pg_class WHERE relacl IS NOT NULL;';
    return `SELECT * FROM pg_roles WHERE rolname = ${name};`;
  });
  const database = ofPackage(resources, 'postgresql').find(({ type }) => type.endsWith(':Database'))?.inputs?.name;
  return async () => {
    await execa('psql', ['--no-psqlrc', '--quiet', '--output=/dev/null', '--set=ON_ERROR_STOP=1', '--file=-'], {
      input: queries.join('\n'),
      env: {
        ...env,
        PGHOST: address.host,
        PGPORT: String(address.port),
        PGDATABASE: String(database ?? 'postgres'),
        PGUSER: env.DEVOPS_DATABASE_ADMIN_USERNAME,
        PGPASSWORD: env.DEVOPS_DATABASE_ADMIN_PASSWORD,
        PGSSLMODE: 'verify-full',
        PGSSLROOTCERT: env.DEVOPS_DATABASE_CA_FILE,
      },
    });
  };
}

async function main(): Promise<void> {
  const env = await pulumiEnvironment(root, 'local');
  const { resources } = await exportStack(root, 'local', true);
  await mkdir(join(root, '.local'), { recursive: true });
  const directory = await mkdtemp(join(root, '.local', 'bench-'));
  try {
    const preview = ['preview', '--stack', 'local', '--expect-no-changes'];
    const direct = [...preview, '--config-file', writeLocalConfiguration(createContext(root))];
    const kubectl = kubectlDiff(resources, { ...env, KUBECONFIG: env.DEVOPS_KUBECONFIG });
    const psql = psqlLookUps(resources, env, { host: '127.0.0.1', port: 15432 });
    const runs: Readonly<Record<string, Run>> = {
      'pulumi preview, an empty TypeScript program': await emptyProgram(directory, 'ts', env),
      'pulumi preview, an empty JavaScript program': await emptyProgram(directory, 'js', env),
      'pulumi preview, the local stack (no change)': async () => {
        await execa('pulumi', direct, { cwd: root, env });
      },
      'the same through npm run pulumi': async () => {
        await execa('npm', ['run', 'pulumi', '--', ...preview], { cwd: root });
      },
      'kubectl diff + psql, the same objects': async () => {
        await kubectl();
        await psql();
      },
    };
    const times = new Map(Object.keys(runs).map((name) => [name, [] as number[]]));
    for (const run of Object.values(runs)) await run(); // caches warm for all alike
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, run] of Object.entries(runs)) times.get(name)?.push(await timed(run));
    }
    const base = median([...times.values()][0] ?? []);
    const table = new Table({ head: ['', 'median s', 'min', 'max', 'ratio to the first'], style: { head: [] } });
    for (const [name, values] of times) {
      const middle = median(values);
      const cells = [middle, Math.min(...values), Math.max(...values)].map((value) => value.toFixed(2));
      table.push([name, ...cells, (middle / base).toFixed(2)]);
    }
    console.log(`${resources.length} resources in the state, ${rounds} interleaved rounds`);
    console.log(table.toString());
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === import.meta.filename) await main();
