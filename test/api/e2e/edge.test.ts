/** What is in front of the service: addresses, protocols, pages, logs. */

import assert from 'node:assert/strict';
import { get } from 'node:http';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import type { AuditEntry } from '../../../api/model.ts';
import { apiPods, gatewayPods } from './support/cluster.ts';
import { authority, Http2Client, PUBLIC_URL } from './support/http.ts';
import { kubectl } from './support/local.ts';
import { databaseName, ENVIRONMENT, Service } from './support/service.ts';

interface LogLine {
  readonly [key: string]: unknown;
}

/** Lines of JSON in the logs of a pod's containers that hold `text`. */
async function logged(pod: string, text: string): Promise<LogLine[]> {
  const output = await kubectl(['logs', pod, '--all-containers', '--since=2m']);
  return output
    .split('\n')
    .filter((line) => line.includes(text))
    .map((line) => JSON.parse(line) as LogLine);
}

describe('the way in', function () {
  this.timeout(60_000);
  const service = new Service();
  after(() => service.close());

  it('speaks HTTP/2, and TLS 1.2 at least', async () => {
    const socket = await new Promise<TLSSocket>((resolve, reject) => {
      const options = { host: '127.0.0.1', port: Number(new URL(PUBLIC_URL).port), servername: 'localhost' };
      const made = tlsConnect({ ...options, ca: authority(), ALPNProtocols: ['h2', 'http/1.1'] }, () => resolve(made));
      made.once('error', reject);
    });
    assert.equal(socket.alpnProtocol, 'h2');
    assert.match(socket.getProtocol() ?? '', /^TLSv1\.[23]$/);
    socket.destroy();
    const client = new Http2Client();
    const { status } = await client.request('GET', '/v1/databases', { token: await service.tokenOf() });
    client.close();
    assert.equal(status, 200);
  });

  it('sends plain HTTP to HTTPS', async () => {
    const { statusCode, location } = await new Promise<{ statusCode?: number; location?: string }>(
      (resolve, reject) => {
        get('http://127.0.0.1:18080/docs', { headers: { host: 'localhost' } }, (response) => {
          response.resume();
          resolve({ statusCode: response.statusCode, location: response.headers.location });
        }).once('error', reject);
      },
    );
    assert.ok(statusCode === 301 || statusCode === 308, String(statusCode));
    assert.equal(new URL(location ?? '').origin, PUBLIC_URL);
  });

  it('serves the console, the documentation and the API description without a token', async () => {
    for (const [path, type] of [
      ['/', 'text/html'],
      ['/docs/', 'text/html'],
      ['/openapi.json', 'application/json'],
    ] as const) {
      const { status, headers, text } = await service.http.request('GET', path, { headers: { accept: '*/*' } });
      assert.equal(status, 200, `${path}: ${text.slice(0, 300)}`);
      assert.ok(headers['content-type']?.startsWith(type), `${path}: ${headers['content-type']}`);
      assert.equal(headers['x-content-type-options'], 'nosniff', path);
      assert.equal(headers['x-frame-options'], 'DENY', path);
    }
    const page = (await service.http.request('GET', '/', { headers: { accept: 'text/html' } })).text;
    const assets = [...page.matchAll(/(?:src|href)="([^"#:]+\.(?:js|css|mjs))"/g)].map((match) => match[1] ?? '');
    assert.ok(assets.length > 0, 'the console loads nothing');
    for (const asset of assets) {
      const path = new URL(asset, `${PUBLIC_URL}/`).pathname;
      assert.equal((await service.http.request('GET', path)).status, 200, path);
    }
  });

  it('keeps metrics and the authenticator inside', async () => {
    for (const path of ['/metrics', '/verify']) {
      const { status } = await service.http.request('GET', path);
      assert.ok(status === 404 || status === 401, `${path}: ${status}`);
    }
  });

  it('logs a request under one id: gateway, service and audit', async () => {
    const name = databaseName('log');
    const answer = await service.request('DELETE', `/v1/databases/${name}?environment=${ENVIRONMENT}`);
    assert.equal(answer.status, 404, answer.text);
    const id = String(answer.headers['x-request-id']);
    assert.ok(id.length >= 16, `no request id: ${id}`);
    const ofGateway = (await Promise.all((await gatewayPods()).map((pod) => logged(pod, id)))).flat();
    const line = ofGateway.find(({ requestId }) => requestId === id);
    assert.ok(line, `the gateway has no JSON line with ${id}: ${JSON.stringify(ofGateway)}`);
    const { method, path, status } = line;
    assert.deepEqual({ method, path, status }, { method: 'DELETE', path: `/v1/databases/${name}`, status: 404 });
    const ofService = (await Promise.all((await apiPods()).map((pod) => logged(pod, id)))).flat();
    assert.ok(ofService.length > 0, `the service has no line with ${id}`);
    const text = JSON.stringify([ofGateway, ofService]);
    assert.ok(!text.includes((await service.tokenOf()).slice(-20)), 'a log holds the token');
    const entries = await service.expect<{ items: AuditEntry[] }>(200, 'GET', '/v1/audit?limit=50');
    assert.ok(
      entries.items.some(({ requestId, database }) => requestId === id && database === name),
      `the audit log has no entry for ${id}`,
    );
  });

  it('answers with problem+json for what it does not know', async () => {
    const { status, headers } = await service.request('GET', '/v1/nothing-here');
    assert.equal(status, 404);
    assert.ok(headers['content-type']?.startsWith('application/problem+json'), headers['content-type']);
  });
});
