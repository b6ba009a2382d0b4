/** An authorization server for docker-registry's token authentication, for tests. */

import { execFileSync } from 'node:child_process';
import { createSign, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

export interface TokenServer {
  /** Goes into the registry's configuration as `auth`. */
  readonly auth: Readonly<Record<string, unknown>>;
  /** The scopes that were asked for, in order. */
  readonly scopes: readonly string[];
  close(): Promise<void>;
}

const SERVICE = 'test-registry';
const ISSUER = 'test-issuer';

/** Starts the server. `directory` takes its key and certificate. Needs the openssl command. */
export async function startTokenServer(directory: string, username: string, password: string): Promise<TokenServer> {
  const [key, certificate] = [join(directory, 'token.key'), join(directory, 'token.crt')];
  const subject = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=test'];
  execFileSync('openssl', ['req', ...subject, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  const pem = readFileSync(certificate, 'utf8');
  const x5c = [pem.replace(/-----[A-Z ]+-----|\s/g, '')];
  const privateKey = readFileSync(key, 'utf8');
  const expected = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  const scopes: string[] = [];

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const scope = url.searchParams.get('scope') ?? '';
    scopes.push(scope);
    if (request.headers.authorization !== expected) {
      response.writeHead(401).end('{}');
      return;
    }
    const [type, name, actions = ''] = scope.split(':');
    const now = Math.floor(Date.now() / 1000);
    const times = { exp: now + 300, nbf: now - 10, iat: now };
    const access = [{ type, name, actions: actions.split(',') }];
    const claims = { iss: ISSUER, sub: username, aud: SERVICE, ...times, jti: randomBytes(8).toString('hex'), access };
    const body = [{ typ: 'JWT', alg: 'RS256', x5c }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const signature = createSign('RSA-SHA256').update(body).sign(privateKey).toString('base64url');
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ token: `${body}.${signature}` }));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  const realm = `http://127.0.0.1:${address.port}/token`;
  return {
    auth: { token: { realm, service: SERVICE, issuer: ISSUER, rootcertbundle: certificate } },
    scopes,
    close: () => new Promise((done) => server.close(() => done())),
  };
}
