import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { ServiceError } from '../../../api/errors.ts';
import type { Problem } from '../../../api/model.ts';
import { BODY, ID, OTHER_ID, startApp, type TestApp } from './support.ts';

describe('http: requests and answers', () => {
  let test: TestApp;
  let closing: AbortController;

  beforeEach(async () => {
    closing = new AbortController();
    test = await startApp({ closing: closing.signal });
  });
  afterEach(() => test.close());

  type Method = 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH';
  async function ask(method: Method, url: string, payload?: object | string, headers: Record<string, string> = {}) {
    const type = typeof payload === 'string' ? { 'content-type': 'application/json' } : {};
    const all = { ...(await test.bearer()), ...type, ...headers };
    return await test.app.inject({ method, url, headers: all, ...(payload !== undefined && { payload }) });
  }
  const put = (payload: object | string, headers?: Record<string, string>) =>
    ask('PUT', '/v1/databases/orders', payload, headers);
  const local = { ...BODY, environment: 'local' };

  it('names every finding of every part at once', async () => {
    const answer = await ask('PUT', `/v1/databases/${'x'.repeat(64)}?odd=1`, {
      ...{ schemas: 'app', roles: { app: { access: 'all' } }, connectionLimit: '5', surplus: 1 },
    });
    assert.equal(answer.statusCode, 400, answer.body);
    const { errors = [], type } = answer.json<Problem>();
    assert.equal(type, 'urn:development-operations:problem:invalid-request');
    assert.deepEqual(errors.map(({ path }) => path).sort(), [
      'body/connectionLimit',
      'body/credentials',
      'body/roles/app/access',
      'body/schemas',
      'body/surplus',
      'path/name',
      'query/odd',
    ]);
    assert.equal(test.service.calls.length, 0);
  });

  it('refuses names of more than 63 bytes, control characters and half characters', async () => {
    for (const name of ['ä'.repeat(32), 'a%00b', 'a%0Ab']) {
      const answer = await ask(
        'PUT',
        `/v1/databases/${name === 'ä'.repeat(32) ? encodeURIComponent(name) : name}`,
        local,
      );
      assert.equal(answer.statusCode, 400, `${name}: ${answer.body}`);
    }
    const halves = await put(JSON.stringify({ ...local, schemas: ['X'] }).replace('X', '\\ud800'));
    assert.equal(halves.statusCode, 400, halves.body);
    assert.equal(test.service.calls.length, 0);
  });

  it('answers 400 for what is no JSON, 413 for too much, 415 for another type', async () => {
    assert.equal((await put('{')).statusCode, 400);
    assert.equal((await put('{"__proto__": {}}')).statusCode, 400);
    assert.equal((await put(JSON.stringify({ ...local, pad: 'x'.repeat(300_000) }))).statusCode, 413);
    const text = await put('a: b', { 'content-type': 'application/yaml' });
    assert.equal(text.statusCode, 415);
    assert.match(String(text.headers['content-type']), /problem\+json/);
  });

  it('answers 404 and 405 with Allow', async () => {
    assert.equal((await ask('GET', '/v1/nothing')).statusCode, 404);
    const answer = await ask('PATCH', '/v1/databases/orders');
    assert.equal(answer.statusCode, 405, answer.body);
    assert.equal(answer.headers.allow, 'DELETE, GET, HEAD, PUT');
  });

  it('keeps its own failures to itself, and gives the request id', async () => {
    test.service.failure = new Error('SELECT secret FROM internals');
    const answer = await put(local, { 'x-request-id': 'request-0001' });
    assert.equal(answer.statusCode, 500);
    assert.equal(answer.headers['x-request-id'], 'request-0001');
    assert.match(answer.json<Problem>().detail, /request-0001/);
    assert.doesNotMatch(answer.body, /internals/);
    assert.match(test.lines.join(''), /internals/);
  });

  it('gives problems of the service as they are', async () => {
    test.service.failure = new ServiceError('holds-data', 'It holds 3 tables.');
    const answer = await ask('DELETE', '/v1/databases/orders?environment=local');
    assert.equal(answer.statusCode, 409);
    assert.equal(answer.json<Problem>().detail, 'It holds 3 tables.');
    assert.deepEqual(test.service.refusals, [], 'the service writes its own');
  });

  it('puts into the queue, with the key and the location', async () => {
    const answer = await put(local, { 'idempotency-key': 'key-1' });
    assert.equal(answer.statusCode, 202, answer.body);
    assert.equal(answer.headers.location, `/v1/operations/${ID}`);
    const { idempotencyKey, action, caller } = test.service.request;
    assert.deepEqual([idempotencyKey, action, caller.subject], ['key-1', 'PUT /v1/databases/{name}', 'tester']);
  });

  it('waits when the caller prefers it', async () => {
    const ended = await put(local, { prefer: 'respond-async, wait=100' });
    assert.equal(ended.statusCode, 200);
    assert.equal(ended.headers['preference-applied'], 'wait=60');
    test.service.waited = { ...test.service.waited, status: 'running' };
    assert.equal((await put(local, { prefer: 'wait=1' })).statusCode, 202);
    const odd = await put(local, { prefer: 'wait=soon' });
    assert.deepEqual([odd.statusCode, odd.headers['preference-applied']], [202, undefined]);
  });

  it('takes a body that is left out, and one that is empty', async () => {
    assert.equal((await ask('POST', `/v1/operations/${ID}/retry`)).statusCode, 202);
    assert.equal((await ask('POST', `/v1/operations/${ID}/retry`, '')).statusCode, 202);
    assert.equal((await put('')).statusCode, 400);
  });

  it('asks for the environment when there are several', async () => {
    const answer = await ask('GET', '/v1/databases/orders');
    assert.equal(answer.statusCode, 400);
    assert.match(answer.body, /local, other/);
    const single = await startApp({ environments: ['local'] });
    const headers = await single.bearer();
    assert.equal((await single.app.inject({ url: '/v1/databases/orders', headers })).statusCode, 200);
    await single.close();
  });

  it('lists only what the caller may read', async () => {
    await ask('GET', '/v1/operations?limit=7&status=failed');
    const [filter, listing] = test.service.calls.at(-1)?.parameters ?? [];
    assert.deepEqual(filter, { environments: ['local'], status: 'failed', database: undefined });
    assert.deepEqual(listing, { limit: 7, cursor: undefined });
    assert.equal((await ask('GET', '/v1/operations?limit=201')).statusCode, 400);
    assert.equal((await ask('GET', '/v1/operations?limit=1&limit=2')).statusCode, 400);
  });

  it('hides what is in another environment, and writes it down', async () => {
    const hidden = await ask('POST', `/v1/operations/${OTHER_ID}/cancel`);
    assert.equal(hidden.statusCode, 404);
    assert.equal(test.service.refusals.at(-1)?.environment, 'other');
    const absent = await ask('POST', `/v1/operations/${OTHER_ID.replace(/.$/, '0')}/cancel`);
    assert.equal(
      absent.json<Problem>().detail.replaceAll(/[0-9a-f-]{36}/g, ''),
      hidden.json<Problem>().detail.replaceAll(/[0-9a-f-]{36}/g, ''),
    );
  });

  it('writes refusals down, without the token', async () => {
    const { authorization } = await test.bearer('local:read');
    await test.app.inject({ method: 'DELETE', url: '/v1/databases/orders', headers: { authorization } });
    const [entry] = test.service.refusals;
    assert.equal(entry?.action, 'DELETE /v1/databases/{name}');
    assert.equal(entry.caller, `${test.issuer.settings.issuer}#tester`);
    const token = authorization.split('.')[2] ?? '';
    assert.ok(!JSON.stringify([test.service.refusals, test.lines]).includes(token));
  });

  it('has Secrets written only where the caller and the service may', async () => {
    const into = (namespace: string) => put({ ...local, credentials: { type: 'secret', namespace } });
    assert.equal((await into('apps')).statusCode, 202);
    assert.equal((await into('shared')).statusCode, 403);
  });

  it('streams events from where the client was, and ends', async () => {
    const event = (sequence: number) =>
      ({ sequence, at: '2026-01-02T03:04:05.000Z', type: 'status', data: { status: 'running' } }) as const;
    test.service.published = [event(1), event(2)];
    const answer = await ask('GET', `/v1/operations/${ID}/events`, undefined, { 'last-event-id': '1' });
    assert.match(String(answer.headers['content-type']), /^text\/event-stream/);
    assert.equal(answer.body, `retry: 2000\n\nid: 2\nevent: status\ndata: ${JSON.stringify(event(2))}\n\n`);
  });

  it('stops reading events when the client leaves, and ends the stream when the service ends', async () => {
    test.service.open = true;
    await test.app.listen({ port: 0, host: '127.0.0.1' });
    const { port } = test.app.server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/v1/operations/${ID}/events`;
    const left = new AbortController();
    const first = await fetch(url, { headers: await test.bearer(), signal: left.signal });
    await first.body?.getReader().read();
    left.abort();
    for (let tries = 0; test.service.gone === 0 && tries < 100; tries += 1)
      await new Promise((go) => setTimeout(go, 20));
    assert.equal(test.service.gone, 1);
    const second = await fetch(url, { headers: await test.bearer() });
    closing.abort();
    assert.equal(await second.text(), 'retry: 2000\n\n');
  });

  it('ends a stream of events when its token ends', async () => {
    test.service.open = true;
    await test.app.listen({ port: 0, host: '127.0.0.1' });
    const { port } = test.app.server.address() as AddressInfo;
    const exp = Math.floor(Date.now() / 1000) + 2;
    const authorization = `Bearer ${await test.issuer.token({ scope: 'local:read', exp })}`;
    const url = `http://127.0.0.1:${port}/v1/operations/${ID}/events`;
    const answer = await fetch(url, { headers: { authorization } });
    assert.equal(answer.status, 200);
    assert.equal(await answer.text(), 'retry: 2000\n\n');
    // Timers may fire a moment early.
    assert.ok(Date.now() >= exp * 1000 - 50, 'it ended before its token');
    assert.equal(test.service.gone, 1);
  });

  it('describes itself: each route with its answers and its scope', async () => {
    const document = (await test.app.inject('/openapi.json')).json();
    assert.equal(document.openapi, '3.1.0');
    const { post } = document.paths['/v1/plans/{id}/apply'];
    assert.equal(post.requestBody.required, false);
    assert.deepEqual(post.security, [{ bearer: ['{environment}:apply'] }]);
    assert.ok('application/problem+json' in post.responses[409].content);
    for (const methods of Object.values(document.paths)) {
      for (const operation of Object.values(methods as Record<string, Record<string, unknown>>)) {
        for (const needed of ['operationId', 'summary', 'tags', 'responses']) assert.ok(operation[needed], needed);
      }
    }
    assert.deepEqual(document.paths['/v1/databases'].get.parameters[0].in, 'query');
  });

  it('shows the description with a strict policy', async () => {
    const page = await test.app.inject('/docs/');
    assert.equal(page.statusCode, 200);
    assert.match(String(page.headers['content-security-policy']), /^default-src 'none'; script-src 'self';/);
    assert.doesNotMatch(page.body, /(src|href)="https?:/);
  });

  it('measures by route, not by path', async () => {
    await ask('GET', '/v1/databases/secret-name?environment=local');
    const text = await test.telemetry.metrics.registry.metrics();
    assert.match(
      text,
      /http_request_duration_seconds_count\{method="GET",route="\/v1\/databases\/:name",status="200"\} 1/,
    );
    assert.doesNotMatch(text, /secret-name/);
  });

  it('logs the trace that the caller sent', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    await ask('GET', '/v1/environments', undefined, { traceparent: `00-${traceId}-00f067aa0ba902b7-01` });
    assert.match(test.lines.join(''), new RegExp(traceId));
  });
});
