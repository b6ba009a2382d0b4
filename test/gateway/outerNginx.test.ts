import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, TLSSocket, type TLSSocket as Tls } from 'node:tls';
import { configurationId, renderOuterNginx } from '../../components/loadBalancer/outerNginx.ts';
import { isNodeOwner } from '../../local/facts.ts';
import { type Instance, LISTEN_ADDRESS } from '../../local/outerNginx/facts.ts';
import { applyOuterConfiguration, startOuterNginx } from '../../local/outerNginx.ts';
import { issue } from '../../local/pki.ts';
import { isRunning, runningPid, stopProcess, waitFor } from '../../local/process.ts';

/** A TLS server behind the PROXY protocol, as the gateway's port 8444 is; answers what it was told, then echoes. */
async function gateway(directory: string): Promise<{ server: Server; port: number }> {
  const files = await issue(
    { directory },
    { name: 'gateway', commonName: 'localhost', sans: ['localhost'], usages: ['server'] },
  );
  const tls = { cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) };
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('readable', () => {
      const first = socket.read() as Buffer;
      const end = first.indexOf('\r\n') + 2;
      const header = first.subarray(0, end).toString('latin1').trim();
      socket.unshift(first.subarray(end));
      const secure = new TLSSocket(socket, { isServer: true, ...tls });
      secure.on('error', () => undefined);
      secure.write(`${header}\n`);
      secure.on('data', (data) => secure.write(data));
    });
  });
  return { server, port: await listening(server) };
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Page {
  readonly status: number;
  readonly location: string | undefined;
  readonly body: string;
}

async function page(port: number, path: string, host: string): Promise<Page> {
  return await new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers: { host }, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, location: response.headers.location, body }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

