import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { htpasswdProblems } from '../../components/gateway/htpasswd.ts';
import { nginxConfiguration } from '../../components/gateway/nginx/configuration.ts';
import { block, directive, render } from '../../components/gateway/nginx/directive.ts';
import { POD } from '../../components/gateway/pod.ts';
import { type GatewayRoute, hosts } from '../../components/gateway/routes.ts';
import { hostProblem, networkProblem, pathProblem, routeFindings } from '../../components/gateway/validation.ts';
import { holds } from '../holds.ts';
import { readConfiguration, type Statement } from './gatewayTokens.ts';

function configuration(routes: readonly GatewayRoute[]): string {
  return nginxConfiguration({
    ...POD,
    routes,
    authenticator: '127.0.0.1:9000',
    trustedProxies: ['10.0.0.0/8'],
    shutdownSeconds: 45,
    address: ({ name, namespace = 'own' }) => `${name}.${namespace}.svc.cluster.local`,
  });
}

const plain: GatewayRoute = {
  name: 'api',
  host: 'api.example.com',
  service: { name: 'api', port: 80 },
  authentication: { type: 'none' },
};

/** The names of all directives, with their nesting. */
function shape(statements: readonly Statement[]): unknown[] {
  // The keys of maps are no names.
  const name = (word = '') => (/^[a-z_]+$/.test(word) ? word : '');
  return statements.map(({ words, block: inner }) => [name(words[0]), words.length, inner && shape(inner)]);
}

