import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { type RequestOptions, request, type Server } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalJWKSet, errors, type JSONWebKeySet, jwtVerify } from 'jose';
import { certificateRequest } from '../../local/issuer/certificate.ts';
import { AUDIENCE, CONSOLE_ORIGIN, RESOURCE, SCOPES } from '../../local/issuer/facts.ts';
import { signingKey } from '../../local/issuer/keys.ts';
import { startIssuer } from '../../local/issuer/server.ts';
import { requestToken } from '../../local/issuer/token.ts';
import { issue } from '../../local/pki.ts';
import { secret } from '../../local/secrets.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

describe('the local issuer', () => {
  let ctx: { directory: string };
  let server: Server;
  let url: string;
  let port: number;

  const start = async () => {
    server = await startIssuer({
      host: '127.0.0.1',
      port,
      certificate: await issue(ctx, certificateRequest()),
      secrets: {
        signingKey: signingKey(ctx),
        cookieKey: secret(ctx, 'issuer-cookie-key'),
        client: (name) => secret(ctx, `issuer-client-${name}`),
      },
    });
  };
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };

  before(async () => {
    ctx = { directory: join(mkdtempSync(join(tmpdir(), 'issuer-')), '.local') };
    mkdirSync(ctx.directory);
    port = await freePort();
    url = `https://127.0.0.1:${port}`;
    await start();
  });
  after(async () => {
    await stop();
    rmSync(join(ctx.directory, '..'), { recursive: true, force: true });
  });

  const send = async (path: string, options: RequestOptions = {}, body?: string): Promise<Answer> =>
    await new Promise((resolve, reject) => {
      const ca = readFileSync(join(ctx.directory, 'tls', 'ca.crt'));
      const sent = request(new URL(path, url), { ...options, ca, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      });
      sent.on('error', reject);
      sent.end(body);
    });
  const form = (path: string, values: Record<string, string>, headers: Record<string, string> = {}) =>
    send(
      path,
      { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } },
      new URLSearchParams(values).toString(),
    );
  const discovery = async () =>
    JSON.parse((await send('/.well-known/openid-configuration')).body) as Record<string, string>;
  const keys = async () =>
    createLocalJWKSet(
      JSON.parse((await send(new URL((await discovery()).jwks_uri ?? '').pathname)).body) as JSONWebKeySet,
    );
  const verify = async (token: string, audience = AUDIENCE) =>
    await jwtVerify(token, await keys(), { issuer: url, audience, typ: 'at+jwt' });

  it('gives a developer a token with all scopes, which verifies', async () => {
    const { payload } = await verify(await requestToken(ctx, { issuer: url }));
    assert.equal(payload.sub, 'developer');
    assert.equal(payload.scope, SCOPES.join(' '));
    assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 3600);
  });

  it('gives only what is asked for, and only what the client may have', async () => {
    const { payload } = await verify(await requestToken(ctx, { issuer: url, scope: 'local:read' }));
    assert.equal(payload.scope, 'local:read');
    assert.equal(
      (await verify(await requestToken(ctx, { issuer: url, client: 'planner' }))).payload.scope,
      'local:read local:plan',
    );
    await assert.rejects(
      requestToken(ctx, { issuer: url, client: 'reader', scope: 'local:apply' }),
      /requested scope is not allowed; .* local:read$/,
    );
    const wrong = await form('/token', {
      grant_type: 'client_credentials',
      client_id: 'developer',
      client_secret: 'guess',
    });
    assert.equal(wrong.status, 401);
  });

  it('has clients for what must be refused: another audience, an expired token', async () => {
    const foreign = await requestToken(ctx, { issuer: url, client: 'foreign' });
    await assert.rejects(verify(foreign), errors.JWTClaimValidationFailed);
    await verify(foreign, 'another-service');
    const brief = await requestToken(ctx, { issuer: url, client: 'brief' });
    await sleep(1500);
    await assert.rejects(verify(brief), errors.JWTExpired);
  });

  it('shows no private key, and keeps secrets from other users', async () => {
    const { body } = await send('/jwks');
    const [key] = (JSON.parse(body) as { keys: Record<string, unknown>[] }).keys;
    assert.deepEqual(Object.keys(key ?? {}).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use']);
    for (const name of ['issuer-signing-key', 'issuer-client-developer', 'issuer-cookie-key']) {
      assert.equal(statSync(join(ctx.directory, 'secrets', name)).mode & 0o777, 0o600, name);
    }
  });

  it('signs with the same key after a restart', async () => {
    const token = await requestToken(ctx, { issuer: url });
    await stop();
    await start();
    await verify(token);
  });

  it('logs a person in to the console: authorization code with PKCE, from its origin only', async () => {
    const verifier = randomBytes(32).toString('base64url');
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    const cookies = new Map<string, string>();
    const walk = async (path: string, post = false): Promise<Answer> => {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const answer = post ? await form(path, {}, { cookie }) : await send(path, { headers: { cookie } });
      for (const line of (answer.headers['set-cookie'] as string[] | undefined) ?? []) {
        const [name = '', value = ''] = (line.split(';')[0] ?? '').split(/=(.*)/s);
        cookies.set(name, value);
      }
      return answer;
    };
    const path = (answer: Answer) => {
      const target = new URL(String(answer.headers.location), url);
      return target.origin === url ? target.pathname + target.search : target.href;
    };
    const query = new URLSearchParams({
      client_id: 'console',
      response_type: 'code',
      redirect_uri: `${CONSOLE_ORIGIN}/`,
      scope: `openid ${SCOPES.join(' ')}`,
      code_challenge: challenge,
      code_challenge_method: 'S256',
      state: 'the-state',
    });
    const login = path(await walk(`/auth?${query}`));
    const page = await walk(login);
    assert.match(page.body, /for the local environment only/);
    let answer = await walk(login, true);
    for (let steps = 0; steps < 5 && path(answer).startsWith('/'); steps += 1) answer = await walk(path(answer));
    const back = new URL(path(answer));
    assert.equal(back.origin + back.pathname, `${CONSOLE_ORIGIN}/`);
    assert.equal(back.searchParams.get('state'), 'the-state');
    const values = {
      grant_type: 'authorization_code',
      client_id: 'console',
      redirect_uri: `${CONSOLE_ORIGIN}/`,
      code: back.searchParams.get('code') ?? '',
    };
    const given = await form('/token', { ...values, code_verifier: verifier }, { origin: CONSOLE_ORIGIN });
    assert.equal(given.status, 200, given.body);
    assert.equal(given.headers['access-control-allow-origin'], CONSOLE_ORIGIN);
    const { access_token } = JSON.parse(given.body) as { access_token: string };
    const { payload } = await verify(access_token);
    assert.deepEqual([payload.sub, payload.client_id, payload.scope], ['developer', 'console', SCOPES.join(' ')]);
    const again = await form('/token', { ...values, code_verifier: verifier }, { origin: CONSOLE_ORIGIN });
    assert.equal(again.status, 400, 'a code is good once');
    const strange = await form(
      '/token',
      { ...values, code_verifier: verifier },
      { origin: 'https://evil.example.test' },
    );
    assert.notEqual(strange.headers['access-control-allow-origin'], 'https://evil.example.test');
  });

  it('asks for PKCE, and redirects nowhere else', async () => {
    const query = { client_id: 'console', response_type: 'code', scope: 'openid', redirect_uri: `${CONSOLE_ORIGIN}/` };
    const plain = await send(`/auth?${new URLSearchParams(query)}`);
    assert.match(String(plain.headers.location), /error=invalid_request/);
    const elsewhere = await send(
      `/auth?${new URLSearchParams({ ...query, redirect_uri: 'https://evil.example.test/' })}`,
    );
    assert.deepEqual([elsewhere.status, elsewhere.headers.location], [400, undefined]);
    assert.match(elsewhere.body, /redirect_uri/);
  });

  it('knows no other resource', async () => {
    const credentials = { client_id: 'developer', client_secret: secret(ctx, 'issuer-client-developer') };
    const body = { grant_type: 'client_credentials', scope: 'local:read', ...credentials };
    assert.equal((await form('/token', { ...body, resource: RESOURCE })).status, 200);
    const other = await form('/token', { ...body, resource: 'urn:other' });
    assert.deepEqual([other.status, JSON.parse(other.body).error], [400, 'invalid_target']);
  });
});
