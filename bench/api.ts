/**
 * `npm run bench:api`: what the operations API costs, through the outer nginx on loopback: changes one at a time, 20 at
 * once, reads, memory. Beside it, interleaved in the same run, the statements of the API's own plans through psql: the
 * figures to read are the ratios.
 */

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';
import Table from 'cli-table3';
import { execa } from 'execa';
import type { Operation, Step } from '../api/model.ts';
import { NODE_ADDRESS, POSTGRES_ADMIN, POSTGRES_PORT } from '../local/facts.ts';
import { caFilePath } from '../local/pki.ts';
import { secret } from '../local/secrets.ts';
import { API, podsOf } from '../test/api/e2e/support/cluster.ts';
import { PUBLIC_URL } from '../test/api/e2e/support/http.ts';
import { context, kubectl, query } from '../test/api/e2e/support/local.ts';
import { ENVIRONMENT, Service, type Wanted } from '../test/api/e2e/support/service.ts';

const COUNT = 20;
const READS = { rate: 500, seconds: 20, connections: 20 };

/** A database with two login roles, a schema and all their grants. */
const WHOLE: Wanted = {
  schemas: ['app'],
  roles: { writer: { access: 'write' }, reader: { access: 'read' } },
  credentials: { type: 'return' },
};
/** One role and one schema more. */
const MORE: Wanted = {
  ...WHOLE,
  schemas: ['app', 'report'],
  roles: { ...WHOLE.roles, report: { access: 'read' } },
};

export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** A change that the request waits for. @throws when it fails */
async function put(service: Service, name: string, wanted: Wanted): Promise<void> {
  const body = { environment: ENVIRONMENT, ...wanted };
  const options = { body, headers: { prefer: 'wait=60' } };
  const { status, text, body: operation } = await service.request<Operation>('PUT', `/v1/databases/${name}`, options);
  if (status === 202) await service.succeeded(operation.id, 120);
  else if (status !== 200 || operation.status !== 'succeeded') throw new Error(`PUT ${name}: ${status} ${text}`);
}

/** The statements of a plan for psql: what is not of the whole server runs in the database. */
function script(name: string, steps: readonly Step[]): string {
  const lines = steps.flatMap(({ type, sql }) => {
    // A password is no statement.
    if (sql.length === 0) return [];
    const whole = /:(Role|Database|GrantRole)$/.test(type);
    return [`\\connect ${whole ? 'postgres' : name}`, ...sql.map((statement) => statement.replace(/;?\s*$/, ';'))];
  });
  return lines.filter((line, index) => !line.startsWith('\\connect') || line !== lastConnect(lines, index)).join('\n');
}

function lastConnect(lines: readonly string[], before: number): string | undefined {
  return lines.slice(0, before).findLast((line) => line.startsWith('\\connect'));
}

async function psql(statements: string): Promise<void> {
  await execa('psql', ['--no-psqlrc', '--quiet', '--output=/dev/null', '--set=ON_ERROR_STOP=1', '--file=-'], {
    input: statements,
    env: {
      PGHOST: NODE_ADDRESS,
      PGPORT: String(POSTGRES_PORT),
      PGDATABASE: 'postgres',
      PGUSER: POSTGRES_ADMIN,
      PGPASSWORD: secret(context, 'postgres-password'),
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: caFilePath(context),
    },
  });
}

interface Summary {
  readonly pods: readonly {
    readonly podRef: { readonly uid: string };
    readonly memory?: { readonly workingSetBytes: number };
  }[];
}

/** Working set of each replica in MiB, as the kubelet measures it (about every 10 s). */
async function memory(): Promise<number[]> {
  const path = '/api/v1/nodes/development-operations/proxy/stats/summary';
  const { pods } = JSON.parse(await kubectl(['get', '--raw', path])) as Summary;
  const replicas = new Set((await podsOf(API)).map(({ metadata }) => metadata.uid));
  return pods
    .filter(({ podRef }) => replicas.has(podRef.uid))
    .map((pod) => Math.round((pod.memory?.workingSetBytes ?? 0) / 2 ** 20));
}

/**
 * Runs `work`, and takes the memory at its end and as often as the kubelet measures it: to ask takes processes, which
 * would be seen in the times. The most of all replicas.
 */
async function withMemory<T>(work: () => Promise<T>): Promise<{ result: T; most: number }> {
  let most = 0;
  const take = async () => {
    most = Math.max(most, ...(await memory().catch(() => [])));
  };
  let pending: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    pending = take();
  }, 10_000);
  const result = await work().finally(() => clearInterval(timer));
  await pending;
  await take();
  return { result, most };
}

interface Reads {
  /** Milliseconds from the moment at which each request was due: a late one is not flattered. */
  readonly times: number[];
  readonly failed: number;
  /** Seconds. */
  readonly took: number;
}

/** One read every two milliseconds, whatever has become of those before. */
async function evenly(service: Service, path: string, length = READS.seconds): Promise<Reads> {
  const times: number[] = [];
  const pending: Promise<void>[] = [];
  let failed = 0;
  const started = performance.now();
  const once = async (due: number): Promise<void> => {
    const { status } = await service.request('GET', path).catch(() => ({ status: 0 }));
    if (status === 200) times.push(performance.now() - due);
    else failed += 1;
  };
  for (let index = 0; index < READS.rate * length; index += 1) {
    const due = started + (index * 1000) / READS.rate;
    while (performance.now() < due) await sleep(1);
    pending.push(once(due));
  }
  await Promise.all(pending);
  return { times, failed, took: (performance.now() - started) / 1000 };
}

