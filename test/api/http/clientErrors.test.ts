/** Requests that Node.js itself refuses to read, on a bare connection. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import type { Problem } from '../../../api/model.ts';
import { startApp, type TestApp } from './support.ts';

describe('http: requests that cannot be read', () => {
  let test: TestApp;
  let port: number;

  before(async () => {
    test = await startApp();
    await test.app.listen({ port: 0, host: '127.0.0.1' });
    ({ port } = test.app.server.address() as AddressInfo);
  });
  after(() => test.close());

  async function ask(text: string): Promise<{ head: string; problem: Problem }> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(text);
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    assert.match(head, /^content-type: application\/problem\+json/im);
    assert.match(head, /^x-request-id: \S+/im);
    return { head, problem: JSON.parse(body) as Problem };
  }

  it('of a method that nobody knows are answered with those that the path has', async () => {
    for (const method of ['FOO', 'GETX', 'ORDER']) {
      const { head, problem } = await ask(
        `${method} /v1/databases/orders?environment=local HTTP/1.1\r\nHost: x\r\n\r\n`,
      );
      assert.match(head, /^HTTP\/1\.1 405 Method Not Allowed\r\n/);
      assert.match(head, /^allow: DELETE, GET, HEAD, PUT$/im);
      assert.equal(problem.status, 405);
      assert.equal(problem.detail, `/v1/databases/orders has no method ${method}: use DELETE or GET or HEAD or PUT.`);
    }
    const { head } = await ask('FOO /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.match(head, /^HTTP\/1\.1 404 Not Found\r\n/);
  });

  it('of methods that Node.js knows and no route has are answered in the same way, whatever their body', async () => {
    const bodies = [
      '',
      'Content-Type: application/json\r\nContent-Length: 1\r\n',
      'Content-Type: text/x\r\nContent-Length: 1\r\n',
    ];
    for (const method of ['PATCH', 'TRACE', 'PROPFIND', 'OPTIONS', 'QUERY']) {
      for (const body of bodies) {
        const { head, problem } = await ask(
          `${method} /v1/databases HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${body}\r\n${body && '{'}`,
        );
        assert.match(head, /^HTTP\/1\.1 405 Method Not Allowed\r\n/, `${method} ${body}`);
        assert.match(head, /^allow: GET, HEAD$/im);
        assert.equal(problem.status, 405);
      }
    }
    const { head } = await ask('QUERY /v1/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    assert.match(head, /^HTTP\/1\.1 404 Not Found\r\n/);
  });

  it('are refused when they are no HTTP', async () => {
    for (const text of [
      '\x16\x03\x01\x02\x00',
      'GET /v1/databases HTTP/9.9\r\n\r\n',
      'QUERY  HTTP/1.1\r\n\r\n',
      'x\r\n\r\n',
    ]) {
      const { head, problem } = await ask(text);
      assert.match(head, /^HTTP\/1\.1 400 Bad Request\r\n/);
      assert.equal(problem.type, 'urn:development-operations:problem:invalid-request');
    }
  });
});
