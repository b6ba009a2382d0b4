import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { hostProblem } from '../../components/loadBalancer/hosts.ts';
import { type OuterRoute, type OuterServer, renderOuterNginx } from '../../components/loadBalancer/outerNginx.ts';
import type { Instance } from '../../local/outerNginx/facts.ts';
import { give, prepareDirectory, testConfiguration } from '../../local/outerNginx/nginx.ts';
import { ensureSystemUser, type SystemUser } from '../../local/systemUser.ts';

describe('outer nginx: what is rendered is what nginx reads', function () {
  this.timeout(60_000);
  let at: Instance;
  let user: SystemUser;
  const server: OuterServer = { listenAddress: '127.0.0.1', httpsPort: 18543, httpPort: 18580 };
  const route: OuterRoute = { hosts: ['localhost'], address: '10.0.0.1', port: 8444 };

  before(async () => {
    const directory = join(mkdtempSync(join(tmpdir(), 'outer-')), 'nginx');
    const mountedAt = mkdtempSync(join('/run', 'outer-nginx-test-'));
    at = { name: 'outer-nginx-test', directory, mountedAt, httpsPort: server.httpsPort, httpPort: server.httpPort };
    mkdirSync(directory);
    user = await ensureSystemUser('devops-nginx');
    prepareDirectory(at, user);
  });
  after(() => {
    rmSync(join(at.directory, '..'), { recursive: true, force: true });
    rmSync(at.mountedAt, { recursive: true, force: true });
  });

  const check = async (text: string) => {
    const path = join(at.directory, 'test.conf');
    writeFileSync(path, text);
    give(path, user);
    await testConfiguration(at, user, 'test.conf');
  };

  it('takes the words of map, wildcards, long names, many names and IPv6', async () => {
    const label = 'l'.repeat(63);
    const long = [label, label, label, 'l'.repeat(61)].join('.');
    const many = Array.from({ length: 500 }, (_, index) => `host-${index}.example.test`);
    await check(renderOuterNginx(server, [{ ...route, hosts: ['default', 'hostnames', 'include', 'volatile'] }]));
    await check(renderOuterNginx(server, [{ ...route, hosts: ['*.example.test', 'example.test', '*.default', long] }]));
    await check(renderOuterNginx(server, [{ ...route, hosts: many }]));
    await check(renderOuterNginx(server, [route, { hosts: ['six.test'], address: 'fd00::1', port: 1 }]));
    await check(renderOuterNginx({ ...server, listenAddress: '::1', workers: 1, connectionsPerClient: 1 }, [route]));
    await check(renderOuterNginx(server, []));
  });

  it('takes whatever name is allowed', async () => {
    const host = fc
      .tuple(fc.constantFrom('', '*.'), fc.domain())
      .map((parts) => parts.join(''))
      .filter((name) => hostProblem(name) === undefined);
    const hosts = fc.uniqueArray(host, { minLength: 1, maxLength: 8, selector: (name) => name.toLowerCase() });
    await fc.assert(
      fc.asyncProperty(hosts, fc.ipV4(), async (names, address) => {
        await check(renderOuterNginx(server, [{ hosts: names, address, port: 8444 }]));
      }),
      { numRuns: 15 },
    );
  });

  it('says why nginx does not take a text', async () => {
    await assert.rejects(check('events {}\nstream { server { listen 1; } }'), /no handler for server/);
  });
});
