/** Every route of the description, through the real gateway, with every kind of token that must not do. */

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { generateKeyPair, SignJWT } from 'jose';
import type { Problem } from '../../../api/model.ts';
import { Http2Client } from './support/http.ts';
import { Service } from './support/service.ts';
import { briefToken, claimsOf, expiry, headerOf, publicKeys, token } from './support/tokens.ts';

interface Route {
  readonly method: string;
  readonly path: string;
  /** What the least token must hold; from the method and the path, as the README says. */
  readonly action: 'read' | 'plan' | 'apply' | 'admin';
}

const UUID = '00000000-0000-4000-8000-000000000000';

function actionOf(method: string, path: string): Route['action'] {
  if (path === '/v1/audit') return 'admin';
  if (method === 'GET') return 'read';
  return path === '/v1/plans' || path.endsWith('/drift') ? 'plan' : 'apply';
}

/** The routes of `/openapi.json` that are not open to everybody. */
async function protectedRoutes(service: Service): Promise<Route[]> {
  const document = await service.expect<{ paths: Record<string, Record<string, unknown>> }>(
    200,
    'GET',
    '/openapi.json',
  );
  return Object.entries(document.paths)
    .filter(([path]) => path.startsWith('/v1/'))
    .flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => /^(get|put|post|delete|patch|head)$/.test(method))
        .map((method) => ({ method: method.toUpperCase(), path, action: actionOf(method.toUpperCase(), path) })),
    );
}

