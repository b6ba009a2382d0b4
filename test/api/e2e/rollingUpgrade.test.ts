/** No request fails while the service and the gateway are replaced, pod by pod. */

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Operation } from '../../../api/model.ts';
import { API, GATEWAY, podsOf, rolledOut } from './support/cluster.ts';
import { type Answer, Http2Client, HttpClient, type RequestOptions } from './support/http.ts';
import { kubectl } from './support/local.ts';
import { databaseName, ENVIRONMENT, Service, SMALL } from './support/service.ts';

interface Client {
  request<T>(method: string, path: string, options?: RequestOptions): Promise<Answer<T>>;
  close(): void;
}

interface Load {
  /** Answers by kind of request and status. */
  readonly counts: Map<string, number>;
  readonly failures: string[];
  readonly operations: string[];
  slowest: number;
}

/** Asks again and again until `signal` fires: each client reads, and now and then changes a database of its own. */
async function load(clients: Readonly<Record<string, Client>>, service: Service, signal: AbortSignal): Promise<Load> {
  const result: Load = { counts: new Map(), failures: [], operations: [], slowest: 0 };
  const once = async (protocol: string, method: string, path: string, expected: number, body?: unknown) => {
    const started = performance.now();
    const at = new Date().toISOString();
    try {
      const options = { token: await service.tokenOf(), ...(body !== undefined && { body }) };
      const answer = await (clients[protocol] as Client).request<Operation>(method, path, options);
      const label = `${protocol} ${method} ${answer.status}`;
      result.counts.set(label, (result.counts.get(label) ?? 0) + 1);
      if (answer.status === expected) {
        if (method === 'PUT') result.operations.push(answer.body.id);
      } else result.failures.push(`${at} ${label} ${answer.text.slice(0, 200)}`);
    } catch (error) {
      result.failures.push(`${at} ${protocol} ${method}: ${error instanceof Error ? error.message : String(error)}`);
    }
    result.slowest = Math.max(result.slowest, performance.now() - started);
  };
  const repeat = async (pause: number, work: () => Promise<void>) => {
    while (!signal.aborted) {
      await work();
      await sleep(pause);
    }
  };
  await Promise.all(
    Object.keys(clients).flatMap((protocol) => {
      const name = databaseName('roll');
      const list = `/v1/databases?environment=${ENVIRONMENT}&limit=20`;
      const reads = Array.from({ length: 4 }, () => repeat(50, () => once(protocol, 'GET', list, 200)));
      const body = { environment: ENVIRONMENT, ...SMALL };
      return [...reads, repeat(3000, () => once(protocol, 'PUT', `/v1/databases/${name}`, 202, body))];
    }),
  );
  return result;
}

describe('a rolling upgrade', function () {
  this.timeout(240_000);
  const service = new Service();

  after(async () => {
    await rolledOut(API);
    await rolledOut(GATEWAY);
    await service.removeAll('e2e_roll_');
    service.close();
  });

  for (const deployment of [API, GATEWAY]) {
    it(`of ${deployment} fails no request`, async () => {
      const before = (await podsOf(deployment)).map(({ metadata }) => metadata.uid);
      const clients = { 'HTTP/1.1': new HttpClient(), 'HTTP/2': new Http2Client() };
      const end = new AbortController();
      const running = load(clients, service, end.signal);
      try {
        await sleep(2000);
        await kubectl(['rollout', 'restart', `deployment/${deployment}`]);
        await rolledOut(deployment, 150);
        await gone(deployment, before);
        await sleep(2000);
      } finally {
        end.abort();
      }
      const { counts, failures, operations, slowest } = await running;
      for (const client of Object.values(clients)) client.close();
      assert.deepEqual(failures, [], `${failures.length} failed beside ${JSON.stringify([...counts])}`);
      for (const protocol of Object.keys(clients)) {
        assert.ok((counts.get(`${protocol} GET 200`) ?? 0) > 100, `too little load: ${JSON.stringify([...counts])}`);
        assert.ok((counts.get(`${protocol} PUT 202`) ?? 0) > 2, `too little load: ${JSON.stringify([...counts])}`);
      }
      for (const id of operations) await service.succeeded(id, 120);
      console.log(
        `      ${[...counts].map(([label, n]) => `${n} × ${label}`).join(', ')}; slowest ${Math.round(slowest)} ms`,
      );
    });
  }
});

/** Waits until the pods of before have ended: also their last requests were answered. */
async function gone(deployment: string, before: readonly string[]): Promise<void> {
  for (const deadline = Date.now() + 90_000; ; await sleep(500)) {
    const { items } = JSON.parse(await kubectl(['get', 'pods', '-o', 'json'])) as {
      items: { metadata: { uid: string } }[];
    };
    if (!items.some(({ metadata }) => before.includes(metadata.uid))) return;
    assert.ok(Date.now() < deadline, `old pods of ${deployment} are still there`);
  }
}
