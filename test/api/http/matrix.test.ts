/** Every route of the OpenAPI document with every kind of token that must not do: a new route cannot be forgotten. */
import assert from 'node:assert/strict';
import { generateKeyPair } from 'jose';
import { startIssuer, type TestIssuer, unsigned } from '../authentication/issuer.ts';
import { BODY, ID, startApp, type TestApp } from './support.ts';

interface Route {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly action: string;
}

const RANKS = ['read', 'plan', 'apply', 'admin'];

describe('http: who may do what', () => {
  let test: TestApp;
  let foreign: TestIssuer;
  let routes: Route[];

  before(async () => {
    test = await startApp();
    foreign = await startIssuer();
    const { paths } = (await test.app.inject('/openapi.json')).json<{
      paths: Record<string, Record<string, { security: { bearer: string[] }[] }>>;
    }>();
    routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { security }]) => ({
        method: method.toUpperCase() as Route['method'],
        path,
        action: security[0]?.bearer[0]?.split(':')[1] ?? '',
      })),
    );
  });
  after(async () => {
    await test.close();
    await foreign.close();
  });

  async function everywhere(
    authorization: string | undefined,
    expected: number,
    options: { of?: (route: Route) => boolean; environment?: string } = {},
  ): Promise<void> {
    const { of = () => true, environment = 'local' } = options;
    const chosen = routes.filter(of);
    assert.ok(chosen.length > 0);
    test.service.calls.length = 0;
    for (const route of chosen) {
      const answer = await test.app.inject({
        ...request(route, environment),
        headers: authorization === undefined ? {} : { authorization },
      });
      const at = `${route.method} ${route.path}: ${answer.body}`;
      assert.equal(answer.statusCode, expected, at);
      assert.match(String(answer.headers['content-type']), /^application\/problem\+json/, at);
      if (expected !== 404) assert.match(String(answer.headers['www-authenticate']), /^Bearer realm=/, at);
    }
    assert.deepEqual(test.service.calls, [], 'the service was asked');
  }

  function request({ method, path }: Route, environment: string) {
    const url = path.replace('{name}', 'orders').replace('{id}', ID);
    const database = { ...BODY, environment };
    if (path === '/v1/plans') return { method, url, payload: { database: { ...database, name: 'orders' } } };
    if (method === 'PUT') return { method, url, payload: database };
    if (/(rotate|drift)$/.test(path)) return { method, url, payload: { environment } };
    const asked = method === 'POST' || path.includes('{id}') || path === '/v1/environments';
    return { method, url: asked ? url : `${url}?environment=${environment}` };
  }

  it('knows the routes, each with an action', () => {
    assert.equal(routes.length, 18);
    assert.deepEqual(
      routes.filter(({ action }) => !RANKS.includes(action)),
      [],
    );
  });

  it('refuses no token', () => everywhere(undefined, 401));
  it('refuses another scheme', () => everywhere('Basic dTpw', 401));
  it('refuses garbage', () => everywhere('Bearer garbage', 401));
  it('refuses what only looks like a token', () => everywhere('Bearer e30.e30.AAAA', 401));
  it('refuses an expired token', async () => {
    const past = Math.floor(Date.now() / 1000) - 60;
    await everywhere(`Bearer ${await test.issuer.token({ scope: 'local:admin', exp: past })}`, 401);
  });
  it('refuses a token that is not valid yet', async () => {
    const later = Math.floor(Date.now() / 1000) + 60;
    await everywhere(`Bearer ${await test.issuer.token({ scope: 'local:admin', nbf: later })}`, 401);
  });
  it('refuses a foreign issuer', async () => {
    await everywhere(`Bearer ${await foreign.token({ scope: 'local:admin' })}`, 401);
  });
  it("refuses a foreign issuer's signature under the right name", async () => {
    const iss = test.issuer.settings.issuer;
    await everywhere(`Bearer ${await foreign.token({ scope: 'local:admin', iss })}`, 401);
  });
  it('refuses another audience', async () => {
    await everywhere(`Bearer ${await test.issuer.token({ scope: 'local:admin', aud: 'another' })}`, 401);
  });
  it('refuses a token that nobody signed', async () => {
    await everywhere(`Bearer ${unsigned(test.issuer.claims({ scope: 'local:admin' }))}`, 401);
  });
  it('refuses the public key as a shared secret', async () => {
    const secret = new TextEncoder().encode(test.issuer.publicKeyPem);
    const claims = test.issuer.claims({ scope: 'local:admin' });
    await everywhere(`Bearer ${await test.issuer.sign(claims, secret, 'HS256')}`, 401);
  });
  it('refuses another key of the same algorithm', async () => {
    const { privateKey } = await generateKeyPair('ES256');
    const claims = test.issuer.claims({ scope: 'local:admin' });
    await everywhere(`Bearer ${await test.issuer.sign(claims, privateKey, 'ES256')}`, 401);
  });
  it('refuses a token without scopes', async () => {
    await everywhere((await test.bearer('openid profile')).authorization, 403);
  });
  it('refuses every scope that is too little', async () => {
    for (const [index, held] of RANKS.slice(0, -1).entries()) {
      const above = RANKS.slice(index + 1);
      const { authorization } = await test.bearer(`local:${held}`);
      await everywhere(authorization, 403, { of: ({ action }) => above.includes(action) });
    }
  });
  it('refuses an environment that the service has not got', async () => {
    await everywhere((await test.bearer('nowhere:admin')).authorization, 403);
  });
  it('refuses the wrong environment', async () => {
    const { authorization } = await test.bearer('other:admin');
    const named = ({ path }: Route) => !path.includes('{id}') && path !== '/v1/environments';
    await everywhere(authorization, 403, { of: named });
    // What has an identifier is as if it were not there.
    await everywhere(authorization, 404, { of: ({ path }) => path.includes('{id}') });
  });

  it('lets the least scope that is enough in, everywhere', async () => {
    for (const route of routes) {
      const headers = await test.bearer(`local:${route.action}`);
      const answer = await test.app.inject({ ...request(route, 'local'), headers });
      assert.ok(answer.statusCode < 300, `${route.method} ${route.path}: ${answer.statusCode} ${answer.body}`);
    }
  });
});
