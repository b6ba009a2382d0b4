import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type KeyService, startKeyService } from '../../../api/engine/keyService.ts';

describe('the key service of the engines', () => {
  const services: KeyService[] = [];
  const start = async (passphrase: string) => {
    const service = await startKeyService(passphrase);
    services.push(service);
    return service;
  };
  after(() => {
    for (const service of services) service.close();
  });

  const ask = async (service: KeyService, path: string, body: string, headers: Record<string, string> = {}) => {
    const { VAULT_SERVER_URL, VAULT_SERVER_TOKEN } = service.environment;
    const response = await fetch(`${VAULT_SERVER_URL}/v1/${path}`, {
      method: 'PUT',
      headers: { 'x-vault-token': VAULT_SERVER_TOKEN, ...headers },
      body,
    });
    const answer = (await response.json()) as { data?: Record<string, string>; errors?: string[] };
    return { status: response.status, ...answer };
  };
  const encrypt = async (service: KeyService, key: Buffer) => {
    const body = JSON.stringify({ plaintext: key.toString('base64') });
    return (await ask(service, 'transit/encrypt/operations', body)).data?.ciphertext ?? '';
  };
  const decrypt = (service: KeyService, ciphertext: unknown) =>
    ask(service, 'transit/decrypt/operations', JSON.stringify({ ciphertext }));

  it('gives back what it has encrypted, also after a restart with the same passphrase', async () => {
    const key = randomBytes(32);
    const first = await start('one');
    const texts = [await encrypt(first, key), await encrypt(first, key)];
    assert.notEqual(texts[0], texts[1], 'the same text for the same key');
    for (const service of [first, await start('one')]) {
      for (const text of texts) {
        assert.match(text, /^vault:v1:/);
        assert.equal((await decrypt(service, text)).data?.plaintext, key.toString('base64'));
      }
    }
  });

  it('gives nothing for another passphrase, a changed text, or no text', async () => {
    const service = await start('one');
    const text = await encrypt(service, randomBytes(32));
    const bytes = Buffer.from(text.slice('vault:v1:'.length), 'base64');
    const wrong = [...bytes.keys()].map((index) => {
      const changed = Buffer.from(bytes);
      changed.writeUInt8((changed.readUInt8(index) ^ 1) & 0xff, index);
      return `vault:v1:${changed.toString('base64')}`;
    });
    // One byte of each part; a changed salt costs a derivation.
    for (const bad of [wrong[0], wrong[20], wrong[30], wrong.at(-1), '', 'vault:v1:', text.slice(9), null, 7]) {
      const { status, data, errors } = await decrypt(service, bad);
      assert.equal(status, 400, String(bad));
      assert.equal(data, undefined);
      assert.match(errors?.[0] ?? '', /passphrase/);
    }
    const { status, errors } = await decrypt(await start('another'), text);
    assert.equal(status, 400);
    assert.match(errors?.[0] ?? '', /is not the one that has encrypted it/);
  });

  it('asks for its token, knows two requests, and takes no long ones', async () => {
    const service = await start('one');
    const other = await start('one');
    const path = 'transit/encrypt/operations';
    const body = JSON.stringify({ plaintext: '' });
    const statuses = [
      await ask(service, path, body, { 'x-vault-token': '' }),
      await ask(service, path, body, { 'x-vault-token': other.environment.VAULT_SERVER_TOKEN }),
      await ask(service, 'transit/encrypt/other', body),
      await ask(service, 'sys/seal', body),
      await ask(service, path, 'no JSON'),
      await ask(service, path, ' '.repeat(5000)),
    ].map(({ status }) => status);
    assert.deepEqual(statuses, [403, 403, 404, 404, 400, 413]);
    assert.equal(new URL(service.environment.VAULT_SERVER_URL).hostname, '127.0.0.1');
  });
});
