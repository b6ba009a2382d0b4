import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { type Client, createClient, type Operation, OperationError, ProblemError } from '../../client/src/index.ts';
import { type Answer, json, startServer, type TestServer } from './server.ts';

const ID = '0190a5d2-7c3e-7b1a-9f00-3c5d2e1f4a6b';
const AT = '2026-01-02T03:04:05.000Z';

function operation(rest: Partial<Operation> = {}): Operation {
  return {
    ...{ id: ID, kind: 'put', environment: 'local', database: 'orders', status: 'succeeded', attempt: 1, planId: null },
    ...{ requestedBy: 'https://issuer.test#tester', createdAt: AT, startedAt: AT, finishedAt: AT },
    ...{ steps: [], error: null, credentials: false },
    ...rest,
  };
}

/** One event as the service writes it. */
function write(response: ServerResponse, sequence: number, type: string, data: Record<string, unknown>): void {
  response.write(`id: ${sequence}\nevent: ${type}\ndata: ${JSON.stringify({ sequence, at: AT, type, data })}\n\n`);
}

function stream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('the client', () => {
  let server: TestServer | undefined;

  async function start(answer: Answer, token: string | (() => Promise<string>) = 'a-token'): Promise<Client> {
    server = await startServer(answer);
    return createClient({ baseUrl: `${server.url}/`, token });
  }

  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  it('sends the token, and gets a new one for each request when it is a function', async () => {
    let number = 0;
    const token = async () => `token-${++number}`;
    const api = await start((_, response) => json(response, 200, { items: [] }), token);
    await api.environments();
    await api.environments();
    assert.deepEqual(
      server?.asked.map(({ headers }) => headers.authorization),
      ['Bearer token-1', 'Bearer token-2'],
    );
  });

  it('sends an idempotency key with every change, its own or the given one, and none with what only reads', async () => {
    const api = await start((_, response) => json(response, 202, operation()));
    await api.operation(ID);
    await api.cancel(ID);
    await api.cancel(ID);
    await api.cancel(ID, { idempotencyKey: 'mine' });
    const keys = server?.asked.map(({ headers }) => headers['idempotency-key']) ?? [];
    assert.equal(keys[0], undefined);
    assert.match(String(keys[1]), /^[0-9a-f-]{36}$/);
    assert.notEqual(keys[1], keys[2]);
    assert.equal(keys[3], 'mine');
  });

  it('puts names into the path, encoded, and the rest where the document says', async () => {
    const api = await start((_, response) => json(response, 202, operation()));
    await api.put({
      name: 'a b/ü',
      schemas: ['app'],
      roles: {},
      credentials: { type: 'return' },
      drop: { schemas: ['x'] },
    });
    await api.remove({ name: 'orders', environment: 'local' }, 'orders');
    await api.rotate({ name: 'orders' }, ['app']);
    await api.applyPlan(ID, 'abc');
    const asked = server?.asked.map(({ method, url, body }) => [method, url, body && JSON.parse(body)]);
    assert.deepEqual(asked, [
      [
        'PUT',
        '/v1/databases/a%20b%2F%C3%BC',
        { schemas: ['app'], roles: {}, credentials: { type: 'return' }, drop: { schemas: ['x'] } },
      ],
      ['DELETE', '/v1/databases/orders?environment=local&drop=orders', ''],
      ['POST', '/v1/databases/orders/rotate', { roles: ['app'] }],
      ['POST', `/v1/plans/${ID}/apply`, { hash: 'abc' }],
    ]);
  });

  it('throws problems as typed errors', async () => {
    const problem = {
      type: 'urn:development-operations:problem:too-many-requests',
      title: 'Too many requests',
      status: 429,
      detail: 'Wait 7 s.',
    };
    const api = await start((_, response) => json(response, 429, problem, { 'retry-after': '7' }));
    await assert.rejects(api.database({ name: 'orders' }), (error: unknown) => {
      assert.ok(error instanceof ProblemError);
      assert.equal(error.code, 'too-many-requests');
      assert.equal(error.status, 429);
      assert.equal(error.retryAfter, 7);
      assert.deepEqual(error.problem, problem);
      return true;
    });
  });

  it("makes a problem of a proxy's answer, too", async () => {
    const api = await start((_, response) => {
      response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad Gateway</h1>');
    });
    await assert.rejects(api.operation(ID), (error: unknown) => {
      assert.ok(error instanceof ProblemError);
      assert.equal(error.code, 'unknown');
      assert.equal(error.status, 502);
      assert.match(error.message, /answered 502/);
      return true;
    });
  });

  it('goes from page to page, and not further than it is asked', async () => {
    const pages = [
      { items: [{ name: 'a' }, { name: 'b' }], next: 'second' },
      { items: [{ name: 'c' }], next: null },
    ];
    const api = await start(({ url }, response) => json(response, 200, pages[url.includes('cursor=second') ? 1 : 0]));
    assert.deepEqual(
      (await collect(api.databases({ prefix: 'x' }, { limit: 2 }))).map(({ name }) => name),
      ['a', 'b', 'c'],
    );
    assert.deepEqual(
      server?.asked.map(({ url }) => url),
      ['/v1/databases?prefix=x&limit=2', '/v1/databases?prefix=x&limit=2&cursor=second'],
    );
    for await (const { name } of api.databases()) if (name === 'a') break;
    assert.equal(server?.asked.length, 3);
  });

  describe('events', () => {
    it('come as they are written, not when the stream ends', async () => {
      let next = (): void => undefined;
      const api = await start((_, response) => {
        stream(response);
        write(response, 1, 'status', { status: 'running' });
        next = () => {
          write(response, 2, 'status', { status: 'succeeded' });
          response.end();
        };
      });
      const seen: unknown[] = [];
      for await (const { sequence, data } of api.events(ID)) {
        seen.push([sequence, data.status]);
        if (sequence === 1) next();
      }
      assert.deepEqual(seen, [
        [1, 'running'],
        [2, 'succeeded'],
      ]);
    });

    it('go on when the stream ends before the operation does, as it does when a replica is replaced', async () => {
      let streams = 0;
      const api = await start(({ url }, response) => {
        if (!url.endsWith('/events'))
          return json(response, 200, operation({ status: streams < 2 ? 'running' : 'succeeded' }));
        streams += 1;
        stream(response);
        // The second one brings nothing at all.
        if (streams === 1) write(response, 1, 'status', { status: 'running' });
        if (streams === 3) write(response, 2, 'status', { status: 'succeeded' });
        response.end();
      });
      const events = await collect(api.events(ID));
      assert.deepEqual(
        events.map(({ sequence }) => sequence),
        [1, 2],
      );
    });

    it('are none after the last one of an operation that has ended', async () => {
      const api = await start(({ url }, response) => {
        if (!url.endsWith('/events')) return json(response, 200, operation());
        stream(response);
        response.end();
      });
      assert.deepEqual(await collect(api.events(ID, { after: 9 })), []);
    });

    it('go on after the last one when the connection breaks', async () => {
      const api = await start(({ headers }, response) => {
        stream(response);
        if (headers['last-event-id'] === undefined) {
          write(response, 1, 'status', { status: 'running' });
          // Cut within an event: its first half must not be handed on.
          response.write('id: 2\nevent: step\ndata: {"sequ', () => response.destroy());
        } else {
          write(response, 2, 'step', { name: 'orders' });
          write(response, 3, 'status', { status: 'succeeded' });
          response.end();
        }
      });
      const events = await collect(api.events(ID));
      assert.deepEqual(
        events.map(({ sequence }) => sequence),
        [1, 2, 3],
      );
      assert.deepEqual(
        server?.asked.map(({ headers }) => headers['last-event-id']),
        [undefined, '1'],
      );
    });

    it('go on past the failure of an operation that was tried again', async () => {
      const api = await start((_, response) => {
        stream(response);
        for (const [index, status] of ['running', 'failed', 'queued', 'running', 'succeeded'].entries()) {
          write(response, index + 1, 'status', { status });
        }
        response.end();
      });
      assert.equal((await collect(api.events(ID))).at(-1)?.data.status, 'succeeded');
    });

    it('end with the signal, and the connection with them', async () => {
      let closed: Promise<unknown> | undefined;
      const api = await start((_, response) => {
        closed = new Promise((done) => response.once('close', done));
        stream(response);
        write(response, 1, 'status', { status: 'running' });
      });
      const controller = new AbortController();
      await assert.rejects(async () => {
        for await (const event of api.events(ID, { signal: controller.signal })) {
          assert.equal(event.sequence, 1);
          controller.abort(new Error('enough'));
        }
      });
      await closed;
    });

    it('close the connection when the caller leaves', async () => {
      let closed: Promise<unknown> | undefined;
      const api = await start((_, response) => {
        closed = new Promise((done) => response.once('close', done));
        stream(response);
        write(response, 1, 'status', { status: 'running' });
      });
      for await (const event of api.events(ID)) if (event.sequence === 1) break;
      await closed;
    });

    it('are refused at once where trying again is of no use', async () => {
      const problem = { type: 'urn:development-operations:problem:not-found', title: 'x', status: 404, detail: 'y' };
      const api = await start((_, response) => json(response, 404, problem));
      await assert.rejects(collect(api.events(ID)), ProblemError);
      assert.equal(server?.asked.length, 1);
    });
  });

  describe('waitForOperation', () => {
    function ending(status: string, end: Operation): Answer {
      return ({ url }, response) => {
        if (!url.endsWith('/events')) return json(response, 200, end);
        stream(response);
        write(response, 1, 'status', { status });
        response.end();
      };
    }

    it('returns the operation when it has succeeded, and hands its events on', async () => {
      const api = await start(ending('succeeded', operation()));
      const seen: number[] = [];
      const ended = await api.waitForOperation(ID, { onEvent: ({ sequence }) => seen.push(sequence) });
      assert.deepEqual(ended, operation());
      assert.deepEqual(seen, [1]);
    });

    it('throws the operation when it has failed or was canceled', async () => {
      for (const status of ['failed', 'canceled'] as const) {
        const api = await start(ending(status, operation({ status })));
        await assert.rejects(api.waitForOperation(ID), (error: unknown) => {
          assert.ok(error instanceof OperationError);
          assert.equal(error.operation.status, status);
          return true;
        });
        await server?.close();
      }
      server = undefined;
    });
  });

  it('waits for a plan, also for one that failed', async () => {
    let reads = 0;
    const plan = { id: ID, operationId: ID, status: 'planning' };
    const api = await start(({ url }, response) => {
      if (url === `/v1/plans/${ID}`) return json(response, 200, reads++ === 0 ? plan : { ...plan, status: 'failed' });
      if (url === `/v1/operations/${ID}`) return json(response, 200, operation({ status: 'failed' }));
      stream(response);
      write(response, 1, 'status', { status: 'failed' });
      response.end();
    });
    assert.equal((await api.waitForPlan(ID)).status, 'failed');
    assert.equal(reads, 2);
  });
});
