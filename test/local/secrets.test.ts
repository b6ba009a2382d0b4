import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postgres } from '../../local/postgres.ts';
import { secret, secretPath } from '../../local/secrets.ts';
import type { Context } from '../../local/service.ts';

describe('local/secrets', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'secrets-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('makes a secret once, for its owner only', () => {
    const value = secret({ directory }, 'postgres-password');
    assert.match(value, /^[\w-]{32}$/);
    assert.equal(secret({ directory }, 'postgres-password'), value);
    assert.notEqual(secret({ directory }, 'registry-password'), value);
    assert.equal(statSync(secretPath({ directory }, 'postgres-password')).mode & 0o777, 0o600);
    assert.equal(statSync(join(directory, 'secrets')).mode & 0o777, 0o700);
  });

  for (const [name, file] of [
    ['postgres-password', 'data/postgres/initialised'],
    ['pulumi-passphrase', 'config/encryption-salt'],
  ] as const) {
    it(`makes no other ${name} when it was lost and something needs it`, async () => {
      mkdirSync(join(directory, file, '..'), { recursive: true });
      writeFileSync(join(directory, file), '');
      assert.throws(
        () => secret({ directory }, name),
        /is gone, and .* put it back, or .*npm run clean && npm run up$/,
      );
      // Still no other one.
      assert.throws(() => secret({ directory }, name), /is gone/);
      // Health is a result, never an error.
      if (name === 'pulumi-passphrase') return;
      mkdirSync(join(directory, 'tls'));
      writeFileSync(join(directory, 'tls', 'ca.crt'), '');
      const { healthy, detail } = await postgres.health({ directory } as Context);
      assert.equal(healthy, false);
      assert.match(detail, /postgres-password is gone/);
    });
  }
});
