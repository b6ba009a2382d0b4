import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { MemoryAdapter } from '../../local/issuer/adapter.ts';
import { isLocal } from '../../local/issuer/login.ts';
import { renderPlaceholder } from '../../local/outerNginx/placeholder.ts';
import { holds } from '../holds.ts';

describe('local/issuer', () => {
  it('lets nobody but this machine log in', () => {
    const own = '172.31.240.1';
    for (const address of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1', own])
      assert.ok(isLocal(address, own), address);
    for (const address of [undefined, '10.244.0.7', '172.31.240.2', '::ffff:10.244.0.7', 'fd00::1', '128.0.0.1']) {
      assert.equal(isLocal(address, own), false, address);
    }
    const loopback = /^127\./;
    holds(
      fc.property(
        fc.ipV4().filter((ip) => ip !== own && !loopback.test(ip)),
        (ip) => !isLocal(ip, own),
      ),
    );
  });

  it('forgets what has expired, is destroyed, or belongs to a revoked grant', async () => {
    const codes = new MemoryAdapter('AuthorizationCode');
    const sessions = new MemoryAdapter('Session');
    await codes.upsert('a', { grantId: 'g' }, 60);
    await codes.upsert('b', { grantId: 'h' }, -1);
    await sessions.upsert('a', { uid: 'u' }, 60);
    assert.deepEqual(await codes.find('a'), { grantId: 'g' });
    assert.equal(await codes.find('b'), undefined);
    assert.deepEqual(await sessions.findByUid('u'), { uid: 'u' });
    assert.equal(await codes.findByUid('u'), undefined);
    await codes.consume('a');
    assert.equal(typeof (await codes.find('a'))?.consumed, 'number');
    await codes.revokeByGrantId('g');
    assert.equal(await codes.find('a'), undefined);
    await sessions.destroy('a');
    assert.equal(await sessions.find('a'), undefined);
  });
});

describe('local/outerNginx', () => {
  it('listens where it is told, before anything is deployed', () => {
    const text = renderPlaceholder({ listenAddress: '127.0.0.1', httpsPort: 18443, httpPort: 18080 });
    assert.deepEqual(
      text.match(/^ +listen .*$/gm)?.map((line) => line.trim()),
      ['listen 127.0.0.1:18080;', 'listen 127.0.0.1:18443 ssl;'],
    );
  });
});