describe('a token that will not do', function () {
  this.timeout(60_000);
  const service = new Service();
  const http2 = new Http2Client();
  let routes: Route[] = [];

  before(async () => {
    routes = await protectedRoutes(service);
  });
  after(() => {
    service.close();
    http2.close();
  });

  /** Asks every route and collects what did not answer as it must. */
  async function everywhere(
    given: string | undefined,
    expected: number,
    { of = () => true, header }: { of?: (route: Route) => boolean; header?: Record<string, string> } = {},
  ): Promise<void> {
    const wrong: string[] = [];
    const asked = routes.filter(of);
    assert.ok(asked.length > 0, 'there is no such route');
    await Promise.all(
      asked.map(async ({ method, path }) => {
        const target = path.replaceAll('{name}', 'e2e_no_such').replaceAll(/\{\w+\}/g, UUID);
        const body = method === 'GET' || method === 'DELETE' ? {} : { body: {} };
        const headers = header ? { headers: header } : {};
        const answer = await service.http.request<Problem>(method, `${target}?environment=local`, {
          ...(given !== undefined && { token: given }),
          ...body,
          ...headers,
        });
        const type = String(answer.headers['content-type']);
        if (answer.status !== expected) wrong.push(`${method} ${path}: ${answer.status} ${answer.text.slice(0, 200)}`);
        else if (!type.startsWith('application/problem+json')) wrong.push(`${method} ${path}: ${type}`);
        else if (expected === 401 && !/^Bearer/.test(String(answer.headers['www-authenticate']))) {
          wrong.push(`${method} ${path}: WWW-Authenticate is ${answer.headers['www-authenticate']}`);
        }
      }),
    );
    assert.deepEqual(wrong, []);
  }

  it('is asked for by every route that the design has', () => {
    const known = routes.map(({ method, path }) => `${method} ${path}`);
    for (const route of [
      'POST /v1/plans',
      'GET /v1/plans/{id}',
      'POST /v1/plans/{id}/apply',
      'GET /v1/databases',
      'PUT /v1/databases/{name}',
      'GET /v1/databases/{name}',
      'DELETE /v1/databases/{name}',
      'POST /v1/databases/{name}/rotate',
      'POST /v1/databases/{name}/drift',
      'GET /v1/databases/{name}/graph',
      'GET /v1/operations',
      'GET /v1/operations/{id}',
      'GET /v1/operations/{id}/events',
      'POST /v1/operations/{id}/cancel',
      'POST /v1/operations/{id}/retry',
      'POST /v1/operations/{id}/credentials',
      'GET /v1/audit',
      'GET /v1/environments',
    ]) {
      assert.ok(known.includes(route), `${route} is not described`);
    }
  });

  it('none', () => everywhere(undefined, 401));

  it('none, over HTTP/2', async () => {
    const { status } = await http2.request('GET', '/v1/databases');
    assert.equal(status, 401);
  });

  it('no token at all but text', () => everywhere('not-a-token', 401));

  it('another scheme', () => everywhere(undefined, 401, { header: { authorization: 'Basic ZGV2ZWxvcGVyOng=' } }));

  it('one that has expired', async () => {
    const value = await briefToken();
    await sleep(Math.max(0, expiry(value) - Date.now()) + 1000);
    // A clock may be off by some seconds without harm; a token of a minute ago is another matter.
    await assertRefusedWithin(60_000, async () => {
      const answer = await service.http.request('GET', '/v1/databases', { token: value });
      return answer.status === 401;
    });
    await everywhere(value, 401);
  });

  it('one with another signature', async () => {
    const good = await token();
    const [head = '', payload = '', signature = ''] = good.split('.');
    const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    await everywhere(`${head}.${payload}.${flipped}`, 401);
  });

  it('one with more scopes written into it', async () => {
    const [head = '', , signature = ''] = (await token({ scope: 'local:read' })).split('.');
    const claims = { ...claimsOf(await token({ scope: 'local:read' })), scope: 'local:admin' };
    await everywhere(`${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`, 401);
  });

  it('one without a signature (RFC 8725, 3.1)', async () => {
    const payload = Buffer.from(JSON.stringify(claimsOf(await token()))).toString('base64url');
    await everywhere(`${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${payload}.`, 401);
  });

  it('one that somebody else has signed, with the issuer and the key id of ours', async () => {
    const good = await token();
    const { alg = 'RS256', kid, typ } = headerOf(good);
    const { privateKey } = await generateKeyPair(alg);
    const forged = await new SignJWT(claimsOf(good)).setProtectedHeader({ alg, kid, typ }).sign(privateKey);
    await everywhere(forged, 401);
  });

  it('one signed with the public key as a shared secret (RFC 8725, 2.1)', async () => {
    const good = await token();
    const { kid, typ } = headerOf(good);
    for (const pem of await publicKeys()) {
      const forged = new SignJWT(claimsOf(good)).setProtectedHeader({ alg: 'HS256', kid, typ });
      await everywhere(await forged.sign(new TextEncoder().encode(pem)), 401);
    }
  });

  it('one for another audience', async () => {
    await everywhere(await token({ client: 'foreign' }), 401);
  });

  it('one whose scope is too little', async () => {
    const order = ['read', 'plan', 'apply', 'admin'] as const;
    for (const [index, action] of order.slice(0, -1).entries()) {
      const above = order.slice(index + 1);
      await everywhere(await token({ scope: `local:${action}` }), 403, { of: (route) => above.includes(route.action) });
    }
  });

  it('one that reads may read', async () => {
    const reader = await token({ scope: 'local:read' });
    const { status } = await service.http.request('GET', '/v1/databases?environment=local', { token: reader });
    assert.equal(status, 200);
  });

  it('is not helped by headers that only the gateway sets', async () => {
    const header = {
      'x-auth-issuer': 'https://172.31.240.1:15080',
      'x-auth-subject': 'developer',
      'x-auth-scopes': 'local:admin',
      'x-required-scopes': '',
    };
    await everywhere(undefined, 401, { header });
    const reader = await token({ scope: 'local:read' });
    await everywhere(reader, 403, { header, of: ({ action }) => action !== 'read' });
  });
});

async function assertRefusedWithin(milliseconds: number, refused: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + milliseconds; !(await refused()); await sleep(1000)) {
    assert.ok(Date.now() < deadline, `still accepted ${milliseconds / 1000} s after it expired`);
  }
}
