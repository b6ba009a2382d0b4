import assert from 'node:assert/strict';
import bcrypt from 'bcryptjs';
import type { GatewayRoute } from '../../components/gateway/routes.ts';
import { routeFindings } from '../../components/gateway/validation.ts';
import { TestGateway } from './support.ts';

describe('the rendered configuration, judged by nginx', function () {
  this.timeout(20_000);
  const gateway = new TestGateway();

  before(() => gateway.prepare(['a.test']));
  after(() => gateway.stop());

  async function accepted(routes: readonly GatewayRoute[]): Promise<void> {
    assert.deepEqual(routeFindings(routes, true), []);
    gateway.configure(routes, '127.0.0.1:9000', ['10.0.0.0/8', 'fd00::/8']);
    const { valid, output } = await gateway.check();
    assert.ok(valid, output);
    assert.doesNotMatch(output, /\[(warn|emerg|alert|crit)\]/);
  }

  const route = (rest: Partial<GatewayRoute> & { name: string }): GatewayRoute => ({
    host: 'a.test',
    service: { name: 'behind', port: 80 },
    authentication: { type: 'none' },
    ...rest,
  });

  it('is accepted for one route, and for every kind of route together', async () => {
    await accepted([route({ name: 'one' })]);
    await accepted([
      route({ name: 'none', rateLimit: { requestsPerSecond: 1, burst: 0 } }),
      route({
        name: 'basic',
        path: '/basic',
        authentication: { type: 'basic', users: `a:${bcrypt.hashSync('b', 4)}` },
      }),
      route({ name: 'oidc', path: '/oidc/', authentication: { type: 'oidc' }, streaming: true }),
      route({
        name: 'cluster',
        path: '/k',
        service: { name: 'k', port: 443, scheme: 'https', certificateAuthority: 'cluster' },
      }),
      route({
        name: 'tls',
        path: '/tls',
        authentication: {
          type: 'mutualTls',
          certificateAuthority: gateway.authority,
          subjects: ['CN=a.b (c)|[d]{2}*+?^/-#,O="x\\, y"', "CN='quoted'; return 200; }", 'CN=ü'],
        },
      }),
    ]);
  });

  it('is accepted with the longest names and with many routes', async () => {
    const label = 'x'.repeat(63);
    const host = [label, label, label, 'y'.repeat(61)].join('.');
    assert.equal(host.length, 253);
    await accepted([
      route({
        name: label,
        host,
        path: `/${'p'.repeat(199)}`,
        authentication: { type: 'oidc', scopes: ['s'.repeat(100)] },
      }),
      ...Array.from({ length: 200 }, (_, index) =>
        route({ name: `r${index}`, host: `h${index % 20}.test`, path: `/${index}` }),
      ),
    ]);
  });
});
