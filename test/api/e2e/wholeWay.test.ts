/** The whole way of a request: outer nginx, load balancer, gateway, service, engine, PostgreSQL and Kubernetes. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Credentials, DatabaseRecord, Graph, Operation, Page, Plan, Problem, Step } from '../../../api/model.ts';
import { differences, isAbsent, ownerRole } from './support/catalogue.ts';
import { apiPods, gatewayPods } from './support/cluster.ts';
import { type Answer, eventsOf } from './support/http.ts';
import { connected, kubectl, query, TENANTS } from './support/local.ts';
import { databaseName, ENVIRONMENT, Service, SMALL } from './support/service.ts';

const code = ({ type }: Problem): string => type.split(':').at(-1) ?? '';

/** Runs statements one after the other as one of the roles. @throws with PostgreSQL's SQLSTATE in `code` */
async function as(values: Readonly<Record<string, string>> | undefined, ...statements: string[]): Promise<unknown[]> {
  const { PGUSER: user = '', PGPASSWORD: password = '', PGDATABASE: database = '' } = values ?? {};
  const options = { user, password, database, host: values?.PGHOST, port: Number(values?.PGPORT) };
  return await connected(options, async (client) => {
    let rows: unknown[] = [];
    for (const statement of statements) ({ rows } = await client.query(statement));
    return rows;
  });
}

/** SQLSTATE, PostgreSQL documentation, appendix A. */
const INSUFFICIENT_PRIVILEGE = { code: '42501' };
const INVALID_PASSWORD = { code: '28P01' };