/** Texts that mean something to nginx, to the reader of its words, or to HTTP. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc
    .array(
      fc.constantFrom(
        ...['"', "'", '\\', ';', '{', '}', '$', '${', '#', '\n', '\r', '\0', ' ', '\t', '~', '*', '/', '..', '%2e'],
        ...[
          'a',
          'b.c',
          'CN=',
          '$host',
          'return 200;',
          '} location / {',
          '\u2028',
          '\ud800',
          'ü',
          '(?',
          '|',
          'localhost',
        ],
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join('')),
);

describe('the nginx configuration of a gateway', () => {
  it('is the same text for the same routes in any order', () => {
    const routes = ['/', '/b', '/a'].map((path, index) => ({ ...plain, name: `r${index}`, path }));
    const serverOf = (text: string) => text.slice(text.indexOf('server_name api.example.com'));
    assert.equal(serverOf(configuration(routes)), serverOf(configuration(routes.toReversed())));
  });

  it('reads back every text that it writes', () => {
    holds(
      fc.property(
        fc.array(
          hostile.filter((text) => !/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(text)),
          { minLength: 1 },
        ),
        (texts) => {
          const text = render([block('map', texts, [directive('default', ...texts)])]);
          assert.deepEqual(readConfiguration(text), [
            { words: ['map', ...texts], block: [{ words: ['default', ...texts] }] },
          ]);
        },
      ),
    );
  });

  it('has no place for a hostile text: it is refused, or stays one word', () => {
    const expected = {
      none: shape(readConfiguration(configuration([plain]))),
      oidc: shape(readConfiguration(configuration([{ ...plain, authentication: { type: 'oidc', scopes: ['a'] } }]))),
      mutualTls: shape(readConfiguration(configuration([{ ...plain, authentication: tls('CN=a') }]))),
    };
    let passed = 0;
    const check = (route: GatewayRoute) => {
      if (routeFindings([route], true).length > 0) return;
      passed++;
      const kind = route.authentication.type as keyof typeof expected;
      // What a path or a name of this machine adds or leaves out by intent is not compared here.
      const text = configuration([route]);
      const found = JSON.stringify(shape(readConfiguration(text)));
      const loopback = route.host === 'localhost' || route.host.endsWith('.localhost');
      const root = (route.path ?? '/') === '/';
      if (!loopback && root) assert.ok(found === JSON.stringify(expected[kind]), text);
    };
    holds(
      fc.property(
        hostile,
        fc.constantFrom('name', 'host', 'path', 'service', 'namespace', 'scope', 'subject'),
        (text, where) => {
          check(
            {
              name: { ...plain, name: text },
              host: { ...plain, host: text },
              path: { ...plain, path: `/${text}` },
              service: { ...plain, service: { name: text, port: 80 } },
              namespace: { ...plain, service: { ...plain.service, namespace: text } },
              scope: { ...plain, authentication: { type: 'oidc' as const, scopes: [text] } },
              subject: { ...plain, authentication: tls(`CN=${text}`) },
            }[where] as GatewayRoute,
          );
        },
      ),
      { numRuns: 500 },
    );
    assert.ok(passed > 10, `only ${passed} passed the checks: the property says little`);
  });

  it('matches subjects as they are, in their own case', () => {
    const subjects = ['CN=a.b,O=c', 'CN="x" y\\, z'];
    const statements = readConfiguration(configuration([{ ...plain, authentication: tls(...subjects) }]));
    const http = statements.find(({ words }) => words[0] === 'http')?.block ?? [];
    const map = http.find(({ words }) => words[0] === 'map' && words[2] === '$gateway_client_api')?.block ?? [];
    const keys = map.flatMap(({ words: [key = ''] }) => (key.startsWith('~^') ? [new RegExp(key.slice(1))] : []));
    for (const subject of subjects)
      assert.ok(
        keys.some((key) => key.test(`SUCCESS ${subject}`)),
        subject,
      );
    for (const other of ['CN=a-b,O=c', 'CN=A.b,O=c', 'CN=a.b,O=c,O=d', 'CN=b,CN=a.b,O=c'])
      assert.ok(!keys.some((key) => key.test(`SUCCESS ${other}`)), other);
    assert.ok(!keys.some((key) => key.test(`FAILED ${subjects[0]}`)));
  });

  it('gives every host, once and sorted', () => {
    const table = ['b.example.com', 'a.example.com', 'b.example.com'].map((host) => ({ ...plain, host }));
    assert.deepEqual(hosts(table), ['a.example.com', 'b.example.com']);
  });
});

function tls(...subjects: string[]): GatewayRoute['authentication'] {
  // An output stands for certificates that are known later; here it is not read.
  return { type: 'mutualTls', certificateAuthority: Promise.resolve(''), subjects };
}

describe('checks of a route table', () => {
  it('knows hosts, paths and networks', () => {
    for (const good of ['localhost', 'a.example.com', 'x-1.test']) assert.equal(hostProblem(good), undefined, good);
    for (const bad of ['', 'A.test', '*.test', '127.0.0.1', '::1', 'a..b', 'a.test:443', 'a_b', 'a.test.', 'ü.test'])
      assert.ok(hostProblem(bad), bad);
    for (const good of ['/', '/v1', '/v1/', '/a.b/c~d_e-f', '/.well-known/x'])
      assert.equal(pathProblem(good), undefined, good);
    for (const bad of [
      '',
      'v1',
      '/a b',
      '/a//b',
      '/../a',
      '/a/..',
      '/./a',
      '/a?b',
      '/%61',
      '/.gateway/verify/x',
      '/a;b',
      '/$host',
    ])
      assert.ok(pathProblem(bad), bad);
    for (const good of ['10.0.0.0/8', '127.0.0.1/32', 'fd00::/8']) assert.equal(networkProblem(good), undefined, good);
    for (const bad of ['10.0.0.0', '10.0.0.0/33', 'all', '10.0.0.0/8/8', 'fe80::1%eth0/64', '', '10.0.0.0/08x'])
      assert.ok(networkProblem(bad), bad);
  });

  it('takes hashed passwords only, and never shows a line', () => {
    const bcrypt = `$2y$10$${'a'.repeat(53)}`;
    const sha512 = `$6$salt$${'a'.repeat(86)}`;
    assert.deepEqual(
      htpasswdProblems(`# users\na:${bcrypt}\n\nb:${sha512}\nc:$5$rounds=10000$salt$${'a'.repeat(43)}\n`),
      [],
    );
    const refused = [
      'secret',
      '{PLAIN}secret',
      '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=',
      '$apr1$salt$hash',
      'rl.3StKT.4T8M',
      '',
      bcrypt.replace('10', '12'),
    ];
    for (const hash of refused) {
      const [problem, ...more] = htpasswdProblems(`a:${hash}`);
      assert.ok(problem, hash);
      assert.deepEqual(more, []);
      assert.ok(hash === '' || !problem.includes(hash), problem);
    }
    assert.match(htpasswdProblems(`a:${bcrypt}\na:${sha512}`)[0] ?? '', /^line 2 .*earlier/);
    assert.match(htpasswdProblems('just-a-secret')[0] ?? '', /^line 1 is not "user:hash"$/);
    assert.equal(htpasswdProblems('').length, 1);
  });

  it('finds everything at once', () => {
    const paths = routeFindings(
      [
        plain,
        { ...plain, path: '/' },
        {
          name: 'Bad',
          host: 'BAD',
          path: 'bad',
          service: { name: '1', namespace: '-', port: 0, scheme: 'https' },
          authentication: { type: 'oidc', scopes: ['with space'] },
          rateLimit: { requestsPerSecond: 0.5, burst: -1 },
          maxBodyBytes: 0,
          timeoutSeconds: Number.NaN,
        },
        { ...plain, name: 'ca', path: '/ca', service: { ...plain.service, certificateAuthority: 'cluster' } },
        {
          ...plain,
          name: 'pem',
          path: '/pem',
          authentication: { type: 'mutualTls', certificateAuthority: 'x', subjects: [] },
        },
      ],
      false,
    ).map(({ path }) => path);
    assert.deepEqual(paths, [
      'routes[1].name',
      'routes[1].path',
      'routes[2].name',
      'routes[2].host',
      'routes[2].path',
      'routes[2].service.name',
      'routes[2].service.namespace',
      'routes[2].service.port',
      'routes[2].service.certificateAuthority',
      'routes[2].authentication.type',
      'routes[2].authentication.scopes[0]',
      'routes[2].rateLimit.requestsPerSecond',
      'routes[2].rateLimit.burst',
      'routes[2].maxBodyBytes',
      'routes[2].timeoutSeconds',
      'routes[3].service.certificateAuthority',
      'routes[4].authentication.certificateAuthority',
      'routes[4].authentication.subjects',
    ]);
  });

  it('refuses what one location or one handshake cannot tell apart', () => {
    const twice = [plain, { ...plain, name: 'x', path: '/v1' }, { ...plain, name: 'y', path: '/v1/' }];
    assert.deepEqual(
      routeFindings(twice, false).map(({ path }) => path),
      ['routes[2].path'],
    );
    const authorities = [tls('CN=a'), tls('CN=b')].map((authentication, index) => ({
      ...plain,
      name: `r${index}`,
      path: `/${index}`,
      authentication,
    }));
    assert.deepEqual(
      routeFindings(authorities, false).map(({ path }) => path),
      ['routes[1].authentication.certificateAuthority'],
    );
  });
});
