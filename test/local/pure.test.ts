import assert from 'node:assert/strict';
import { chooseSource } from '../../local/baseImages/aptSources.ts';
import { rulesOf } from '../../local/docker/firewall.ts';
import { missing } from '../../local/requirements.ts';
import type { Service } from '../../local/service.ts';
import { inOrder, services } from '../../local/services.ts';
import { namedStack, takesConfigurationFile } from '../../scripts/pulumiArguments.ts';

describe('local, pure parts', () => {
  const service = (name: string, ...dependsOn: string[]): Service => ({
    name,
    url: '',
    dependsOn,
    start: async () => undefined,
    stop: async () => undefined,
    health: async () => ({ healthy: true, detail: '' }),
  });

  it('orders services after what they depend on', () => {
    const names = inOrder([service('c', 'b'), service('b', 'a'), service('a')]).map(({ name }) => name);
    assert.deepEqual(names, ['a', 'b', 'c']);
    assert.throws(() => inOrder([service('a', 'b'), service('b', 'a')]), /circle: a → b → a/);
    assert.throws(() => inOrder([service('a', 'x')]), /a depends on x/);
  });

  it('has an order for the real services, with names of their own', () => {
    const names = services().map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    assert.ok(names.includes('postgres') && names.includes('registry'));
  });

  it('deletes the rules of its own bridge only', () => {
    const listing = [
      '-P FORWARD ACCEPT',
      '-A FORWARD -i devops-docker0 -j ACCEPT',
      '-A FORWARD -i devops-docker01 -j ACCEPT',
      '-A FORWARD -o docker0 -j DOCKER',
    ].join('\n');
    assert.deepEqual(rulesOf('devops-docker0', listing), [['-D', 'FORWARD', '-i', 'devops-docker0', '-j', 'ACCEPT']]);
  });

  it('reads the mirror from both formats of apt', () => {
    const deb822 = [
      'Types: deb',
      '# a comment',
      'URIs: http://mirror/debian',
      'Suites: bookworm bookworm-updates',
      'Components: main contrib',
      'Signed-By: /usr/share/keyrings/k.gpg',
      '',
      'Types: deb',
      'URIs: http://mirror/security',
      'Suites: bookworm-security',
      'Components: main',
    ].join('\n');
    const expected = { uri: 'http://mirror/debian', keyring: '/usr/share/keyrings/k.gpg' };
    assert.deepEqual(chooseSource([{ file: 'd.sources', text: deb822 }], 'bookworm'), expected);
    const lines =
      '# deb http://old bookworm main\ndeb [arch=amd64 signed-by=/k.gpg] http://m/ubuntu noble main universe\n';
    assert.deepEqual(chooseSource([{ file: 'sources.list', text: lines }], 'noble'), {
      uri: 'http://m/ubuntu',
      keyring: '/k.gpg',
    });
    assert.equal(chooseSource([{ file: 'sources.list', text: lines }], 'bookworm'), undefined);
  });

  it('finds out what is missing by any of several names', () => {
    const list = [
      { package: 'a', anyOf: ['/does/not/exist', 'sh'], why: '' },
      { package: 'b', anyOf: ['no-such-program-here'], why: '' },
    ];
    assert.deepEqual(
      missing(list, { PATH: '/usr/bin:/bin' }).map((item) => item.package),
      ['b'],
    );
  });

  it('knows the stack of a Pulumi command, and which commands read its configuration', () => {
    assert.equal(namedStack(['up', '--stack', 'dev']), 'dev');
    assert.equal(namedStack(['preview', '-s', 'dev']), 'dev');
    assert.equal(namedStack(['preview', '--stack=dev']), 'dev');
    assert.equal(namedStack(['stack', 'select', 'dev']), 'dev');
    assert.equal(namedStack(['preview', '--diff']), undefined);
    assert.equal(takesConfigurationFile(['--non-interactive', 'up']), true);
    assert.equal(takesConfigurationFile(['up', '--config-file', 'x']), false);
    assert.equal(takesConfigurationFile(['stack', 'export']), false);
  });
});
