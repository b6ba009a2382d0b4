import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { issue } from '../../local/pki.ts';

describe('local/pki', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'pki-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const request = {
    name: 'server',
    commonName: 'system:node:local',
    organization: 'system:nodes',
    sans: ['localhost', '127.0.0.1'],
    usages: ['server', 'client'],
  } as const;

  it('issues a certificate that a TLS client verifies against the authority', async () => {
    const files = await issue({ directory }, request);
    const server = createServer({ cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const address = server.address();
      assert.ok(address !== null && typeof address === 'object');
      const peer = await new Promise<{ CN: string; O: string }>((resolve, reject) => {
        const socket = connect({ port: address.port, host: '127.0.0.1', ca: readFileSync(files.caFile) }, () => {
          resolve(socket.getPeerCertificate().subject as unknown as { CN: string; O: string });
          socket.destroy();
        });
        socket.on('error', reject);
      });
      assert.deepEqual({ ...peer }, { O: 'system:nodes', CN: 'system:node:local' });
    } finally {
      server.close();
    }
  });

  it('makes one authority for all who ask at once for the first time', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const ask = async (name: string, turns: number) => {
      // Each begins while the first is under way.
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      return await issue({ directory }, { ...request, name });
    };
    const all = await Promise.all(names.map((name, turns) => ask(name, turns)));
    const authority = new X509Certificate(readFileSync(join(directory, 'tls', 'ca.crt')));
    for (const { certFile } of all) {
      assert.ok(new X509Certificate(readFileSync(certFile)).verify(authority.publicKey), certFile);
    }
  });

  it('keeps the private key from other users', async () => {
    const files = await issue({ directory }, request);
    assert.equal(statSync(files.keyFile).mode & 0o777, 0o600);
    assert.equal(statSync(join(directory, 'tls', 'ca.key')).mode & 0o777, 0o600);
  });

  it('uses the certificate on disk again while it says the same, and makes a new one when it does not', async () => {
    const serial = (path: string) => new X509Certificate(readFileSync(path)).serialNumber;
    const first = serial((await issue({ directory }, request)).certFile);
    assert.equal(serial((await issue({ directory }, request)).certFile), first);
    const other = await issue({ directory }, { ...request, sans: ['localhost', '127.0.0.2'] });
    assert.notEqual(serial(other.certFile), first);
  });

  it('issues anew when fewer than 30 days are left, and when the authority was replaced', async () => {
    const serial = (path: string) => new X509Certificate(readFileSync(path)).serialNumber;
    const short = serial((await issue({ directory }, { ...request, days: 20 })).certFile);
    const renewed = serial((await issue({ directory }, request)).certFile);
    assert.notEqual(renewed, short);
    rmSync(join(directory, 'tls', 'ca.crt'));
    assert.notEqual(serial((await issue({ directory }, request)).certFile), renewed);
  });
});
