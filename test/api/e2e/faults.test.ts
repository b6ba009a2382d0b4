/**
 * What is left when a part dies in the middle of 50 operations: each has succeeded or failed cleanly, each database is
 * whole or not there, nothing is locked, and what failed can be retried.
 */

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseRecord, Operation } from '../../../api/model.ts';
import { postgres } from '../../../local/postgres.ts';
import { runningPid } from '../../../local/process.ts';
import { differences, isAbsent, ownerRole } from './support/catalogue.ts';
import { API, isEngine, isServer, type PodProcess, podsOf, processesOf, rolledOut } from './support/cluster.ts';
import { context } from './support/local.ts';
import { leftovers, type OperationRow, operationsOf } from './support/records.ts';
import { databaseName, ENVIRONMENT, Service, SMALL, type Wanted } from './support/service.ts';

/** With five operations that follow each other, and with one. */
const BUSY = 8;
const LONE = 10;
const OPERATIONS = 5 * BUSY + LONE;
/** Of the names that `databaseName` gives. */
const PREFIX = 'e2e_fault_';
/** Within this all have ended, the recovery of what died included: seconds. */
const BOUND = 120;

const MORE: Wanted = { ...SMALL, schemas: ['app', 'more'] };
const LESS_RIGHTS: Wanted = { ...SMALL, roles: { ...SMALL.roles, writer: { access: 'read' } } };

/** All operations, asked for at once; their ids, by database in their order. */
async function ask(service: Service, busy: readonly string[], lone: readonly string[]): Promise<Map<string, string[]>> {
  const body = { environment: ENVIRONMENT };
  const asked = new Map<string, string[]>();
  const follow = async (name: string) => {
    const operations = [
      await service.put(name, SMALL),
      await service.put(name, MORE),
      await service.expect<Operation>(202, 'POST', `/v1/databases/${name}/rotate`, { body }),
      await service.put(name, LESS_RIGHTS),
      await service.put(name, SMALL),
    ];
    asked.set(
      name,
      operations.map(({ id }) => id),
    );
  };
  const once = async (name: string) => {
    asked.set(name, [(await service.put(name, SMALL)).id]);
  };
  await Promise.all([...busy.map(follow), ...lone.map(once)]);
  return asked;
}

/** Waits until a third has ended, and something runs: the middle. */
async function middle(ids: readonly string[]): Promise<void> {
  for (const deadline = Date.now() + 60_000; ; await sleep(50)) {
    const rows = await operationsOf(ids);
    const done = rows.filter(({ finished }) => finished).length;
    if (done >= ids.length / 3 && rows.some(({ status }) => status === 'running')) return;
    assert.ok(Date.now() < deadline, `after 60 s only ${done} of ${ids.length} operations have ended`);
  }
}

async function whenEnded(ids: readonly string[]): Promise<OperationRow[]> {
  for (const deadline = Date.now() + BOUND * 1000; ; await sleep(250)) {
    // While PostgreSQL starts no question is answered.
    const rows = await operationsOf(ids).catch(() => []);
    if (rows.length === ids.length && rows.every(({ finished }) => finished)) return rows;
    if (Date.now() > deadline) {
      const open = rows.filter(({ finished }) => !finished).map((row) => `${row.kind} ${row.database} ${row.status}`);
      throw new Error(`after ${BOUND} s ${open.length} of ${ids.length} have not ended: ${open.join('; ')}`);
    }
  }
}

/** Whole as it was applied last, or wholly absent, as PostgreSQL's catalogue says. */
async function assertWhole(service: Service, name: string): Promise<void> {
  const found = await service.request<DatabaseRecord>('GET', `/v1/databases/${name}?environment=${ENVIRONMENT}`);
  const applied = found.status === 200 ? found.body.applied : null;
  if (applied === null) assert.ok(await isAbsent(name), `${name} was never applied, but something of it is there`);
  else assert.deepEqual(await differences(applied, ownerRole(name)), [], `${name} is not whole`);
}

/** As the engine says. */
async function assertNoDrift(service: Service, name: string): Promise<void> {
  const { steps } = await service.drift(name);
  const changes = steps.filter(({ operation }) => operation !== 'same');
  assert.deepEqual(changes, [], `${name} has drift`);
}

