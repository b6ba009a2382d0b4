import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { OrdersClient, OrdersError } from '@example/orders-client';

const requests = [];
const server = createServer((request, response) => {
  requests.push(`${request.method} ${request.url}`);
  const found = request.url !== '/orders/none';
  const type = found ? 'application/json' : 'application/problem+json';
  response.writeHead(found ? 200 : 404, { 'content-type': type });
  response.end(JSON.stringify(found ? { orders: [] } : { type: 'about:blank', title: 'Not Found', status: 404 }));
});
let client;

before(async () => {
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  client = new OrdersClient({ baseUrl: `http://127.0.0.1:${server.address().port}/` });
});
after(() => server.close());

test('lists a page', async () => {
  assert.deepEqual(await client.list({ limit: 5 }), { orders: [] });
  assert.equal(requests.at(-1), 'GET /orders?limit=5');
});

test('throws what the service says', async () => {
  await assert.rejects(
    client.get('none'),
    (error) => error instanceof OrdersError && error.status === 404 && /GET \/orders\/none failed/.test(error.message),
  );
});
