import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { isVerifier, md5Verifier, saslPrep, scramVerifier } from '../../../plugins/postgresql/scram.ts';

describe('postgresql: password verifiers', () => {
  it('are those of RFC 7677 (its example: user, pencil)', async () => {
    const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
    const verifier = await scramVerifier('pencil', salt, 4096);
    const [, stored, server] = /\$([^$:]+):([^$:]+)$/.exec(verifier) ?? [];
    const first = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
    const message = `n=user,r=rOprNGfwEbeRWgbNEkqO,${first},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,${first}`;
    const sign = (key: string | undefined) =>
      createHmac('sha256', Buffer.from(key ?? '', 'base64'))
        .update(message)
        .digest();
    // v= of the server's last message.
    assert.equal(sign(server).toString('base64'), '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
    // p= of the client's last message: the proof gives the client's key, whose hash is the stored one.
    const proof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64');
    const clientKey = sign(stored).map((byte, index) => byte ^ (proof[index] ?? 0));
    assert.equal(createHash('sha256').update(clientKey).digest('base64'), stored);
  });

  it('have a salt of their own each time', async () => {
    assert.notEqual(await scramVerifier('a'), await scramVerifier('a'));
    assert.ok(isVerifier(await scramVerifier('a')));
    assert.ok(isVerifier(md5Verifier('a', 'b')));
    assert.ok(!isVerifier('SCRAM-SHA-256 is not my password'));
    assert.equal(md5Verifier('secret', 'role'), 'md5c73f3ee71d73bd55c2c77c3185b0ed1d');
  });

  it('prepare passwords as RFC 4013 says, and leave alone what it refuses', () => {
    // RFC 4013 section 3.
    assert.equal(saslPrep('I\u00adX'), 'IX');
    assert.equal(saslPrep('user'), 'user');
    assert.equal(saslPrep('\u00aa'), 'a');
    assert.equal(saslPrep('\u2168'), 'IX');
    assert.equal(saslPrep('a\u00a0b'), 'a b');
    assert.equal(saslPrep('\u00e4\u0007'), '\u00e4\u0007');
    assert.equal(saslPrep('\u06271'), '\u06271');
  });
});
