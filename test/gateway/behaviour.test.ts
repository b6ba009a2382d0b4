import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import bcrypt from 'bcryptjs';
import { createAuthenticator } from '../../api/authentication/authenticatorApp.ts';
import { createVerifier } from '../../api/authentication/verifier.ts';
import { createLog } from '../../api/telemetry/log.ts';
import type { GatewayRoute } from '../../components/gateway/routes.ts';
import { issue } from '../../local/pki.ts';
import { startIssuer } from '../api/authentication/issuer.ts';
import { type Answer, type Backend, backend, type Echo, echo, freePort, TestGateway } from './support.ts';

const parsed = (answer: Answer): Echo => JSON.parse(answer.body) as Echo;

/** Asserts a problem of the gateway with this status. */
function isProblem(answer: Answer, status: number): void {
  assert.equal(answer.status, status, answer.body);
  assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
  const problem = JSON.parse(answer.body) as { status: number; title: string; requestId: string };
  assert.equal(problem.status, status);
  assert.equal(problem.requestId, answer.headers['x-request-id']);
}

describe('the gateway, with nginx', function () {
  this.timeout(20_000);
  const gateway = new TestGateway();
  const other = new TestGateway();
  let behind: Backend;
  let authenticator: Backend;
  let gone: number;
  let questions: Echo['headers'][] = [];
  /** Tokens that the authenticator does not accept any more. */
  const ended = new Set<string>();
  const slow: string[] = [];

  const route = (name: string, host: string, rest: Partial<GatewayRoute> = {}): GatewayRoute => ({
    name,
    host,
    service: { name: 'behind', port: behind.port },
    authentication: { type: 'none' },
    ...rest,
  });

  before(async () => {
    behind = await backend((request, response) => {
      if (request.url?.startsWith('/stream')) {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
        request.once('close', () => response.end());
        return;
      }
      if (request.url === '/kept/port') {
        response.end(JSON.stringify({ port: request.socket.remotePort, connection: request.headers.connection }));
        return;
      }
      if (request.url === '/slow') {
        slow.push(String(request.method));
        return;
      }
      if (request.url === '/v1/own-502') {
        response.statusCode = 502;
        response.setHeader('x-powered-by', 'test');
      }
      if (request.url === '/inner') response.setHeader('x-accel-redirect', '/basic');
      echo(request, response);
    });
    behind.server.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: test\r\nconnection: upgrade\r\n\r\n');
      socket.pipe(socket);
    });
    authenticator = await backend((request, response) => {
      questions.push(request.headers);
      const token = request.headers.authorization;
      const kept = /^Bearer kept-(\d+)/.exec(token ?? '')?.[1];
      if (kept !== undefined && !ended.has(token ?? '')) {
        const headers = {
          'x-auth-issuer': 'https://issuer',
          'x-auth-subject': token,
          'cache-control': `max-age=${kept}`,
        };
        response.writeHead(204, headers).end();
      } else if (token === 'Bearer good') {
        response.writeHead(204, { 'x-auth-issuer': 'https://issuer', 'x-auth-subject': 'someone' }).end();
      } else if (token === 'Bearer narrow') {
        response.writeHead(403, { 'www-authenticate': 'Bearer error="insufficient_scope"' }).end('{}');
      } else if (token === 'Bearer silent') {
        response.writeHead(401).end('{}');
      } else if (token === 'Bearer broken') {
        response.writeHead(500).end('{}');
      } else {
        response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end('{}');
      }
    });
    gone = await freePort();
    const names = ['a.test', 'basic.test', 'oidc.test', 'mtls.test', 'limits.test', 'unknown.test'];
    await gateway.prepare(names);
    await other.prepare(names);
    gateway.configure(
      [
        route('open', 'a.test'),
        route('inner', 'a.test', { path: '/v1', authentication: { type: 'oidc', scopes: ['local:read'] } }),
        route('stream', 'a.test', { path: '/stream', streaming: true }),
        route('gone', 'a.test', { path: '/gone', service: { name: 'gone', port: gone } }),
        route('kept', 'a.test', {
          path: '/kept',
          service: { name: 'behind', port: behind.port, keepAlive: 4 },
          streaming: true,
        }),
        route('slow', 'a.test', { path: '/slow', timeoutSeconds: 1 }),
        route('basic', 'basic.test', {
          path: '/basic',
          authentication: { type: 'basic', users: `someone:${bcrypt.hashSync('right', 4)}\n` },
        }),
        route('oidc', 'oidc.test', { authentication: { type: 'oidc', scopes: ['local:apply', 'local:admin'] } }),
        route('each', 'oidc.test', { path: '/each', authentication: { type: 'oidc', keepSeconds: 0 } }),
        route('mtls', 'mtls.test', {
          authentication: {
            type: 'mutualTls',
            certificateAuthority: gateway.authority,
            subjects: ['CN=backup,O=operations'],
          },
        }),
        route('any', 'mtls.test', {
          path: '/any',
          authentication: { type: 'mutualTls', certificateAuthority: gateway.authority },
        }),
        route('rate', 'limits.test', { path: '/rate', rateLimit: { requestsPerSecond: 1, burst: 2 } }),
        route('body', 'limits.test', { path: '/body', maxBodyBytes: 1000 }),
      ],
      `127.0.0.1:${authenticator.port}`,
      ['127.0.0.1/32'],
    );
    const { valid, output } = await gateway.check();
    assert.ok(valid, output);
    await gateway.start();
  });

  after(async () => {
    await gateway.stop();
    await other.stop();
    await behind?.stop();
    await authenticator?.stop();
  });

  beforeEach(() => {
    questions = [];
  });

  it('passes a request on with what the service behind may rely on, and none of what clients claim', async () => {
    const answer = await gateway.ask('a.test', '/x?y=%20z', {
      method: 'POST',
      body: 'hello',
      headers: {
        authorization: 'Bearer for-the-service',
        host: 'a.test:18443',
        'x-auth-subject': 'admin',
        'x-auth-issuer': 'admin',
        'x-auth-scopes': 'admin',
        x_auth_subject: 'admin',
        'x-forwarded-for': '1.2.3.4',
        'x-forwarded-proto': 'http',
        'x-real-ip': '1.2.3.4',
        forwarded: 'for=1.2.3.4',
        'x-remote-user': 'admin',
        proxy: 'http://evil.test',
        upgrade: 'websocket',
      },
    });
    assert.equal(answer.status, 200, answer.body);
    const { method, url, body, headers } = parsed(answer);
    assert.deepEqual([method, url, body], ['POST', '/x?y=%20z', 'hello']);
    assert.equal(headers.authorization, 'Bearer for-the-service');
    assert.equal(headers.host, 'a.test:18443');
    assert.equal(headers['x-forwarded-host'], 'a.test:18443');
    assert.equal(headers['x-forwarded-port'], '18443');
    assert.equal(headers['x-forwarded-proto'], 'https');
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(headers['x-real-ip'], '127.0.0.1');
    assert.equal(headers['x-auth-method'], 'none');
    for (const name of [
      'x-auth-subject',
      'x-auth-issuer',
      'x-auth-scopes',
      'x_auth_subject',
      'forwarded',
      'proxy',
      'x-remote-user',
      'upgrade',
    ])
      assert.equal(headers[name], undefined, name);
  });

  it('adds security headers, and takes over a request id only when it is well-formed', async () => {
    const good = await gateway.ask('a.test', '/', { headers: { 'x-request-id': 'abc-123.DEF_456' } });
    assert.equal(parsed(good).headers['x-request-id'], 'abc-123.DEF_456');
    assert.equal(good.headers['x-request-id'], 'abc-123.DEF_456');
    for (const id of ['short', `${'x'.repeat(65)}`, 'with space inside', '"quoted-id"']) {
      const { headers } = parsed(await gateway.ask('a.test', '/', { headers: { 'x-request-id': id } }));
      assert.match(String(headers['x-request-id']), /^[0-9a-f]{32}$/);
    }
    assert.equal(good.headers['strict-transport-security'], 'max-age=31536000');
    assert.equal(good.headers['x-content-type-options'], 'nosniff');
    assert.equal(good.headers['x-frame-options'], 'DENY');
    assert.equal(good.headers.server, 'nginx');
  });

  it('does not serve a name that is in no route', async () => {
    await assert.rejects(gateway.ask('unknown.test', '/'), /unrecognized|handshake|alert/i);
    isProblemWithoutId(await gateway.ask('a.test', '/', { headers: { host: 'unknown.test' } }));
    isProblem(await gateway.ask('a.test', '/', { headers: { host: 'oidc.test' } }), 421);
    isProblem(await gateway.ask('limits.test', '/elsewhere'), 404);
  });

  function isProblemWithoutId(answer: Answer): void {
    assert.equal(answer.status, 421, answer.body);
    assert.equal((JSON.parse(answer.body) as { status: number }).status, 421);
  }

  it('passes no TRACE on, and says what it passes', async () => {
    const answer = await gateway.ask('a.test', '/x', { method: 'TRACE' });
    isProblem(answer, 405);
    assert.equal(answer.headers.allow, 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS');
    for (const method of ['PATCH', 'OPTIONS', 'QUERY', 'PROPFIND']) {
      assert.equal(parsed(await gateway.ask('a.test', '/x', { method })).method, method);
    }
  });

  it('takes the longest path, by whole segments', async () => {
    isProblem(await gateway.ask('a.test', '/v1'), 401);
    isProblem(await gateway.ask('a.test', '/v1/databases'), 401);
    isProblem(await gateway.ask('a.test', '/%76%31/databases'), 401);
    assert.equal((await gateway.ask('a.test', '/v10')).status, 200);
  });

  it('refuses paths that the service behind might read as another', async () => {
    for (const path of [
      '/v1/../x',
      '/v1/..%2fx',
      '/v1/%2e%2e/x',
      '/v1//x',
      '/v1/.%2E/x',
      '/x/./y',
      '/x%5c..%5cv1',
      '/x/..',
    ])
      isProblem(await gateway.ask('a.test', path), 400);
    assert.equal((await gateway.ask('a.test', '/x?next=//y/../z%2f')).status, 200);
  });

  it('asks for a name and a password, and keeps the password to itself', async () => {
    const none = await gateway.ask('basic.test', '/basic');
    isProblem(none, 401);
    assert.equal(none.headers['www-authenticate'], 'Basic realm="basic.test"');
    isProblem(await gateway.ask('basic.test', '/basic', { auth: 'someone:wrong' }), 401);
    const { headers } = parsed(await gateway.ask('basic.test', '/basic', { auth: 'someone:right' }));
    assert.equal(headers.authorization, undefined);
    assert.deepEqual([headers['x-auth-method'], headers['x-auth-subject']], ['basic', 'someone']);
  });

  it('asks the authenticator about a token, with the scopes that the route requires', async () => {
    const answer = await gateway.ask('oidc.test', '/x', {
      method: 'POST',
      body: 'x',
      headers: { authorization: 'Bearer good', 'x-auth-subject': 'admin', 'x-required-scopes': '', cookie: 'private' },
    });
    const { headers, body } = parsed(answer);
    assert.equal(body, 'x');
    assert.equal(headers.authorization, 'Bearer good');
    assert.deepEqual(
      [headers['x-auth-method'], headers['x-auth-issuer'], headers['x-auth-subject'], headers['x-required-scopes']],
      ['oidc', 'https://issuer', 'someone', undefined],
    );
    assert.equal(questions.length, 1);
    assert.equal(questions[0]?.['x-required-scopes'], 'local:admin local:apply');
    assert.equal(questions[0]?.cookie, undefined);
    assert.equal(questions[0]?.['x-request-id'], answer.headers['x-request-id']);
  });

  it('answers with the challenge of the authenticator, or one of its own', async () => {
    const ask = (token: string) => gateway.ask('oidc.test', '/', { headers: { authorization: `Bearer ${token}` } });
    const bad = await ask('bad');
    isProblem(bad, 401);
    assert.equal(bad.headers['www-authenticate'], 'Bearer error="invalid_token"');
    const silent = await ask('silent');
    isProblem(silent, 401);
    assert.equal(silent.headers['www-authenticate'], 'Bearer realm="gateway"');
    const narrow = await ask('narrow');
    isProblem(narrow, 403);
    assert.equal(narrow.headers['www-authenticate'], 'Bearer error="insufficient_scope"');
    const broken = await ask('broken');
    isProblem(broken, 503);
    assert.equal(broken.headers['retry-after'], '2');
    assert.equal((await gateway.ask('oidc.test', '/.gateway/verify/oidc')).status, 404);
  });

  it('keeps for seconds what the authenticator accepted, by token and route, and never a refusal', async () => {
    const ask = (path: string, token: string, method = 'GET') =>
      gateway.ask('oidc.test', path, { method, headers: { authorization: `Bearer ${token}` } });
    for (const method of ['GET', 'POST', 'GET']) {
      const { headers } = parsed(await ask('/x', 'kept-600-a', method));
      assert.deepEqual([headers['x-auth-issuer'], headers['x-auth-subject']], ['https://issuer', 'Bearer kept-600-a']);
      assert.equal(headers.authorization, 'Bearer kept-600-a');
    }
    assert.equal(questions.length, 1);
    assert.equal(questions[0]?.['x-keep-seconds'], '5');
    assert.equal(parsed(await ask('/x', 'kept-600-b')).headers['x-auth-subject'], 'Bearer kept-600-b');
    assert.equal(questions.length, 2);
    // Another route may ask for other scopes, or each time.
    for (let i = 0; i < 2; i++) assert.equal((await ask('/each', 'kept-600-a')).status, 200);
    assert.deepEqual(
      questions.slice(2).map((headers) => headers['x-keep-seconds']),
      ['0', '0'],
    );
    for (let i = 0; i < 2; i++) isProblem(await ask('/x', 'bad'), 401);
    for (let i = 0; i < 2; i++) isProblem(await ask('/x', 'narrow'), 403);
    for (let i = 0; i < 2; i++) isProblem(await gateway.ask('oidc.test', '/x'), 401);
    assert.equal(questions.length, 10);
  });

  it('asks again when the time is over for which an answer may be kept', async () => {
    const ask = () => gateway.ask('oidc.test', '/x', { headers: { authorization: 'Bearer kept-1-c' } });
    assert.equal((await ask()).status, 200);
    ended.add('Bearer kept-1-c');
    const began = Date.now();
    while ((await ask()).status !== 401) assert.ok(Date.now() - began < 10_000, 'it is accepted for good');
    isProblem(await ask(), 401);
  });

  it('refuses a token soon after its end, though it was accepted before', async () => {
    const issuer = await startIssuer();
    const real = createAuthenticator(createVerifier({ issuers: [issuer.settings] }), {
      log: createLog({ level: 'silent' }),
    }).listen(0, '127.0.0.1');
    await once(real, 'listening');
    const before = new TestGateway();
    try {
      await before.prepare(['oidc.test']);
      const { port } = real.address() as AddressInfo;
      before.configure([route('oidc', 'oidc.test', { authentication: { type: 'oidc' } })], `127.0.0.1:${port}`);
      await before.start();
      const exp = Math.floor(Date.now() / 1000) + 4;
      const authorization = `Bearer ${await issuer.token({ exp, scope: 'local:read' })}`;
      const ask = () => before.ask('oidc.test', '/x', { headers: { authorization } });
      assert.equal((await ask()).status, 200);
      let answer = await ask();
      for (; answer.status === 200; answer = await ask()) {
        // Clocks may differ by 5 s; the rest is for a slow machine. Without an end it would be minutes.
        assert.ok(Date.now() < exp * 1000 + 30_000, 'it is accepted for good');
      }
      isProblem(answer, 401);
      assert.match(String(answer.headers['www-authenticate']), /expired/);
      assert.ok(Date.now() >= exp * 1000, 'it was refused before its end');
    } finally {
      await before.stop();
      real.close();
      real.closeAllConnections();
      await issuer.close();
    }
  });

  it('keeps connections for reads, and gives every other request one of its own', async () => {
    const ask = async (method: string) =>
      JSON.parse((await gateway.ask('a.test', '/kept/port', { method })).body) as { port: number; connection?: string };
    const reads = [await ask('GET')];
    // One that was idle for 2 s is closed: on a slow machine another try may be needed.
    while (new Set(reads.map(({ port }) => port)).size === reads.length && reads.length < 20)
      reads.push(await ask('GET'));
    assert.ok(reads.length < 20, JSON.stringify(reads));
    const others = [await ask('POST'), await ask('PUT'), await ask('DELETE')];
    assert.equal(new Set([...reads, ...others].map(({ port }) => port)).size, reads.length - 1 + 3);
    assert.deepEqual([...new Set(others.map(({ connection }) => connection))], ['close']);
    const upgrade = httpsRequest({
      ...{ host: '127.0.0.1', port: gateway.ports.tls, servername: 'a.test', ca: gateway.authority, agent: false },
      path: '/kept/exec',
      headers: { host: 'a.test', connection: 'upgrade', upgrade: 'test' },
    }).end();
    const [, socket] = (await once(upgrade, 'upgrade')) as [unknown, import('node:net').Socket];
    socket.destroy();
  });

  it('looks anew where a pool leads nowhere', async () => {
    const pooled = new TestGateway();
    try {
      await pooled.prepare(['a.test']);
      pooled.pools = 'upstream gateway_pool_kept { server 127.0.0.1:1; }';
      const service = { name: 'behind', port: behind.port, keepAlive: 4 };
      pooled.configure([route('kept', 'a.test', { service })]);
      await pooled.start();
      for (const method of ['GET', 'HEAD', 'POST']) {
        assert.equal((await pooled.ask('a.test', '/x', { method })).status, 200, method);
      }
    } finally {
      await pooled.stop();
    }
  });

  it('asks for a client certificate of the authority, and of the subject', async () => {
    const ctx = { directory: gateway.folder };
    const client = async (commonName: string, from = ctx) => {
      const files = await issue(from, { name: commonName, commonName, organization: 'operations', usages: ['client'] });
      return { cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) };
    };
    isProblem(await gateway.ask('mtls.test', '/'), 403);
    isProblem(await gateway.ask('mtls.test', '/any'), 403);
    const passed = parsed(await gateway.ask('mtls.test', '/', await client('backup')));
    assert.equal(passed.headers['x-auth-method'], 'mutualTls');
    assert.equal(passed.headers['x-auth-subject'], 'CN=backup,O=operations');
    const another = await client('backups');
    isProblem(await gateway.ask('mtls.test', '/', another), 403);
    assert.equal((await gateway.ask('mtls.test', '/any', another)).status, 200);
    isProblem(await gateway.ask('mtls.test', '/any', await client('backup', { directory: other.folder })), 400);
  });

  it('limits requests and bodies', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => gateway.ask('limits.test', '/rate')));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 429, 429, 429]);
    const refused = answers.find(({ status }) => status === 429);
    assert.ok(refused);
    isProblem(refused, 429);
    assert.equal(refused.headers['retry-after'], '1');
    assert.equal((await gateway.ask('limits.test', '/body', { method: 'POST', body: 'x'.repeat(1000) })).status, 200);
    isProblem(await gateway.ask('limits.test', '/body', { method: 'POST', body: 'x'.repeat(1001) }), 413);
    isProblem(
      await gateway.ask('limits.test', '/body', {
        method: 'POST',
        body: 'x'.repeat(1001),
        headers: { 'transfer-encoding': 'chunked' },
      }),
      413,
    );
  });

  it('passes a stream on as it comes, and upgrades its connection', async () => {
    const options = {
      host: '127.0.0.1',
      port: gateway.ports.tls,
      servername: 'a.test',
      ca: gateway.authority,
      agent: false as const,
    };
    const request = httpsRequest({ ...options, path: '/stream', headers: { host: 'a.test' } }).end();
    const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream];
    const [chunk] = (await once(response, 'data')) as [Buffer];
    assert.equal(chunk.toString(), 'data: 1\n\n');
    request.destroy();
    const upgrade = httpsRequest({
      ...options,
      path: '/stream/exec',
      headers: { host: 'a.test', connection: 'upgrade', upgrade: 'test' },
    }).end();
    const [, socket] = (await once(upgrade, 'upgrade')) as [unknown, import('node:net').Socket];
    socket.write('ping');
    const [pong] = (await once(socket, 'data')) as [Buffer];
    assert.equal(pong.toString(), 'ping');
    socket.destroy();
  });

  it('logs JSON without query, token and password', async () => {
    await gateway.ask('a.test', '/logged?token=query-secret', {
      headers: { authorization: 'Bearer token-secret', 'user-agent': 'quote " and \\ and ü' },
    });
    await gateway.ask('basic.test', '/basic', { auth: 'typed-the-password:here-secret' });
    const line = await gateway.logged(({ path }) => path === '/logged');
    assert.equal(line.status, 200);
    assert.equal(line.route, 'open');
    assert.equal(line.host, 'a.test');
    assert.equal(line.remoteAddress, '127.0.0.1');
    assert.match(String(line.userAgent), /^quote " and \\ and /);
    assert.match(String(line.requestId), /^[0-9a-f]{32}$/);
    assert.equal(typeof line.seconds, 'number');
    await gateway.logged(({ path, status }) => path === '/basic' && status === 401);
    await gateway.ask('a.test', '/gone?token=query-secret');
    for (const secret of ['query-secret', 'token-secret', 'typed-the-password', 'here-secret']) {
      assert.ok(!gateway.accessLog.includes(secret), secret);
      assert.ok(!gateway.stderr.includes(secret), secret);
    }
  });

  it('takes the address of the client from the PROXY protocol, on its own port only', async () => {
    const socket = await gateway.proxied('PROXY TCP4 203.0.113.7 127.0.0.1 55555 443\r\n', 'a.test');
    socket.write('GET /proxied HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    assert.match(text, /"x-forwarded-for":"203\.0\.113\.7"/);
    assert.equal((await gateway.logged(({ path }) => path === '/proxied')).remoteAddress, '203.0.113.7');
    await assert.rejects(gateway.ask('a.test', '/', { port: gateway.ports.proxyProtocol }));
  });

  it('speaks HTTP/2', async () => {
    const session = connectHttp2(`https://a.test:${gateway.ports.tls}`, {
      ca: gateway.authority,
      servername: 'a.test',
      lookup: (_host, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }] as never, 4),
    });
    const stream = session.request({ ':path': '/two' });
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    assert.equal(headers[':status'], 200);
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    session.close();
    assert.equal((JSON.parse(text) as Echo).headers.host, `a.test:${gateway.ports.tls}`);
    assert.equal((await gateway.logged(({ path }) => path === '/two')).protocol, 'HTTP/2.0');
  });

  it('says 503 when the service behind is gone, and passes on what it answers itself', async () => {
    const answer = await gateway.ask('a.test', '/gone');
    isProblem(answer, 503);
    const line = await gateway.logged(({ path, status }) => path === '/gone' && status === 503);
    assert.equal(String(line.upstream).split(' : ').length, 4, 'it is tried four times');
    const own = await gateway.ask('a.test', '/v1/own-502', { headers: { authorization: 'Bearer good' } });
    assert.equal(own.status, 502);
    assert.equal(parsed(own).url, '/v1/own-502');
    assert.equal(own.headers['x-powered-by'], undefined);
    assert.equal(parsed(await gateway.ask('a.test', '/inner')).url, '/inner');
  });

  it('sends again what the service behind dropped unread or what is safe, and nothing else', async () => {
    let received: string[] = [];
    // Drops the first two requests after reading them.
    const flaky = await backend((request, response) => {
      received.push(`${request.method} ${request.url}`);
      if (received.length < 3) request.socket.destroy();
      else echo(request, response);
    }, gone);
    try {
      const answer = await gateway.ask('a.test', '/gone/a%20b?c=d', { headers: { 'x-request-id': 'the-same-id' } });
      assert.equal(answer.status, 200);
      assert.deepEqual(received, Array(3).fill('GET /gone/a%20b?c=d'));
      assert.equal(parsed(answer).url, '/gone/a%20b?c=d');
      assert.equal(parsed(answer).headers['x-request-id'], 'the-same-id');
      received = [];
      isProblem(await gateway.ask('a.test', '/gone', { method: 'POST', body: 'once' }), 503);
      assert.deepEqual(received, ['POST /gone']);
    } finally {
      await flaky.stop();
    }
    const refused = gateway.ask('a.test', '/gone/refused', { method: 'POST', body: 'x'.repeat(500_000) });
    isProblem(await refused, 503);
    const line = await gateway.logged(({ path }) => path === '/gone/refused');
    assert.equal(String(line.upstream).split(' : ').length, 4);
  });

  it('does not ask a slow service twice', async () => {
    const answers = await Promise.all([
      gateway.ask('a.test', '/slow'),
      gateway.ask('a.test', '/slow', { method: 'POST', body: 'x' }),
    ]);
    for (const answer of answers) isProblem(answer, 504);
    assert.deepEqual(slow.sort(), ['GET', 'POST']);
  });

  it('is ready only while the authenticator answers', async () => {
    const ready = () => fetch(`http://127.0.0.1:${gateway.ports.health}/readyz`).then(({ status }) => status);
    assert.equal(await ready(), 200);
    await authenticator.stop();
    assert.equal(await ready(), 502);
    isProblem(await gateway.ask('oidc.test', '/', { headers: { authorization: 'Bearer good' } }), 503);
  });
});
