import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { type NewOrder, OrdersError } from '../../examples/orders/packages/client/src/index.ts';
import { createDatabase, type Database, migrate, prepareExample, type Running, startService } from './application.ts';
import { startServer, type TestServer } from './server.ts';

const order: NewOrder = {
  customer: 'Ada Lovelace',
  currency: 'EUR',
  items: [
    { sku: 'BOOK-1', quantity: 2, unitPrice: 1250 },
    { sku: 'PEN.2', quantity: 1, unitPrice: 99 },
  ],
};
const signingKey = randomBytes(24).toString('hex');

const plain = { noNullPrototype: true };

/** Whatever the service takes. */
const orders = fc.record(
  {
    customer: fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' }).filter((text) => !/\p{Cc}/u.test(text)),
    currency: fc.constantFrom('EUR', 'USD', 'JPY'),
    items: fc.array(
      fc.record(
        {
          sku: fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/),
          quantity: fc.integer({ min: 1, max: 10_000 }),
          unitPrice: fc.integer({ min: 0, max: 1_000_000_000 }),
        },
        plain,
      ),
      { minLength: 1, maxLength: 100 },
    ),
  },
  plain,
);

describe('orders: the service', function () {
  this.timeout(30_000);
  let server: TestServer;
  let database: Database;
  let service: Running;

  before(async function () {
    this.timeout(300_000);
    await prepareExample();
    server = await startServer();
    database = await createDatabase(server, 'shop');
    assert.equal((await migrate(database)).code, 0);
    service = await startService({ ...database.application, ORDERS_SIGNING_KEY: signingKey });
  });
  after(async () => {
    await service?.stop();
    await server?.destroy();
  });

  const get = (path: string, url = service.url) => fetch(`${url}${path}`);
  const post = (body: string, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
    fetch(`${service.url}/orders`, { method: 'POST', body, headers });

  async function refusal(response: Response | Promise<Response>): Promise<{ status: number; errors: unknown }> {
    const answer = await response;
    assert.equal(answer.headers.get('content-type'), 'application/problem+json; charset=utf-8');
    const problem = (await answer.json()) as { status: number; title: string; type: string; errors?: unknown };
    assert.equal(problem.status, answer.status);
    assert.equal(problem.type, 'about:blank');
    assert.ok(problem.title);
    return { status: problem.status, errors: problem.errors };
  }

  /** Runs a second service and ends it. */
  async function withService<T>(environment: Record<string, string>, use: (other: Running) => Promise<T>): Promise<T> {
    const settings = { ...database.application, ORDERS_SIGNING_KEY: signingKey, ...environment };
    const other = await startService(settings);
    try {
      return await use(other);
    } finally {
      await other.stop();
    }
  }

  it('answers its probes', async () => {
    assert.equal((await get('/healthz')).status, 200);
    assert.equal((await get('/readyz')).status, 200);
  });

  it('stores an order and says where it is', async () => {
    const response = await post(JSON.stringify(order));
    assert.equal(response.status, 201);
    const stored = (await response.json()) as { id: string; total: number; createdAt: string };
    assert.equal(response.headers.get('location'), `/orders/${stored.id}`);
    assert.deepEqual(stored, { ...order, id: stored.id, total: 2599, createdAt: stored.createdAt });
    assert.ok(Math.abs(Date.parse(stored.createdAt) - Date.now()) < 60_000);
    assert.deepEqual(await (await get(`/orders/${stored.id}`)).json(), stored);
  });

  it('reads back whatever it took', async () => {
    await fc.assert(
      fc.asyncProperty(orders, async (any) => {
        const stored = await service.client.create(any);
        const { id, total, createdAt, ...rest } = await service.client.get(stored.id);
        assert.deepEqual({ id, total, createdAt, ...rest }, stored);
        assert.deepEqual(rest, any);
        assert.equal(
          BigInt(total),
          any.items.reduce((sum, item) => sum + BigInt(item.quantity) * BigInt(item.unitPrice), 0n),
        );
      }),
      { numRuns: 40 },
    );
  });

  it('lists pages, newest first, each order once, whatever is stored meanwhile', async () => {
    const stored: string[] = [];
    for (let index = 0; index < 7; index += 1) stored.push((await service.client.create(order)).id);
    const first = await service.client.list({ limit: 3 });
    assert.deepEqual(
      first.orders.map(({ id }) => id),
      stored.slice(4).reverse(),
    );
    const late = await service.client.create(order);
    const second = await service.client.list({ limit: 3, after: first.next });
    assert.deepEqual(
      second.orders.map(({ id }) => id),
      stored.slice(1, 4).reverse(),
    );
    const all: string[] = [];
    for await (const { id } of service.client.listAll({ limit: 9 })) all.push(id);
    const rows = await server.query<{ id: string }>(database.name, 'SELECT id FROM orders.orders ORDER BY number DESC');
    assert.deepEqual(
      all,
      rows.map(({ id }) => id),
    );
    assert.equal(all[0], late.id);
    assert.ok(all.length > 9);
  });

  it('shows as many orders as ORDERS_PAGE_SIZE says, and no next page on the last', async () => {
    await withService({ ORDERS_PAGE_SIZE: '2' }, async ({ client }) => {
      const page = await client.list();
      assert.equal(page.orders.length, 2);
      assert.ok(page.next);
    });
    const rows = await server.query<{ n: number }>(database.name, 'SELECT count(*)::int AS n FROM orders.orders');
    const exactly = await service.client.list({ limit: 1 });
    assert.ok(exactly.next);
    let [after, seen] = [exactly.next, 1];
    while (after !== undefined) {
      const page = await service.client.list({ limit: 100, after });
      seen += page.orders.length;
      after = page.next as string;
    }
    assert.equal(seen, rows[0]?.n);
  });

  it('refuses a page that it never gave', async () => {
    const { next = '' } = await service.client.list({ limit: 1 });
    const [head = '', tail = ''] = next.split('.');
    const forged = [
      `${Buffer.from('1').toString('base64url')}.${tail}`,
      head,
      `${next}.x`,
      `${head}.${tail.slice(1)}`,
      'x',
      '%00',
    ];
    for (const after of forged) assert.equal((await refusal(get(`/orders?after=${after}`))).status, 400, after);
    // Replicas share the key; another key's pages are refused.
    await withService({}, async (replica) => {
      assert.equal((await replica.client.list({ after: next })).orders.length > 0, true);
    });
    await withService({ ORDERS_SIGNING_KEY: 'k'.repeat(32) }, async (stranger) => {
      await assert.rejects(stranger.client.list({ after: next }), { name: 'OrdersError', status: 400 });
    });
  });

  it('says everything that is wrong with an order', async () => {
    const wrong = { customer: '', currency: 'eur', items: [{ sku: 'A B', quantity: 0 }], note: 'x' };
    const { status, errors } = await refusal(post(JSON.stringify(wrong)));
    assert.equal(status, 400);
    assert.deepEqual((errors as { path: string }[]).map(({ path }) => path).sort(), [
      '/currency',
      '/customer',
      '/items/0/quantity',
      '/items/0/sku',
      '/items/0/unitPrice',
      '/note',
    ]);
    const problem: unknown = await service.client
      .create({ ...order, currency: 'eur' })
      .catch((error: unknown) => error);
    assert.ok(problem instanceof OrdersError);
    assert.match(problem.message, /^POST \/orders failed with status 400: \/currency must match pattern/);
  });

  it('refuses wrong input with the right status', async () => {
    const item = order.items[0];
    const bodies = [
      { ...order, items: [] },
      { ...order, items: Array(101).fill(item) },
      { ...order, items: [{ ...item, quantity: '1' }] },
      { ...order, items: [{ ...item, quantity: 1.5 }] },
      { ...order, items: [{ ...item, unitPrice: -1 }] },
      { ...order, customer: 'a\u0000b' },
      { ...order, customer: 'x'.repeat(201) },
      [],
      null,
    ];
    for (const body of bodies) {
      const text = JSON.stringify(body);
      assert.equal((await refusal(post(text))).status, 400, text.slice(0, 80));
    }
    assert.equal((await refusal(post('{'))).status, 400);
    assert.equal((await refusal(post('a=1', { 'content-type': 'application/x-www-form-urlencoded' }))).status, 415);
    assert.equal((await refusal(post(JSON.stringify({ ...order, customer: 'x'.repeat(70_000) })))).status, 413);
    for (const path of ['/orders?limit=0', '/orders?limit=101', '/orders?limit=1&limit=2', '/orders?page=2']) {
      assert.equal((await refusal(get(path))).status, 400, path);
    }
    assert.equal((await refusal(get('/orders/1'))).status, 400);
    assert.equal((await refusal(get(`/orders/${randomUUID()}`))).status, 404);
    assert.equal((await refusal(get('/nothing'))).status, 404);
    assert.equal((await refusal(fetch(`${service.url}/orders`, { method: 'DELETE' }))).status, 404);
  });

  it('stores an order once for one idempotency key, also when both come at once', async () => {
    const idempotencyKey = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => service.client.create(order, { idempotencyKey })),
    );
    assert.equal(new Set(answers.map(({ id }) => id)).size, 1);
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    const another = { ...order, customer: 'Grace Hopper' };
    await assert.rejects(service.client.create(another, { idempotencyKey }), { name: 'OrdersError', status: 409 });
    const twoWords = { 'content-type': 'application/json', 'idempotency-key': 'two words' };
    assert.equal((await refusal(post(JSON.stringify(order), twoWords))).status, 400);
  });

  it('fails a request that waits for a lock, instead of holding a connection for ever', async () => {
    const holder = await server.connect(database.name);
    try {
      await holder.query('BEGIN');
      await holder.query('LOCK TABLE orders.orders IN ACCESS EXCLUSIVE MODE');
      const started = Date.now();
      const response = await post(JSON.stringify(order));
      assert.equal(response.headers.get('retry-after'), '2');
      assert.equal((await refusal(response)).status, 503);
      assert.ok(Date.now() - started < 4_000);
    } finally {
      await holder.end();
    }
  });

  it('is not ready before the migrations have run, nor without its grants', async () => {
    const empty = await createDatabase(server, 'unmigrated');
    await withService(empty.application, async ({ url }) => {
      const detail = async () => ((await (await get('/readyz', url)).json()) as { detail: string }).detail;
      assert.equal((await get('/healthz', url)).status, 200);
      assert.equal((await refusal(get('/readyz', url))).status, 503);
      assert.equal(await detail(), 'the migrations have not run');
      await migrate(empty);
      assert.equal((await get('/readyz', url)).status, 200);
      await server.query(empty.name, 'REVOKE SELECT ON orders.orders FROM unmigrated_application');
      assert.equal(await detail(), 'the role may not read the orders: check its grants');
    });
  });

  /** The answer may be here before the line that the service wrote ahead of it. */
  const logged = async (service: { logs(): string }, expected: RegExp) => {
    for (let waited = 0; waited < 5000 && !expected.test(service.logs()); waited += 50) await sleep(50);
    assert.match(service.logs(), expected);
  };

  it('trusts only the server that the certificate names', async () => {
    await withService({ PGHOST: '127.0.0.1' }, async (other) => {
      assert.equal((await get('/readyz', other.url)).status, 503);
      await logged(other, /ERR_TLS_CERT_ALTNAME_INVALID/);
    });
    await withService({ PGHOST: '127.0.0.1', PGSSLMODE: 'verify-ca' }, async (other) => {
      assert.equal((await get('/readyz', other.url)).status, 200);
    });
    const withoutAuthority = { PGSSLROOTCERT: '', PGSSLMODE: 'verify-full' };
    await withService(withoutAuthority, async (other) => {
      assert.equal((await get('/readyz', other.url)).status, 503);
      await logged(other, /self-signed certificate|unable to verify/);
    });
    await withService({ ...withoutAuthority, PGSSLMODE: 'require' }, async (other) => {
      assert.equal((await get('/readyz', other.url)).status, 200);
    });
  });

  it('does not start with settings that cannot be used, and names them all', async () => {
    const wrong = { PORT: 'http', LOG_LEVEL: 'loud', ORDERS_PAGE_SIZE: '1000', ORDERS_SIGNING_KEY: 'canary-short' };
    const error: unknown = await startService(wrong).catch((reason: unknown) => reason);
    assert.ok(error instanceof Error);
    for (const name of Object.keys(wrong)) assert.ok(error.message.includes(name), name);
    assert.ok(!error.message.includes('canary-short'));
    const modes: Record<string, string>[] = [
      { PGSSLMODE: 'prefer' },
      { PGSSLMODE: 'verify-full', PGSSLROOTCERT: '/nowhere/ca.crt' },
    ];
    for (const mode of modes) {
      const named = new RegExp(Object.keys(mode).at(-1) ?? '');
      await assert.rejects(startService({ ...mode, ORDERS_SIGNING_KEY: signingKey }), named);
    }
  });

  it('finishes what it has begun when it is told to stop', async () => {
    const other = await startService({
      ...database.application,
      ORDERS_SIGNING_KEY: signingKey,
      ORDERS_DRAIN_SECONDS: '1',
    });
    const holder = await server.connect(database.name);
    try {
      await holder.query('BEGIN');
      await holder.query('LOCK TABLE orders.orders IN SHARE MODE');
      const pending = other.client.create(order);
      await sleep(200);
      other.signal('SIGTERM');
      await sleep(200);
      assert.equal((await get('/readyz', other.url)).status, 503);
      // Load balancers that have not heard of it yet still get their answers.
      assert.equal((await get('/orders?limit=1', other.url)).status, 200);
      await sleep(900);
      await holder.query('COMMIT');
      assert.equal((await service.client.get((await pending).id)).customer, order.customer);
      const answered = Date.now();
      assert.equal(await other.exited, 0);
      assert.ok(Date.now() - answered < 3_000);
      await assert.rejects(get('/healthz', other.url));
    } finally {
      await holder.end();
      other.signal('SIGKILL');
    }
  });

  it('goes on when the database was away', async () => {
    await server.cut();
    try {
      assert.equal((await get('/healthz')).status, 200);
      assert.equal((await refusal(get('/readyz'))).status, 503);
      const response = await post(JSON.stringify(order));
      assert.equal(response.headers.get('retry-after'), '2');
      assert.equal((await refusal(response)).status, 503);
    } finally {
      await server.mend();
    }
    assert.equal((await get('/readyz')).status, 200);
    assert.ok(await service.client.create(order));
  });

  it('logs one JSON object a line, and no secret, no header and no body', async () => {
    const customer = 'canary-customer';
    await service.client.create({ ...order, customer });
    await fetch(`${service.url}/orders`, { headers: { authorization: 'Bearer canary-token' } });
    await sleep(100);
    const lines = service.logs().trim().split('\n');
    const entries = lines.map((line) => JSON.parse(line) as { level: string; service: string; message: string });
    assert.ok(entries.every((entry) => entry.service === 'orders' && entry.level && entry.message));
    assert.ok(entries.some((entry) => entry.message === 'request completed'));
    assert.ok(!entries.some((entry) => JSON.stringify(entry).includes('/healthz')));
    for (const secret of [database.application.PGPASSWORD as string, signingKey, customer, 'canary-token']) {
      assert.ok(!service.logs().includes(secret));
    }
  });
});
