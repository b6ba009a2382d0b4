/** A real nginx on loopback with the rendered configuration, and a server behind it that tells what it received. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { execa } from 'execa';
import { nginxConfiguration } from '../../components/gateway/nginx/configuration.ts';
import { clientsFile, usersFile } from '../../components/gateway/nginx/settings.ts';
import type { GatewayRoute } from '../../components/gateway/routes.ts';
import { issue } from '../../local/pki.ts';
import { program } from '../../local/requirements.ts';

/** nginx runs without privileges, as in its pod: as `nobody` where the tests run as root. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export interface Backend {
  readonly port: number;
  readonly server: Server;
  stop(): Promise<void>;
}

/** A server on loopback. @default port a free one */
export async function backend(listener: RequestListener, port = 0): Promise<Backend> {
  const server = createServer(listener).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    server,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What the server behind received, as `echo` answers it. */
export interface Echo {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { method, url, headers } = request;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }));
  });
};

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Ask extends RequestOptions {
  readonly body?: string | Buffer;
}

/** A folder with certificates, and nginx when it is started. */
export class TestGateway {
  readonly folder = mkdtempSync(join(tmpdir(), 'devops-gateway-'));
  readonly ports = { tls: 0, proxyProtocol: 0, health: 0 };
  /** Content of the file with the pools. @default the configuration has them itself */
  pools: string | undefined;
  private child: ChildProcess | undefined;
  stderr = '';

  /** @param names host names in the server's certificate */
  async prepare(names: readonly string[]): Promise<void> {
    const ctx = { directory: this.folder };
    const server = await issue(ctx, { name: 'server', commonName: 'gateway', sans: [...names], usages: ['server'] });
    copyFileSync(server.certFile, join(this.folder, 'tls', 'tls.crt'));
    copyFileSync(server.keyFile, join(this.folder, 'tls', 'tls.key'));
    for (const name of ['users', 'authorities', 'temporary']) mkdirSync(join(this.folder, name));
    chmodSync(this.folder, 0o755);
    if (NOBODY.uid !== undefined) {
      for (const path of ['temporary', 'tls/tls.key']) chownSync(join(this.folder, path), NOBODY.uid, NOBODY.gid);
    }
    this.ports.tls = await freePort();
    this.ports.proxyProtocol = await freePort();
    this.ports.health = await freePort();
  }

  get authority(): string {
    return readFileSync(join(this.folder, 'tls', 'ca.crt'), 'utf8');
  }

  /** Writes the configuration and the files that it names. */
  configure(routes: readonly GatewayRoute[], authenticator?: string, trustedProxies: readonly string[] = []): string {
    for (const { name, authentication } of routes) {
      if (authentication.type === 'basic')
        writeFileSync(join(this.folder, 'users', usersFile(name)), String(authentication.users));
      if (authentication.type === 'mutualTls')
        writeFileSync(join(this.folder, 'authorities', clientsFile(name)), String(authentication.certificateAuthority));
    }
    const file = join(this.folder, 'nginx.conf');
    const poolsFile = this.pools === undefined ? undefined : join(this.folder, 'pools.conf');
    if (poolsFile !== undefined) writeFileSync(poolsFile, this.pools ?? '');
    const text = nginxConfiguration({
      routes,
      poolsFile,
      listen: {
        tls: `127.0.0.1:${this.ports.tls}`,
        proxyProtocol: `127.0.0.1:${this.ports.proxyProtocol}`,
        health: `127.0.0.1:${this.ports.health}`,
      },
      temporaryFolder: join(this.folder, 'temporary'),
      verifiedFolder: join(this.folder, 'temporary', 'verified'),
      tlsFolder: join(this.folder, 'tls'),
      usersFolder: join(this.folder, 'users'),
      authoritiesFolder: join(this.folder, 'authorities'),
      clusterAuthorityFile: join(this.folder, 'tls', 'ca.crt'),
      authenticator,
      trustedProxies,
      workers: 1,
      shutdownSeconds: 5,
      accessLog: this.accessLogFile,
      address: () => '127.0.0.1',
    });
    writeFileSync(file, text);
    return text;
  }

  /** nginx's own judgement. */
  async check(): Promise<{ readonly valid: boolean; readonly output: string }> {
    const result = await execa(program('nginx'), ['-e', 'stderr', '-t', '-c', join(this.folder, 'nginx.conf')], {
      reject: false,
      ...NOBODY,
    });
    return { valid: result.exitCode === 0, output: result.stderr };
  }

  async start(): Promise<void> {
    const child = spawn(program('nginx'), ['-e', 'stderr', '-c', join(this.folder, 'nginx.conf')], {
      stdio: ['ignore', 'ignore', 'pipe'],
      ...NOBODY,
    });
    this.child = child;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    for (let i = 0; i < 100; i++) {
      if (child.exitCode !== null) throw new Error(`nginx ended: ${this.stderr}`);
      if (
        await fetch(`http://127.0.0.1:${this.ports.health}/healthz`).then(
          ({ ok }) => ok,
          () => false,
        )
      )
        return;
      await sleep(50);
    }
    throw new Error(`nginx does not answer: ${this.stderr}`);
  }

  async stop(): Promise<void> {
    if (this.child && this.child.exitCode === null) {
      this.child.kill('SIGTERM');
      await once(this.child, 'exit');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A request on a connection of its own. */
  async ask(host: string, path: string, { body, headers, ...options }: Ask = {}): Promise<Answer> {
    return await new Promise((resolve, reject) => {
      const request = httpsRequest({
        host: '127.0.0.1',
        port: this.ports.tls,
        servername: host,
        ca: this.authority,
        agent: false,
        path,
        headers: { host, ...(headers as Record<string, string>) },
        ...options,
      });
      request.once('error', reject);
      request.once('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          });
        });
      });
      request.end(body);
    });
  }

  /** TLS behind a line of the PROXY protocol. */
  async proxied(line: string, host: string): Promise<TLSSocket> {
    const socket: Socket = connect(this.ports.proxyProtocol, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(line);
    const tls = connectTls({ socket, servername: host, ca: this.authority });
    await once(tls, 'secureConnect');
    return tls;
  }

  /** The access log's lines, each of which must be JSON; waits for the one that is looked for. */
  async logged(wanted: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    for (let i = 0; i < 40; i++) {
      const lines = readFileSync(this.accessLogFile, 'utf8')
        .split('\n')
        .filter((line) => line !== '');
      const found = lines.map((line) => JSON.parse(line) as Record<string, unknown>).find(wanted);
      if (found) return found;
      await sleep(50);
    }
    throw new Error('there is no such line in the access log');
  }

  private get accessLogFile(): string {
    return join(this.folder, 'temporary', 'access.log');
  }

  get accessLog(): string {
    return readFileSync(this.accessLogFile, 'utf8');
  }
}