describe('a database, the whole way', function () {
  this.timeout(120_000);
  const service = new Service();
  const names: string[] = [];
  const make = (kind: string): string => {
    const name = databaseName(kind);
    names.push(name);
    return name;
  };

  after(async () => {
    try {
      for (const name of names) await service.removeAll(name);
      for (const name of names) assert.ok(await isAbsent(name), `${name} has left something behind`);
    } finally {
      service.close();
    }
  });

  /** What a request was refused for: at once, or as the end of its operation. */
  const refusal = async ({ status, body }: Answer): Promise<Problem> => {
    const problem = status === 202 ? (await service.ended((body as Operation).id)).error : (body as Problem);
    assert.ok(problem, 'it was not refused');
    return problem;
  };

  describe('whose credentials are returned', () => {
    const name = make('return');
    let put: Answer<Operation>;
    let credentials: Credentials;

    it('is made within the time that the request waits', async () => {
      const body = { environment: ENVIRONMENT, ...SMALL };
      put = await service.request<Operation>('PUT', `/v1/databases/${name}`, { body, headers: { prefer: 'wait=60' } });
      assert.equal(put.status, 200, put.text);
      assert.equal(put.body.status, 'succeeded', put.text);
      assert.equal(put.body.credentials, true);
      assert.deepEqual(await differences(wanted(name), ownerRole(name)), []);
      assert.equal((await service.database(name)).status, 'ready');
    });

    it('hands the credentials out once', async () => {
      credentials = await service.credentials(put.body.id);
      assert.deepEqual(Object.keys(credentials).sort(), Object.keys(SMALL.roles).sort());
      const again = await service.request<Problem>('POST', `/v1/operations/${put.body.id}/credentials`);
      assert.equal(again.status, 410, again.text);
      assert.equal(code(again.body), 'credentials-gone');
    });

    it('gives each role what its access says, and no more', async () => {
      const { admin, writer, reader } = credentials;
      await as(admin, 'CREATE TABLE app.notes (id int GENERATED ALWAYS AS IDENTITY, note text)');
      await as(writer, "INSERT INTO app.notes (note) VALUES ('tea')", "UPDATE app.notes SET note = 'coffee'");
      assert.deepEqual(await as(reader, 'SELECT note FROM app.notes'), [{ note: 'coffee' }]);
      await assert.rejects(as(reader, "INSERT INTO app.notes (note) VALUES ('x')"), INSUFFICIENT_PRIVILEGE);
      await assert.rejects(as(writer, 'CREATE TABLE app.more (id int)'), INSUFFICIENT_PRIVILEGE);
      await assert.rejects(as(writer, 'CREATE TABLE public.more (id int)'), INSUFFICIENT_PRIVILEGE);
      await assert.rejects(as(writer, 'DROP TABLE app.notes'), { code: '42501' });
    });

    it('keeps passwords out of everything that can be read', async () => {
      const passwords = Object.values(credentials).map(({ PGPASSWORD }) => PGPASSWORD ?? '');
      assert.ok(passwords.every((password) => password.length >= 20));
      const id = put.body.id;
      const paths = [`/v1/operations/${id}`, `/v1/databases/${name}`, `/v1/databases/${name}/graph`, '/v1/audit'];
      for (const path of paths) {
        const { text } = await service.request('GET', path);
        for (const password of passwords) assert.ok(!text.includes(password), `${path} holds a password`);
      }
      for (const pod of [...(await apiPods()), ...(await gatewayPods())]) {
        const log = await kubectl(['logs', pod, '--all-containers']);
        for (const password of passwords) assert.ok(!log.includes(password), `the log of ${pod} holds a password`);
      }
    });

    it('rotates the password of one role only', async () => {
      const body = { environment: ENVIRONMENT, roles: ['writer'] };
      const { id } = await service.expect<Operation>(202, 'POST', `/v1/databases/${name}/rotate`, { body });
      await service.succeeded(id);
      const rotated = await service.credentials(id);
      assert.notEqual(rotated.writer?.PGPASSWORD, credentials.writer?.PGPASSWORD);
      await as(rotated.writer, 'SELECT 1');
      await as(credentials.reader, 'SELECT 1');
      await assert.rejects(as(credentials.writer, 'SELECT 1'), INVALID_PASSWORD);
    });

    it('shows what was changed by hand as drift, which the next change mends', async () => {
      assert.deepEqual(changed((await service.drift(name)).steps), []);
      await query(`REVOKE SELECT ON ALL TABLES IN SCHEMA app FROM ${name}_reader`, [], name);
      const { steps } = await service.drift(name);
      assert.deepEqual(
        changed(steps).map(({ type, operation }) => [type, operation]),
        [['postgresql:index/grant:Grant', 'update']],
        JSON.stringify(steps),
      );
      assert.equal((await service.database(name)).drift?.steps.length, 1);
      await service.make(name);
      assert.deepEqual(await as(credentials.reader, 'SELECT count(*)::int AS n FROM app.notes'), [{ n: 1 }]);
      assert.deepEqual(changed((await service.drift(name)).steps), []);
    });

    it('answers with the graph of its resources', async () => {
      const graph = await service.expect<Graph>(200, 'GET', `/v1/databases/${name}/graph`);
      const types = new Set(graph.nodes.map(({ type }) => type));
      for (const type of ['database:Database', 'role:Role', 'schema:Schema', 'grant:Grant']) {
        assert.ok(types.has(`postgresql:index/${type}`), `no ${type} in the graph`);
      }
      const urns = new Set(graph.nodes.map(({ urn }) => urn));
      assert.ok(graph.edges.length > 0);
      for (const { from, to } of graph.edges) assert.ok(urns.has(from) && urns.has(to));
    });

    it('is not deleted while it holds tables, but with its name it is', async () => {
      const refused = await service.remove(name);
      assert.equal(code(await refusal(refused)), 'holds-data', refused.text);
      assert.deepEqual(await differences(wanted(name), ownerRole(name)), []);
      const { status, body, text } = await service.remove(name, name);
      assert.equal(status, 202, text);
      await service.succeeded(body.id);
      assert.ok(await isAbsent(name), 'something is left');
      const gone = await service.request<DatabaseRecord>('GET', `/v1/databases/${name}`);
      assert.ok(gone.status === 404 || gone.body.status === 'deleted', gone.text);
    });
  });

  describe('whose credentials go to Secrets', () => {
    const name = make('secret');

    it('has a Secret for each role, with which a client connects', async () => {
      await service.make(name, { ...SMALL, credentials: { type: 'secret', namespace: TENANTS } });
      const found = await secretsOf(name);
      assert.deepEqual(found.map((values) => values.PGUSER).sort(), [
        `${name}_admin`,
        `${name}_reader`,
        `${name}_writer`,
      ]);
      for (const values of found) assert.equal((await as(values, 'SELECT 1 AS one')).length, 1);
    });

    it('has new passwords in the same Secrets after a rotation', async () => {
      const before = await secretsOf(name);
      const body = { environment: ENVIRONMENT };
      const { id } = await service.expect<Operation>(202, 'POST', `/v1/databases/${name}/rotate`, { body });
      await service.succeeded(id);
      const after = await secretsOf(name);
      assert.equal(after.length, before.length);
      for (const [index, values] of after.entries()) {
        assert.notEqual(values.PGPASSWORD, before[index]?.PGPASSWORD);
        await as(values, 'SELECT 1');
        await assert.rejects(as(before[index], 'SELECT 1'), INVALID_PASSWORD);
      }
    });

    it('takes its Secrets with it', async () => {
      const { body } = await service.remove(name);
      await service.succeeded(body.id);
      assert.deepEqual(await secretsOf(name), []);
      assert.ok(await isAbsent(name));
    });

    it('is refused in a namespace that the caller may not write to', async () => {
      const body = { environment: ENVIRONMENT, ...SMALL, credentials: { type: 'secret', namespace: 'kube-system' } };
      const answer = await service.request('PUT', `/v1/databases/${make('foreign')}`, { body });
      assert.ok(answer.status === 403 || answer.status === 400, answer.text);
    });
  });

  describe('that is planned first', () => {
    const name = make('plan');
    let plan: Plan;
    let passwords: string[];

    it('is shown with its steps and statements before anything is made', async () => {
      plan = await service.planned({ database: wanted(name) });
      assert.equal(plan.status, 'ready', JSON.stringify(plan.error));
      assert.match(plan.hash ?? '', /^[0-9a-f]{64}$/);
      assert.ok(plan.steps.every(({ operation }) => operation === 'create'));
      assert.equal(plan.counts.create, plan.steps.length);
      const sql = plan.steps.flatMap((step) => step.sql).join('\n');
      for (const part of [/CREATE DATABASE "?e2e_/, /CREATE ROLE "?e2e_/, /CREATE SCHEMA "?app/, /GRANT .*SELECT/]) {
        assert.match(sql, part);
      }
      assert.ok(await isAbsent(name), 'the plan has made something');
    });

    it('is refused with another hash', async () => {
      const answer = await service.request<Problem>('POST', `/v1/plans/${plan.id}/apply`, {
        body: { hash: '0'.repeat(64) },
      });
      assert.equal(answer.status, 409, answer.text);
    });

    it('is applied as it was planned', async () => {
      const { hash } = plan;
      const { id } = await service.expect<Operation>(202, 'POST', `/v1/plans/${plan.id}/apply`, { body: { hash } });
      const { steps, planId } = await service.succeeded(id);
      assert.equal(planId, plan.id);
      const of = (list: readonly Step[]) => list.map((step) => `${step.operation} ${step.urn}`).sort();
      assert.deepEqual(of(changed(steps)), of(plan.steps));
      assert.deepEqual(await differences(wanted(name), ownerRole(name)), []);
      passwords = Object.values(await service.credentials(id)).map(({ PGPASSWORD }) => PGPASSWORD ?? '');
      plan = await service.expect<Plan>(200, 'GET', `/v1/plans/${plan.id}`);
      assert.equal(plan.status, 'applied');
    });

    it('never shows a password', () => {
      assert.equal(passwords.length, 3);
      for (const password of passwords) assert.ok(!JSON.stringify(plan).includes(password));
    });

    it('is stale when somebody has changed the server meanwhile', async () => {
      const next = { ...wanted(name), schemas: ['app', 'more'] };
      const stale = await service.planned({ database: next });
      assert.equal(stale.status, 'ready');
      await query(`ALTER ROLE ${name}_reader CONNECTION LIMIT 3`);
      const { hash } = stale;
      const answer = await service.request('POST', `/v1/plans/${stale.id}/apply`, {
        body: { hash },
      });
      assert.equal(code(await refusal(answer)), 'plan-stale', answer.text);
      assert.equal((await service.expect<Plan>(200, 'GET', `/v1/plans/${stale.id}`)).status, 'stale');
      assert.deepEqual(await differences(wanted(name), ownerRole(name)), [], 'the stale plan has changed something');
    });

    it('is not applied twice', async () => {
      const answer = await service.request('POST', `/v1/plans/${plan.id}/apply`, { body: {} });
      assert.equal(answer.status, 409, answer.text);
    });

    it('shows what a deletion takes away', async () => {
      const deletion = await service.planned({ delete: { environment: ENVIRONMENT, name } });
      assert.equal(deletion.status, 'ready', JSON.stringify(deletion.error));
      assert.equal(deletion.action, 'delete');
      assert.match(deletion.steps.flatMap((step) => step.sql).join('\n'), /DROP DATABASE/);
      assert.deepEqual(await differences(wanted(name), ownerRole(name)), []);
    });
  });

  describe('that is watched', () => {
    const name = make('events');
    let operation: Operation;

    it('tells its progress while it is made, not at the end', async () => {
      operation = await service.put(name, SMALL);
      const events = await eventsOf(service.http, await service.tokenOf(), operation.id);
      const first = events.find(({ type }) => type === 'step');
      const last = events.at(-1);
      assert.ok(first && last, `no step among ${events.length} events`);
      assert.equal(last.type, 'status');
      assert.equal(last.data.status, 'succeeded');
      assert.ok(first.arrived < Date.parse(last.at), 'the first step arrived only after the end');
      const sequences = events.map(({ sequence }) => sequence);
      assert.deepEqual(
        sequences,
        [...new Set(sequences)].sort((a, b) => a - b),
        'events out of order or told twice',
      );
    });

    it('goes on after the last event that the client has seen', async () => {
      const token = await service.tokenOf();
      const all = await eventsOf(service.http, token, operation.id);
      const middle = all[Math.floor(all.length / 2)];
      const rest = await eventsOf(service.http, token, operation.id, { after: middle?.id });
      const later = all.filter(({ sequence }) => sequence > (middle?.sequence ?? 0));
      assert.deepEqual(
        rest.map(({ sequence }) => sequence),
        later.map(({ sequence }) => sequence),
      );
    });
  });

  describe('among others', () => {
    const prefix = databaseName('list');
    const several = ['a', 'b', 'c'].map((suffix) => `${prefix}_${suffix}`);
    names.push(...several);

    it('is listed page by page, each once', async () => {
      const operations = await Promise.all(several.map((name) => service.put(name, SMALL)));
      for (const { id } of operations) await service.succeeded(id);
      const path = `/v1/databases?environment=${ENVIRONMENT}&prefix=${prefix}`;
      const page = await service.expect<Page<DatabaseRecord>>(200, 'GET', `${path}&limit=2`);
      assert.equal(page.items.length, 2);
      assert.ok(page.next);
      const all = await service.all<DatabaseRecord>(path, 2);
      assert.deepEqual(all.map(({ name }) => name).sort(), several);
    });

    it('is asked for once under one idempotency key', async () => {
      const name = make('key');
      const headers = { 'idempotency-key': randomUUID() };
      const [first, second] = await Promise.all([service.put(name, SMALL, headers), service.put(name, SMALL, headers)]);
      assert.equal(first.id, second.id);
      assert.equal((await service.put(name, SMALL, headers)).id, first.id);
      const body = { environment: ENVIRONMENT, ...SMALL, schemas: ['other'] };
      const other = await service.request<Problem>('PUT', `/v1/databases/${name}`, { body, headers });
      assert.equal(other.status, 422, other.text);
      assert.equal(code(other.body), 'idempotency-mismatch');
      await service.succeeded(first.id);
      const operations = await service.all<Operation>(`/v1/operations?environment=${ENVIRONMENT}&database=${name}`);
      assert.equal(operations.length, 1);
    });

    it('is refused when PostgreSQL has one of that name that the service did not make', async () => {
      const name = make('taken');
      await query(`CREATE DATABASE ${name}`);
      try {
        const body = { environment: ENVIRONMENT, ...SMALL };
        const answer = await service.request('PUT', `/v1/databases/${name}`, { body });
        assert.equal(code(await refusal(answer)), 'name-taken', answer.text);
        const roles = await query('SELECT 1 FROM pg_roles WHERE starts_with(rolname, $1)', [name]);
        assert.deepEqual(roles, [], 'roles were made for it');
      } finally {
        await query(`DROP DATABASE ${name}`);
      }
    });
  });
});

function wanted(name: string) {
  return { name, environment: ENVIRONMENT, ...SMALL };
}

function changed(steps: readonly Step[]): Step[] {
  return steps.filter(({ operation }) => operation !== 'same');
}

/** The Secrets of a database's roles, decoded, sorted by user. */
async function secretsOf(database: string): Promise<Record<string, string>[]> {
  const { items } = JSON.parse(await kubectl(['--namespace', TENANTS, 'get', 'secrets', '-o', 'json'])) as {
    items: { data?: Record<string, string> }[];
  };
  return items
    .map(({ data = {} }) =>
      Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()])),
    )
    .filter(({ PGDATABASE }) => PGDATABASE === database)
    .sort((a, b) => ((a.PGUSER ?? '') < (b.PGUSER ?? '') ? -1 : 1));
}
