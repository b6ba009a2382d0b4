/** What the kubernetes plugin does and says when there is no cluster, or none that answers. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PropertyMap } from '../../../plugins/framework/values.ts';
import { plugin } from '../../../plugins/kubernetes/plugin.ts';
import type { PluginClient } from '../client.ts';
import { connect } from '../client.ts';
import { at, configMap, MAP, rejection } from './support.ts';

describe('kubernetes plugin: without a cluster', () => {
  const inputs = configMap({ a: '1' }, { name: 'a', namespace: 'default' });
  const existing = {
    id: 'default/a',
    inputs,
    state: { ...inputs, __inputs: inputs, __initialApiVersion: 'v1', __fieldManager: 'm' },
  };
  const kubeconfig = (server: string): string =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'gone',
      clusters: [{ name: 'c', cluster: { server } }],
      users: [{ name: 'u', user: { token: 'canary-token' } }],
      contexts: [{ name: 'gone', context: { cluster: 'c', user: 'u', namespace: 'team' } }],
    });

  async function withClient(config: PropertyMap, work: (client: PluginClient) => Promise<void>): Promise<void> {
    const client = await connect(plugin);
    try {
      await client.configure(config);
      await work(client);
    } finally {
      await client.close();
    }
  }

  it('still previews, and says the address and the error when it must act', () =>
    withClient({ kubeconfig: kubeconfig('https://127.0.0.1:1') }, async (client) => {
      const checked = await client.check(MAP, 'a', configMap({ a: '1' }));
      assert.equal(at(checked.inputs, 'metadata', 'namespace'), 'team');
      assert.deepEqual((await client.create(MAP, 'a', checked.inputs, { preview: true })).state, checked.inputs);
      assert.equal((await client.diff(MAP, 'a', existing, inputs)).changes, false);
      const error = await rejection(client.create(MAP, 'a', checked.inputs));
      assert.match(error.message, /unreachable: https:\/\/127\.0\.0\.1:1 did not answer: .*ECONNREFUSED/);
      assert.ok(!error.message.includes('canary-token'));
      const read = await rejection(client.read(MAP, 'a', existing));
      assert.match(read.message, /PULUMI_K8S_DELETE_UNREACHABLE=true/);
      await rejection(client.delete(MAP, 'a', existing));
    }));

  it('forgets the resources of a cluster that is gone only when told to', () =>
    withClient({ kubeconfig: kubeconfig('https://127.0.0.1:1'), deleteUnreachable: true }, async (client) => {
      await client.delete(MAP, 'a', existing);
      assert.equal((await client.read(MAP, 'a', existing)).id, '');
    }));

  it('tells that there is no kubeconfig, a missing file and a wrong context apart', async () => {
    const home = mkdtempSync(join(tmpdir(), 'no-kubeconfig-'));
    const before = { HOME: process.env.HOME, KUBECONFIG: process.env.KUBECONFIG };
    process.env.HOME = home;
    delete process.env.KUBECONFIG;
    const failure = async (config: PropertyMap): Promise<string> => {
      let message = '';
      await withClient(config, async (client) => {
        message = (await rejection(client.create(MAP, 'a', inputs))).message;
      });
      return message;
    };
    try {
      assert.match(await failure({}), /absent: no kubeconfig: .*KUBECONFIG/);
      assert.match(await failure({ kubeconfig: '/nowhere/config' }), /\/nowhere\/config, which does not exist/);
      assert.match(
        await failure({ kubeconfig: kubeconfig('https://127.0.0.1:1'), context: 'other' }),
        /context "other" is not in the kubeconfig \(it has gone\)/,
      );
    } finally {
      rmSync(home, { recursive: true });
      for (const [key, value] of Object.entries(before)) {
        if (value === undefined) delete process.env[key];
        else process.env[key] = value;
      }
    }
  });
});