class Bench {
  readonly service = new Service();
  readonly prefix = `bench_${randomBytes(3).toString('hex')}`;
  readonly table = new Table({ head: ['', 'API', 'psql', 'ratio'], style: { head: [] } });

  #row(what: string, api: number, sql: number): void {
    this.table.push([what, api.toFixed(2), sql.toFixed(2), (api / sql).toFixed(1)]);
  }

  /** Statements of the plans of a new database and of one role and schema more, for a database of another name. */
  async #statements(): Promise<(name: string) => { whole: string; more: string }> {
    const model = `${this.prefix}_model`;
    const wanted = { name: model, environment: ENVIRONMENT };
    const whole = await this.service.planned({ database: { ...wanted, ...WHOLE } });
    await put(this.service, model, WHOLE);
    const more = await this.service.planned({ database: { ...wanted, ...MORE } });
    const named = (steps: readonly Step[], name: string) => script(model, steps).replaceAll(model, name);
    return (name) => ({ whole: named(whole.steps, name), more: named(more.steps, name) });
  }

  /** One after the other, the API and psql in turn. */
  async changes(): Promise<void> {
    const statements = await this.#statements();
    const times = { whole: [] as number[], more: [] as number[] };
    const sql = { whole: [] as number[], more: [] as number[] };
    for (let index = 0; index < COUNT; index += 1) {
      const api = `${this.prefix}_api_${index}`;
      const own = `${this.prefix}_sql_${index}`;
      times.whole.push(await seconds(() => put(this.service, api, WHOLE)));
      sql.whole.push(await seconds(() => psql(statements(own).whole)));
      times.more.push(await seconds(() => put(this.service, api, MORE)));
      sql.more.push(await seconds(() => psql(statements(own).more)));
    }
    for (const [key, title] of [
      ['more', 'role + schema + grants in a database'],
      ['whole', 'a database with roles, schema, grants'],
    ] as const) {
      this.#row(`${title}: p50 s`, percentile(times[key], 0.5), percentile(sql[key], 0.5));
      this.#row(`${title}: p95 s`, percentile(times[key], 0.95), percentile(sql[key], 0.95));
    }
    const all = Array.from({ length: COUNT }, (_, index) => index);
    const { result, most } = await withMemory(() =>
      seconds(() => Promise.all(all.map((index) => put(this.service, `${this.prefix}_once_${index}`, WHOLE)))),
    );
    const other = await seconds(() =>
      Promise.all(all.map((index) => psql(statements(`${this.prefix}_sqlonce_${index}`).whole))),
    );
    this.#row(`${COUNT} databases asked for at once: s`, result, other);
    this.#row('the same: databases a second', COUNT / result, COUNT / other);
    this.table.push(['memory of a replica under these changes, most: MiB', most, '', '']);
  }

  async reads(): Promise<void> {
    const path = `/v1/databases/${this.prefix}_api_0?environment=${ENVIRONMENT}`;
    const token = await this.service.tokenOf();
    // After changes the service is given a moment to compile what answers reads; the memory is taken after the times.
    await evenly(this.service, path, 5);
    const even = await evenly(this.service, path);
    const most = Math.max(...(await memory()));
    const bursts = await autocannon({
      url: `${PUBLIC_URL.replace('localhost', '127.0.0.1')}${path}`,
      connections: READS.connections,
      duration: READS.seconds,
      overallRate: READS.rate,
      // Its correction takes one millisecond for the interval that is expected, whatever the rate.
      ignoreCoordinatedOmission: true,
      headers: { authorization: `Bearer ${token}`, host: new URL(PUBLIC_URL).host },
      servername: 'localhost',
    });
    const { latency, requests, errors, timeouts, non2xx } = bursts;
    const { times, failed, took } = even;
    const rows: [string, string][] = [
      ['evenly: answered a second', (times.length / took).toFixed(0)],
      ['evenly: p50 ms', percentile(times, 0.5).toFixed(1)],
      ['evenly: p99 ms', percentile(times, 0.99).toFixed(1)],
      ['evenly: failed', String(failed)],
      ['in bursts (autocannon): answered a second', requests.average.toFixed(0)],
      ['in bursts: p50 ms', String(latency.p50)],
      ['in bursts: p99 ms', String(latency.p99)],
      ['in bursts: failed', String(errors + timeouts + non2xx)],
    ];
    for (const [what, value] of rows) this.table.push([`${READS.rate} reads a second ${what}`, value, '', '']);
    this.table.push(['memory of a replica after these reads, most: MiB', most, '', '']);
  }

  async rest(): Promise<void> {
    this.table.push(['memory of each replica at rest: MiB', (await memory()).join(', '), '', '']);
  }

  async remove(): Promise<void> {
    await this.service.removeAll(this.prefix);
    const like = [`${this.prefix}_sql%`];
    const databases = await query<{ name: string }>(
      'SELECT datname AS name FROM pg_database WHERE datname LIKE $1',
      like,
    );
    for (const { name } of databases) await query(`DROP DATABASE "${name}" WITH (FORCE)`);
    const roles = await query<{ name: string }>('SELECT rolname AS name FROM pg_roles WHERE rolname LIKE $1', like);
    for (const { name } of roles) await query(`DROP ROLE "${name}"`);
    this.service.close();
  }
}

async function main(): Promise<void> {
  const bench = new Bench();
  try {
    await bench.rest();
    await bench.changes();
    await bench.reads();
  } finally {
    await bench.remove();
  }
  console.log(`${(await podsOf(API)).length} replicas, ${COUNT} of each change, through ${PUBLIC_URL}`);
  console.log(bench.table.toString());
}

if (process.argv[1] === import.meta.filename) await main();
