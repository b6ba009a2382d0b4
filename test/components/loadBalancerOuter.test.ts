import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { hostProblem, upstreamHostProblem } from '../../components/loadBalancer/hosts.ts';
import {
  configurationId,
  type OuterRoute,
  type OuterServer,
  outerFindings,
  outerUrl,
  renderOuterNginx,
} from '../../components/loadBalancer/outerNginx.ts';
import { holds } from '../holds.ts';
import { findingsOf } from './mocks.ts';

const SERVER: OuterServer = { listenAddress: '127.0.0.1', httpsPort: 18443, httpPort: 18080 };
const ROUTE: OuterRoute = { hosts: ['localhost'], address: '172.31.241.2', port: 8444 };

const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?$/);
const host = fc
  .tuple(fc.boolean(), fc.array(label, { minLength: 1, maxLength: 4 }))
  .map(([wildcard, labels]) => (wildcard ? '*.' : '') + labels.join('.'))
  .filter((name) => hostProblem(name) === undefined);
const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6().filter((text) => !text.includes('%')),
  fc.constant('lb.example.test'),
);

/** The names and where they lead, read back from the text as nginx reads it. */
function readMap(text: string): Map<string, string> {
  const body = /map \$ssl_preread_server_name \$cluster \{\n([^}]*)\}/.exec(text)?.[1] ?? '';
  const upstreams = new Map(
    [...text.matchAll(/upstream (cluster_\d+) \{\n {4}server ([^;]+);/g)].map(([, a, b]) => [a, b]),
  );
  const entries = [...body.matchAll(/^ {4}(\S+) (cluster_\d+);$/gm)].map(
    ([, name = '', cluster]) => [name.replace(/^\\/, ''), upstreams.get(cluster) ?? ''] as const,
  );
  assert.equal(body.trim().split('\n').length, entries.length + 2, 'only hostnames, default and the names');
  return new Map(entries);
}

const indent = (text: string) => text.split('\n').filter((line) => /[{}]\s*$/.test(line) && !line.includes('$'));

describe('outer nginx, rendering', () => {
  it('leads each name to its load balancer', () => {
    const routes = fc
      .uniqueArray(host, { minLength: 1, maxLength: 12 })
      .chain((hosts) => fc.tuple(fc.constant(hosts), address, fc.integer({ min: 1, max: 65535 })));
    holds(
      fc.property(routes, ([hosts, target, port]) => {
        const text = renderOuterNginx(SERVER, [{ hosts, address: target, port }]);
        const found = readMap(text);
        const expected = target.includes(':') ? `[${target}]:${port}` : `${target}:${port}`;
        assert.deepEqual([...found.keys()].sort(), [...hosts].sort());
        assert.ok([...found.values()].every((value) => value === expected));
      }),
    );
  });

  it('lets no text into the configuration that could be read as more than a name', () => {
    const plain = indent(renderOuterNginx(SERVER, [ROUTE])).length;
    const hostile = fc.oneof(
      fc.string(),
      fc
        .tuple(
          label,
          fc.constantFrom(';', '{', '}', '\n', ' ', '"', "'", '$', '\\', '#', '~', '\0', '*', '/', ':', '_'),
          label,
        )
        .map((parts) => parts.join('')),
      host,
    );
    holds(
      fc.property(hostile, hostile, (name, target) => {
        const wrong = hostProblem(name) !== undefined || upstreamHostProblem(target) !== undefined;
        const work = () => renderOuterNginx(SERVER, [{ hosts: [name], address: target, port: 8444 }]);
        if (wrong) return findingsOf(work).length > 0;
        const text = work();
        return indent(text).length === plain && readMap(text).size === 1;
      }),
      { numRuns: 500 },
    );
    for (const bad of [
      'a b',
      'a;b',
      'a{',
      '$host',
      '~.*',
      '.example.test',
      '*',
      '*.*.test',
      'a_b',
      '_',
      'ä.test',
      '10.0.0.1',
      '::1',
      'a.',
      '',
      '-a',
    ]) {
      assert.ok(hostProblem(bad), bad);
    }
    for (const bad of ['fe80::1%eth0;', 'fe80::1%eth0', 'unix:/run/x', '$backend', '10.0.0.1:80', 'a;b']) {
      assert.ok(upstreamHostProblem(bad), bad);
    }
  });

  it('is the same text for the same names in any order', () => {
    const hosts = ['b.test', 'a.test', '*.c.test'];
    const other: OuterRoute = { hosts: ['z.test', 'B2.test'], address: '10.0.0.1', port: 1 };
    const one = renderOuterNginx(SERVER, [{ ...ROUTE, hosts }, other]);
    assert.equal(
      renderOuterNginx(SERVER, [
        { ...other, hosts: ['b2.test', 'z.test'] },
        { ...ROUTE, hosts: hosts.reverse() },
      ]),
      one,
    );
    assert.match(one, /b2\.test cluster_\d;/);
  });

  it('marks names that map reads as its own words', () => {
    const hosts = ['default', 'hostnames', 'include', 'volatile'];
    const text = renderOuterNginx(SERVER, [{ ...ROUTE, hosts }]);
    for (const word of hosts) assert.ok(text.includes(`    \\${word} cluster_0;\n`), word);
  });

  it('has an identity that changes with everything in it', () => {
    const id = (server: OuterServer, routes: readonly OuterRoute[]) =>
      configurationId(renderOuterNginx(server, routes));
    const base = id(SERVER, [ROUTE]);
    assert.match(base ?? '', /^configuration [0-9a-f]{10}$/);
    assert.equal(id(SERVER, [ROUTE]), base);
    assert.notEqual(id(SERVER, [{ ...ROUTE, address: '172.31.241.3' }]), base);
    assert.notEqual(id({ ...SERVER, idleTimeoutSeconds: 60 }, [ROUTE]), base);
    assert.equal(configurationId('events {}'), undefined);
  });

  it('names every wrong argument at once', () => {
    const server = {
      listenAddress: 'localhost',
      httpsPort: 0,
      httpPort: 70000,
      publicPort: 1.5,
      streamModule: '/x; daemon off',
      idleTimeoutSeconds: 0,
      connectionsPerClient: -1,
      workers: 0.5,
    };
    const routes = [
      { hosts: [], address: 'a b', port: -1 },
      { hosts: ['a.test', 'A.test'], address: 'b.test', port: 1 },
    ];
    assert.deepEqual(
      outerFindings(server, routes).map(({ path }) => path),
      [
        'outer.listenAddress',
        'outer.httpsPort',
        'outer.httpPort',
        'outer.publicPort',
        'outer.idleTimeoutSeconds',
        'outer.connectionsPerClient',
        'outer.workers',
        'outer.streamModule',
        'routes[0].hosts',
        'routes[0].address',
        'routes[0].port',
        'routes[1].hosts[1]',
      ],
    );
    assert.deepEqual(
      outerFindings({ ...SERVER, httpPort: SERVER.httpsPort }, []).map(({ path }) => path),
      ['outer.httpPort'],
    );
  });

  it('gives the URL with the port that clients see', () => {
    assert.equal(outerUrl(SERVER, 'localhost'), 'https://localhost:18443');
    assert.equal(outerUrl({ ...SERVER, publicPort: 443 }, 'api.test'), 'https://api.test');
    const text = renderOuterNginx({ ...SERVER, publicPort: 443 }, [ROUTE]);
    assert.ok(text.includes('return 308 https://$host$request_uri;'));
  });
});