/** The statement of each test: `kill` ends something, and says what. */
function survives(what: string, kill: (service: Service, ids: readonly string[]) => Promise<string>): void {
  it(`survives the death of ${what}`, async () => {
    const service = new Service();
    const busy = Array.from({ length: BUSY }, () => databaseName('fault'));
    const lone = Array.from({ length: LONE }, () => databaseName('fault'));
    const names = [...busy, ...lone];
    try {
      const asked = await ask(service, busy, lone);
      const ids = [...asked.values()].flat();
      assert.equal(new Set(ids).size, OPERATIONS);
      await middle(ids);
      const killed = await kill(service, ids);
      const struck = Date.now();
      const rows = await whenEnded(ids);
      const seconds = Math.round((Date.now() - struck) / 1000);
      await rolledOut(API);

      const interrupted = rows.filter(({ attempt, status }) => attempt > 1 || status !== 'succeeded');
      assert.ok(interrupted.length > 0, `${killed}, but nothing was interrupted: the test has proven nothing`);
      for (const { id } of interrupted) {
        const { status, error } = await service.expect<Operation>(200, 'GET', `/v1/operations/${id}`);
        if (status !== 'succeeded')
          assert.ok(status === 'failed' && error?.detail, `${id} is ${status} without a reason`);
      }
      await settled();
      for (const name of names) await assertWhole(service, name);

      const failed = ids.filter((id) => interrupted.some((row) => row.id === id && row.status === 'failed'));
      const rest = `${interrupted.length} of ${ids.length} interrupted, ${failed.length} of them failed`;
      console.log(`      ${killed}; ${rest}; all ended after ${seconds} s`);
      for (const id of failed) {
        await service.expect<Operation>(202, 'POST', `/v1/operations/${id}/retry`);
        await service.succeeded(id);
      }
      const touched = new Set([...busy, ...interrupted.map(({ database }) => database)]);
      await Promise.all([...touched].map((name) => service.make(name)));
      for (const name of names) await assertWhole(service, name);
      await Promise.all([...touched].map((name) => assertNoDrift(service, name)));
      for (const name of lone) {
        const all = await service.all<Operation>(`/v1/operations?environment=${ENVIRONMENT}&database=${name}`);
        const puts = all.filter(({ kind }) => kind === 'put').length;
        assert.equal(puts, touched.has(name) ? 2 : 1, `${name} has operations that nobody asked for`);
      }
      await settled();
    } finally {
      await rolledOut(API);
      await service.removeAll(PREFIX);
      service.close();
    }
    for (const name of names) assert.ok(await isAbsent(name), `${name} has left something behind`);
  });
}

async function settled(): Promise<void> {
  assert.deepEqual(await leftovers(PREFIX), { jobs: [], locks: [], running: [] });
}

async function apiProcess(is: (process: PodProcess) => boolean, seconds: number): Promise<PodProcess> {
  const pods = await podsOf(API);
  for (const deadline = Date.now() + seconds * 1000; ; await sleep(20)) {
    const [first] = processesOf(pods).filter(is);
    if (first) return first;
    assert.ok(Date.now() < deadline, 'there is no such process in the pods of the service');
  }
}

describe('a fault in the middle of 50 operations', function () {
  this.timeout(300_000);

  before(async () => {
    assert.ok((await podsOf(API)).length >= 2, 'the service needs two replicas to lose one');
    await settled();
  });

  survives('a run of the engine', async (_service, ids) => {
    // One that only waits for the next change is not missed: until one was at work.
    const killed: string[] = [];
    for (const deadline = Date.now() + 60_000; Date.now() < deadline; ) {
      const { pid, pod } = await apiProcess(isEngine, 30);
      process.kill(pid, 'SIGKILL');
      killed.push(`${pid} in ${pod}`);
      await sleep(500);
      const rows = await operationsOf(ids);
      if (rows.some(({ attempt }) => attempt > 1)) return `killed the engines ${killed.join(', ')}`;
    }
    throw new Error(`killed the engines ${killed.join(', ')}, and none of them was missed`);
  });

  survives('a replica of the service', async () => {
    // One that is at work: the other would not be missed.
    const { pod } = await apiProcess(isEngine, 30);
    const replica = processesOf(await podsOf(API)).find((each) => each.pod === pod && isServer(each));
    assert.ok(replica, `there is no server in ${pod}`);
    process.kill(replica.pid, 'SIGKILL');
    return `killed the server ${replica.pid} in ${pod}`;
  });

  survives('PostgreSQL', async () => {
    const pid = runningPid(context, 'postgres');
    assert.ok(pid, 'the local PostgreSQL does not run');
    process.kill(pid, 'SIGKILL');
    // There is no supervisor: what starts it again is what `npm run up` calls.
    await sleep(2000);
    await postgres.start(context);
    return `killed PostgreSQL's postmaster ${pid} and started it again`;
  });
});
