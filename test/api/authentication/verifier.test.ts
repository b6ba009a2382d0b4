import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { createAuthenticator } from '../../../api/authentication/authenticatorApp.ts';
import { AuthenticationError } from '../../../api/authentication/errors.ts';
import { callerOf, holds } from '../../../api/authentication/scopes.ts';
import { createVerifier } from '../../../api/authentication/verifier.ts';
import { ServiceError } from '../../../api/errors.ts';
import { createLog } from '../../../api/telemetry/log.ts';
import { startIssuer } from './issuer.ts';

describe('authentication: tokens', () => {
  it('finds the keys by discovery, once for many tokens', async () => {
    const issuer = await startIssuer();
    const verifier = createVerifier({ issuers: [issuer.settings] });
    for (const sub of ['a', 'b', 'c', 'a']) {
      const token = await issuer.token({ sub, scope: 'local:read nonsense local:apply' });
      const { caller } = await verifier.verify(`bearer ${token}`);
      assert.deepEqual(caller, {
        ...{ issuer: issuer.settings.issuer, subject: sub, namespaces: ['apps'] },
        scopes: ['local:apply', 'local:read'],
      });
    }
    assert.deepEqual(issuer.requests, ['/.well-known/openid-configuration', '/keys']);
    await issuer.close();
  });

  it('believes a token no longer than it is valid', async () => {
    const issuer = await startIssuer();
    const verifier = createVerifier({ issuers: [issuer.settings] });
    const exp = Math.floor(Date.now() / 1000) - 4;
    const header = `Bearer ${await issuer.token({ exp })}`;
    // Within the tolerance of clocks, but not kept.
    await verifier.verify(header);
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    await assert.rejects(verifier.verify(header), AuthenticationError);
    await issuer.close();
  });

  it('says unavailable, not "not authenticated", when the issuer cannot be asked', async () => {
    const issuer = await startIssuer();
    const warnings: object[] = [];
    const jwksUri = 'http://127.0.0.1:9/keys';
    const log = { warn: (values: object) => void warnings.push(values) };
    const verifier = createVerifier({ issuers: [{ ...issuer.settings, jwksUri }], log });
    await assert.rejects(
      verifier.verify(`Bearer ${await issuer.token()}`),
      (error: unknown) => error instanceof ServiceError && error.code === 'unavailable',
    );
    assert.match(JSON.stringify(warnings), /ECONNREFUSED/);
    await issuer.close();
  });

  it('refuses tokens of another type, and without a subject', async () => {
    const issuer = await startIssuer();
    const verifier = createVerifier({ issuers: [issuer.settings] });
    await assert.rejects(
      verifier.verify(`Bearer ${await issuer.token({}, { typ: 'logout+jwt' })}`),
      AuthenticationError,
    );
    await assert.rejects(verifier.verify(`Bearer ${await issuer.token({ sub: '' })}`), AuthenticationError);
    await verifier.verify(`Bearer ${await issuer.token({}, { typ: 'at+jwt' })}`);
    await issuer.close();
  });

  it('gives scopes to service accounts by rules', () => {
    const settings = {
      ...{ issuer: 'https://kubernetes.test', audience: 'x' },
      rules: [
        {
          claims: { sub: 'system:serviceaccount:team-*:deployer' },
          ...{ scopes: ['local:apply'], namespaces: ['own'] },
        },
      ],
    };
    const payload = { sub: 'system:serviceaccount:team-a:deployer', 'kubernetes.io': { namespace: 'team-a' } };
    const { scopes, namespaces } = callerOf(payload, settings);
    assert.deepEqual([scopes, namespaces], [['local:apply'], ['team-a']]);
    for (const sub of ['system:serviceaccount:team-a:other', 'xsystem:serviceaccount:team-a:deployer']) {
      assert.deepEqual(callerOf({ ...payload, sub }, settings).scopes, []);
    }
    // Without a scopeClaim a claim gives nothing.
    assert.deepEqual(callerOf({ sub: 'x', scope: 'local:admin' }, settings).scopes, []);
  });

  it('knows that admin holds apply, which holds plan, which holds read, in one environment', () => {
    assert.ok(holds(['a:admin'], 'a:read') && holds(['a:apply'], 'a:plan') && holds(['a:plan'], 'a:read'));
    assert.ok(!holds(['a:read'], 'a:plan') && !holds(['a:admin'], 'b:read') && !holds(['a:apply'], 'a:admin'));
    assert.ok(!holds(['a:admin'], 'other') && holds(['other'], 'other'));
  });
});

describe('authentication: the authenticator', () => {
  it('answers the gateway', async () => {
    const issuer = await startIssuer();
    const verifier = createVerifier({ issuers: [issuer.settings] });
    const server = createAuthenticator(verifier, { log: createLog({ level: 'silent' }) });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const authorization = `Bearer ${await issuer.token({ sub: 'Zoë 1%', scope: 'local:apply' })}`;
    const ask = (headers: Record<string, string>) => fetch(`${address}/verify`, { headers });

    const good = await ask({ authorization, 'x-required-scopes': 'local:read local:plan' });
    assert.equal(good.status, 204);
    assert.equal(good.headers.get('x-auth-subject'), 'Zo%C3%AB%201%25');
    assert.equal(good.headers.get('x-auth-issuer'), issuer.settings.issuer);
    assert.equal(good.headers.get('cache-control'), 'no-store');
    const kept = await ask({ authorization, 'x-keep-seconds': '5' });
    assert.equal(kept.headers.get('cache-control'), 'max-age=5');
    const ending = Math.floor(Date.now() / 1000) + 60;
    const soon = await ask({
      authorization: `Bearer ${await issuer.token({ exp: ending })}`,
      'x-keep-seconds': '1000',
    });
    const [, seconds] = /^max-age=(\d+)$/.exec(soon.headers.get('cache-control') ?? '') ?? [];
    assert.ok(Number(seconds) >= 1 && Number(seconds) < 60, seconds);
    const over = await ask({
      authorization: `Bearer ${await issuer.token({ exp: Math.floor(Date.now() / 1000) - 1 })}`,
      'x-keep-seconds': '5',
    });
    assert.deepEqual([over.status, over.headers.get('cache-control')], [204, 'no-store']);
    const lacking = await ask({ authorization, 'x-required-scopes': 'local:read local:admin' });
    assert.equal(lacking.status, 403);
    assert.match(await lacking.text(), /lacks the scope local:admin/);
    assert.equal(lacking.headers.get('cache-control'), 'no-store');
    const anonymous = await ask({});
    assert.equal(anonymous.status, 401);
    assert.match(anonymous.headers.get('www-authenticate') ?? '', /^Bearer /);
    assert.equal((await fetch(`${address}/healthz`)).status, 200);
    server.close();
    server.closeAllConnections();
    await issuer.close();
  });
});
