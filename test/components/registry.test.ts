import assert from 'node:assert/strict';
import * as pulumi from '@pulumi/pulumi';
import * as fc from 'fast-check';
import { encodeDockerConfiguration, RegistrySecret } from '../../components/registry/registrySecret.ts';
import { holds } from '../holds.ts';
import { findingsOf, record, resolved } from './mocks.ts';

const hub = { server: 'docker.io', username: 'hub', password: pulumi.secret('hub-canary') };
const own = { server: 'registry.example.com:5000', username: 'ci', password: pulumi.secret('own-canary') };

describe('RegistrySecret', () => {
  it('holds every registry in one Secret whose only secret is its value', async () => {
    const recording = await record();
    const secret = new RegistrySecret('pull', { namespace: 'dev', registries: [own, hub] });
    const { type, inputs, parent } = await recording.find('pull-secret');
    assert.equal(type, 'kubernetes:core/v1:Secret');
    assert.equal(parent, 'pull');
    assert.deepEqual(inputs.metadata, { name: 'pull', namespace: 'dev' });
    assert.equal(inputs.type, 'kubernetes.io/dockerconfigjson');
    const data = (inputs.data as { secret: Record<string, string> }).secret;
    const text = Buffer.from(data['.dockerconfigjson'] ?? '', 'base64').toString();
    assert.deepEqual(JSON.parse(text), {
      auths: {
        'https://index.docker.io/v1/': { username: 'hub', password: 'hub-canary', auth: btoa('hub:hub-canary') },
        'registry.example.com:5000': { username: 'ci', password: 'own-canary', auth: btoa('ci:own-canary') },
      },
    });
    assert.deepEqual(await resolved(secret.secretName), { value: 'pull', secret: false });
  });

  it('is the same whatever the order of the registries', () => {
    const entry = fc.tuple(fc.domain(), fc.stringMatching(/^[a-z]+$/), fc.string());
    holds(
      fc.property(fc.uniqueArray(entry, { selector: ([server]) => server }), (registries) => {
        const backwards = [...registries].reverse();
        assert.equal(encodeDockerConfiguration(registries), encodeDockerConfiguration(backwards));
      }),
    );
  });

  it('refuses a user name that basic authentication cannot carry, without showing the password', () => {
    assert.throws(
      () => encodeDockerConfiguration([['r.io', 'a:b', 'canary']]),
      (error: Error) => /r\.io contains ":"/.test(error.message) && !error.message.includes('canary'),
    );
  });

  it('names every invalid argument at once', async () => {
    await record();
    const registries = [own, own, { ...hub, server: 'https://docker.io' }];
    const found = findingsOf(() => new RegistrySecret('Pull', { namespace: 'dev', registries }));
    assert.deepEqual(
      found.map((line) => line.split(': ')[0]),
      ['secretName', 'registries[1].server', 'registries[2].server'],
    );
    assert.match(
      findingsOf(() => new RegistrySecret('pull', { namespace: 'dev', registries: [] }))[0] ?? '',
      /is empty/,
    );
  });
});
