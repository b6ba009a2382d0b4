import assert from 'node:assert/strict';
import * as pulumi from '@pulumi/pulumi';
import * as fc from 'fast-check';
import { keyedDigestOf, stableJson } from '../../components/kubernetes/fingerprint.ts';
import { ApplicationSecrets } from '../../components/secrets/applicationSecrets.ts';
import { holds } from '../holds.ts';
import { findingsOf, record, resolved, UNKNOWN } from './mocks.ts';

describe('ApplicationSecrets', () => {
  it('puts given and generated values into one Secret', async () => {
    const recording = await record();
    const values = { TOKEN: pulumi.secret('canary'), KEY: { generate: 48 } };
    const { secret } = new ApplicationSecrets('orders-secrets', { namespace: 'dev', values, labels: { a: 'b' } });
    const registered = await recording.find('orders-secrets-secret');
    assert.equal(registered.type, 'kubernetes:core/v1:Secret');
    assert.deepEqual(registered.inputs.metadata, { name: 'orders-secrets', namespace: 'dev', labels: { a: 'b' } });
    const data = (registered.inputs.data as { secret: Record<string, string> }).secret;
    assert.deepEqual(Object.keys(data), ['KEY', 'TOKEN']);
    assert.equal(Buffer.from(data.TOKEN ?? '', 'base64').toString(), 'canary');
    assert.equal(Buffer.from(data.KEY ?? '', 'base64').toString(), 'p'.repeat(48));
    const generated = await recording.find('orders-secrets-KEY');
    assert.deepEqual(generated.inputs, { length: 48, special: false });
    assert.deepEqual(await resolved(secret.name), { value: 'orders-secrets', secret: false });
  });

  it('has a checksum that is plain, follows the values and does not hold them', async () => {
    const checksum = async (token: string) => {
      await record();
      const values = { TOKEN: pulumi.secret(token) };
      return resolved(new ApplicationSecrets('s', { namespace: 'dev', values }).secret.checksum);
    };
    const first = await checksum('canary');
    assert.match(String(first.value), /^[0-9a-f]{16}$/);
    assert.equal(first.secret, false);
    assert.deepEqual(await checksum('canary'), first);
    assert.notEqual((await checksum('other')).value, first.value);
  });

  it('does not know the checksum before the key is generated', async () => {
    await record({ preview: true });
    const { secret } = new ApplicationSecrets('s', { namespace: 'dev', values: { TOKEN: 'x' } });
    assert.equal((await resolved(secret.checksum)).value, UNKNOWN);
  });

  it('names every invalid argument at once, without values', async () => {
    await record();
    const values = { '1BAD': 'canary', EMPTY: '', SHORT: { generate: 8 } };
    const found = findingsOf(() => new ApplicationSecrets('S', { namespace: 'dev', values }));
    assert.deepEqual(
      found.map((line) => line.split(': ')[0]),
      ['secretName', 'values.1BAD', 'values.EMPTY', 'values.SHORT.generate'],
    );
    assert.ok(!found.join().includes('canary'));
    assert.match(findingsOf(() => new ApplicationSecrets('s', { namespace: 'n', values: {} }))[0] ?? '', /is empty/);
  });
});

describe('fingerprints', () => {
  it('do not depend on the order of keys', () => {
    holds(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (record) => {
        const backwards = Object.fromEntries(Object.entries(record).reverse());
        assert.equal(stableJson(record), stableJson(backwards));
      }),
    );
  });

  it('are empty without a key, never a digest that could be tested', () => {
    assert.equal(keyedDigestOf(undefined, { A: 'a' }), '');
  });

  it('differ with the key', () => {
    holds(
      fc.property(fc.string(), fc.string(), (one, other) => {
        fc.pre(one !== other);
        assert.notEqual(keyedDigestOf(one, { A: 'a' }), keyedDigestOf(other, { A: 'a' }));
      }),
    );
  });
});