async function line(socket: Socket): Promise<string> {
  return await new Promise((resolve, reject) => {
    socket.once('data', (data: Buffer) => resolve(data.toString('utf8').trim()));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
}

describe('outer nginx', function () {
  this.timeout(60_000);
  let directory: string;
  let at: Instance;
  let backend: { server: Server; port: number };
  const open = new Set<Socket>();
  const ctx = () => ({ directory });

  const dial = (servername: string): Tls => {
    const socket = connect({
      host: '127.0.0.1',
      port: at.httpsPort,
      servername,
      rejectUnauthorized: true,
      ca: readFileSync(join(directory, 'tls', 'ca.crt')),
      checkServerIdentity: () => undefined,
    });
    open.add(socket);
    return socket;
  };
  const server = () => ({ listenAddress: LISTEN_ADDRESS, httpsPort: at.httpsPort, httpPort: at.httpPort });
  const rendered = (hosts: readonly string[] = ['localhost', 'api.example.test', 'default']) =>
    renderOuterNginx(server(), [{ hosts, address: '127.0.0.1', port: backend.port }]);

  before(async () => {
    const base = mkdtempSync(join(tmpdir(), 'outer-'));
    directory = join(base, '.local');
    mkdirSync(directory);
    at = {
      name: 'outer-nginx-test',
      directory: join(directory, 'data', 'outer-nginx'),
      mountedAt: mkdtempSync(join('/run', 'outer-nginx-test-')),
      httpsPort: await freePort(),
      httpPort: await freePort(),
    };
    backend = await gateway(directory);
    await startOuterNginx(ctx(), at);
  });
  after(async () => {
    for (const socket of open) socket.destroy();
    backend?.server.close();
    if (at !== undefined) {
      await stopProcess(ctx(), at.name, 5000);
      rmSync(at.mountedAt, { recursive: true, force: true });
      rmSync(join(directory, '..'), { recursive: true, force: true });
    }
  });

  it('says that nothing is deployed yet, by HTTP and by HTTPS', async () => {
    const { status, body } = await page(at.httpPort, '/v1/databases', 'localhost');
    assert.equal(status, 503);
    assert.equal((JSON.parse(body) as { title: string }).title, 'Not deployed yet');
    const socket = dial('localhost');
    socket.write('GET /v1/databases HTTP/1.0\r\n\r\n');
    assert.match(await line(socket), /^HTTP\/1\.1 503 /);
  });

  it('runs without privileges', function () {
    if (!isNodeOwner()) this.skip();
    const pid = runningPid(ctx(), at.name) ?? 0;
    assert.notEqual(statSync(`/proc/${pid}`).uid, 0);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    assert.match(status, /^CapEff:\s+0+$/m);
    assert.match(status, /^CapBnd:\s+0+$/m);
    assert.match(status, /^NoNewPrivs:\s+1$/m);
  });

  it('passes TLS on by its name, with the address of the client in front', async () => {
    assert.equal(await applyOuterConfiguration(ctx(), rendered(), at), true);
    assert.equal(await applyOuterConfiguration(ctx(), rendered(), at), false, 'the same again is no change');
    for (const name of ['localhost', 'API.Example.TEST', 'default']) {
      const socket = dial(name);
      const header = await line(socket);
      assert.equal(header, `PROXY TCP4 127.0.0.1 127.0.0.1 ${socket.localPort} ${at.httpsPort}`, name);
      // The certificate is the gateway's own: nothing was opened on the way.
      assert.equal(socket.getPeerCertificate().subject.CN, 'localhost');
      socket.write('hello');
      assert.equal(await line(socket), 'hello');
    }
  });

  it('refuses other names, no name, and what is no TLS', async () => {
    for (const name of ['other.example.test', 'localhost.example.test', '']) {
      await assert.rejects(line(dial(name)), /closed|disconnected|ECONNRESET/, name);
    }
    const plain = connectTcp(at.httpsPort, '127.0.0.1');
    open.add(plain);
    plain.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await assert.rejects(line(plain), /closed|ECONNRESET/);
  });

  it('redirects known hosts to HTTPS, and no others', async () => {
    const known = await page(at.httpPort, '/v1/plans?limit=1', 'localhost:1234');
    assert.equal(known.status, 308);
    assert.equal(known.location, `https://localhost:${at.httpsPort}/v1/plans?limit=1`);
    const unknown = await page(at.httpPort, '/', 'evil.example.test');
    assert.deepEqual([unknown.status, unknown.location], [404, undefined]);
  });

  it('says which configuration is live', async () => {
    const { status, body } = await page(at.httpPort, '/healthz', '127.0.0.1');
    assert.deepEqual([status, body.trim()], [200, configurationId(rendered())]);
  });

  it('takes a new configuration without ending connections', async () => {
    const socket = dial('localhost');
    await line(socket);
    assert.equal(await applyOuterConfiguration(ctx(), rendered(['next.example.test']), at), true);
    socket.write('still here');
    assert.equal(await line(socket), 'still here');
    const next = dial('next.example.test');
    assert.match(await line(next), /^PROXY /);
    next.end();
    await assert.rejects(line(dial('localhost')), /closed|disconnected|ECONNRESET/);
    await applyOuterConfiguration(ctx(), rendered(), at);
  });

  it('keeps what it had when a configuration is not valid', async () => {
    const broken = rendered().replace('proxy_protocol on;', 'proxy_protocol on; no_such_directive;');
    await assert.rejects(applyOuterConfiguration(ctx(), broken, at), (error: Error) => {
      assert.match(error.message, /goes on with the configuration that it had/);
      assert.match(error.message, /no_such_directive/);
      return true;
    });
    assert.equal(readFileSync(join(at.directory, 'nginx.conf'), 'utf8'), rendered());
    assert.match(await line(dial('localhost')), /^PROXY /);
  });

  it('logs every connection as a line of JSON', async () => {
    const path = join(at.directory, 'log', 'access.log');
    const entries = () =>
      readFileSync(path, 'utf8')
        .trim()
        .split('\n')
        .map((entry) => JSON.parse(entry) as Record<string, unknown>);
    const hostile = 'a"b\\u000a.example.test';
    const socket = dial(hostile);
    await line(socket).catch(() => undefined);
    await waitFor(async () => entries().some(({ serverName }) => serverName === hostile), {
      timeoutMs: 5000,
      what: 'the entry of the hostile name',
    });
    const refused = entries().find(({ serverName }) => serverName === 'other.example.test');
    assert.deepEqual([refused?.status, refused?.upstream], [500, '']);
    const passed = () =>
      entries().find(({ serverName, status }) => serverName === 'next.example.test' && status === 200);
    await waitFor(async () => passed() !== undefined, { timeoutMs: 5000, what: 'the entry of the passed connection' });
    assert.equal(passed()?.upstream, `127.0.0.1:${backend.port}`);
    assert.ok(Number(passed()?.sent) > 0);
  });

  it('says 502 in the log and closes when the cluster does not answer', async () => {
    const dead = await freePort();
    const text = renderOuterNginx(server(), [{ hosts: ['localhost'], address: '127.0.0.1', port: dead }]);
    await applyOuterConfiguration(ctx(), text, at);
    await assert.rejects(line(dial('localhost')), /closed|disconnected|ECONNRESET/);
    await waitFor(async () => readFileSync(join(at.directory, 'log', 'access.log'), 'utf8').includes('"status":502'), {
      timeoutMs: 5000,
      what: 'the entry',
    });
    await applyOuterConfiguration(ctx(), rendered(), at);
  });

  it('starts with the configuration of the last deployment, and with the placeholder when that is broken', async () => {
    await stopProcess(ctx(), at.name, 5000);
    assert.equal(isRunning(ctx(), at.name), false);
    await startOuterNginx(ctx(), at);
    assert.match(await line(dial('localhost')), /^PROXY /);
    await stopProcess(ctx(), at.name, 5000);
    writeFileSync(join(at.directory, 'nginx.conf'), `${rendered()}\nbroken`);
    await startOuterNginx(ctx(), at);
    assert.equal((await page(at.httpPort, '/healthz', 'localhost')).body.trim(), 'not deployed yet');
  });
});
