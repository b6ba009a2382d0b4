/** Every request of the kubernetes plugin, over the wire, against a real API server. */

import assert from 'node:assert/strict';
import type { PropertyMap, PropertyValue } from '../../../plugins/framework/values.ts';
import { isUnknown, Secret, UNKNOWN, unwrapMap } from '../../../plugins/framework/values.ts';
import { isNotFound } from '../../../plugins/kubernetes/errors.ts';
import { getList } from '../../../plugins/kubernetes/object.ts';
import { plugin } from '../../../plugins/kubernetes/plugin.ts';
import type { PluginClient } from '../client.ts';
import { connect } from '../client.ts';
import type { ApiServer } from './apiserver.ts';
import { editByHand, eventually, startApiServer } from './apiserver.ts';
import { at, configMap, deployment, MAP, openText, rejection } from './support.ts';

const SECRET = 'kubernetes:core/v1:Secret';
const DEPLOYMENT = 'kubernetes:apps/v1:Deployment';
const NAMESPACE = 'kubernetes:core/v1:Namespace';
const GVK = {
  map: { group: '', version: 'v1', kind: 'ConfigMap' },
  deployment: { group: 'apps', version: 'v1', kind: 'Deployment' },
  namespace: { group: '', version: 'v1', kind: 'Namespace' },
};

describe('kubernetes plugin: resources', function () {
  this.timeout(60_000);
  let server: ApiServer;
  let client: PluginClient;

  before(async () => {
    server = await startApiServer();
    client = await connect(plugin);
    await client.configure({ kubeconfig: server.kubeconfig });
    await eventually(
      async () =>
        (await server.cluster.list(GVK.namespace, '', {})).some((item) => at(item, 'metadata', 'name') === 'default'),
      'namespace default',
    );
  });
  after(async () => {
    await client?.close();
    await server?.stop();
  });

  it('creates, names and describes an object as the official provider does', async () => {
    const made = await client.checkAndCreate(MAP, 'settings', configMap({ a: '1' }));
    const name = at(made.inputs, 'metadata', 'name');
    assert.match(name, /^settings-[0-9a-f]{8}$/);
    assert.equal(made.id, `default/${name}`);
    assert.deepEqual(made.inputs.metadata, {
      name,
      namespace: 'default',
      annotations: { 'pulumi.com/autonamed': 'true' },
    });
    assert.deepEqual(made.state.__inputs, made.inputs);
    assert.equal(made.state.__initialApiVersion, 'v1');
    assert.match(String(made.state.__fieldManager), /^pulumi-kubernetes-[0-9a-f]{8}$/);
    assert.notEqual(at(made.state, 'metadata', 'uid'), '');
    const again = await client.check(MAP, 'settings', configMap({ a: '1' }), made.inputs, new Uint8Array([9]));
    assert.deepEqual(again.inputs, made.inputs);
    const diff = await client.diff(MAP, 'settings', made, again.inputs);
    assert.equal(diff.changes, false, JSON.stringify(diff));
    await client.delete(MAP, 'settings', made);
    await assert.rejects(server.cluster.get(GVK.map, 'default', name), isNotFound);
  });

  it('replaces a changed ConfigMap: first the old one goes when the program names it', async () => {
    const named = await client.checkAndCreate(MAP, 'named', configMap({ a: '1' }, { name: 'named' }));
    const diff = await client.diff(
      MAP,
      'named',
      named,
      (await client.check(MAP, 'named', configMap({ a: '2' }, { name: 'named' }), named.inputs)).inputs,
    );
    assert.deepEqual([diff.replaces, diff.deleteBeforeReplace], [['data.a'], true]);
    assert.equal(diff.detailedDiff?.['data.a']?.kind, 'update-replace');
    const automatic = await client.checkAndCreate(MAP, 'automatic', configMap({ a: '1' }));
    const inputs = (await client.check(MAP, 'automatic', configMap({ a: '2' }), automatic.inputs)).inputs;
    assert.equal((await client.diff(MAP, 'automatic', automatic, inputs)).deleteBeforeReplace, false);
  });

  it('updates by server-side apply, and takes over what was created plainly', async () => {
    const made = await client.checkAndCreate(DEPLOYMENT, 'web', deployment({}, { name: 'web' }));
    const change = async (spec: PropertyMap): Promise<PropertyMap> =>
      (
        await client.check(
          DEPLOYMENT,
          'web',
          deployment(spec, { name: 'web', annotations: { 'pulumi.com/skipAwait': 'true' } }),
          made.inputs,
        )
      ).inputs;
    const inputs = await change({ minReadySeconds: 5, replicas: 0 });
    const diff = await client.diff(DEPLOYMENT, 'web', made, inputs);
    assert.deepEqual(diff.detailedDiff, { 'spec.minReadySeconds': { kind: 'add', inputDiff: false } });
    const { state } = await client.update(DEPLOYMENT, 'web', made, inputs);
    const live = await server.cluster.get(GVK.deployment, 'default', 'web');
    const managers = getList(live, 'metadata', 'managedFields').filter((entry) => at(entry, 'subresource') === '');
    const own = managers.filter((entry) => at(entry, 'manager') === state.__fieldManager);
    assert.deepEqual(
      own.map((entry) => entry.operation),
      ['Apply'],
    );
    assert.equal(
      managers.some((entry) => entry.manager === 'pulumi-kubernetes'),
      false,
    );
    // A field that the program drops is removed from the cluster.
    const existing = { id: made.id, state, inputs };
    await client.update(DEPLOYMENT, 'web', existing, await change({ replicas: 0 }));
    const spec = (await server.cluster.get(GVK.deployment, 'default', 'web')).spec as PropertyMap;
    assert.equal(spec.minReadySeconds, undefined);
    const selector = await client.diff(
      DEPLOYMENT,
      'web',
      existing,
      await change({ selector: { matchLabels: { app: 'b' } } }),
    );
    assert.ok(selector.replaces.includes('spec.selector.matchLabels.app'));
  });

  it('shows drift made by hand in a refresh, and the next update repairs it', async () => {
    const made = await client.checkAndCreate(
      DEPLOYMENT,
      'drift',
      deployment({ revisionHistoryLimit: 3 }, { name: 'drift', labels: { team: 'a' } }),
    );
    await editByHand(server.cluster, GVK.deployment, 'default', 'drift', {
      spec: { revisionHistoryLimit: 9 },
      metadata: { labels: { team: 'b' } },
    });
    const read = await client.read(DEPLOYMENT, 'drift', made);
    assert.equal((unwrapMap(read.inputs).spec as PropertyMap).revisionHistoryLimit, 9);
    const diff = await client.diff(DEPLOYMENT, 'drift', { ...read }, made.inputs);
    assert.deepEqual(Object.keys(diff.detailedDiff ?? {}).sort(), [
      'metadata.labels.team',
      'spec.revisionHistoryLimit',
    ]);
    const preview = await client.update(DEPLOYMENT, 'drift', read, made.inputs, { preview: true });
    assert.equal(at(preview.state, 'metadata', 'labels', 'team'), 'a');
    await client.update(DEPLOYMENT, 'drift', read, made.inputs);
    const live = await server.cluster.get(GVK.deployment, 'default', 'drift');
    assert.equal((live.spec as PropertyMap).revisionHistoryLimit, 3);
    assert.equal(at(live, 'metadata', 'labels', 'team'), 'a');
    await server.cluster.delete(
      GVK.deployment,
      'default',
      'drift',
      { propagationPolicy: 'Background' },
      new AbortController().signal,
    );
    assert.equal((await client.read(DEPLOYMENT, 'drift', made)).id, '');
  });

  it('names field, holder and cure of a conflict, and patchForce takes the field', async () => {
    const inputs = deployment({ replicas: 0 }, { name: 'held' });
    const made = await client.checkAndCreate(DEPLOYMENT, 'held', inputs);
    const current = await client.update(DEPLOYMENT, 'held', made, made.inputs);
    await editByHand(server.cluster, GVK.deployment, 'default', 'held', { spec: { minReadySeconds: 7 } }, 'tuner');
    const existing = { ...made, state: current.state };
    const wanted = (annotations: PropertyMap): Promise<{ inputs: PropertyMap }> =>
      client.check(
        DEPLOYMENT,
        'held',
        deployment({ replicas: 0, minReadySeconds: 1 }, { name: 'held', annotations }),
        made.inputs,
      );
    const skip = { 'pulumi.com/skipAwait': 'true' };
    const error = await rejection(client.update(DEPLOYMENT, 'held', existing, (await wanted(skip)).inputs));
    assert.match(
      error.message,
      /\.spec\.minReadySeconds is held by field manager "tuner"[\s\S]*pulumi\.com\/patchForce/,
    );
    const ignored = await client.update(DEPLOYMENT, 'held', existing, (await wanted(skip)).inputs, {
      ignoreChanges: ['spec.minReadySeconds'],
    });
    assert.equal((ignored.state.spec as PropertyMap).minReadySeconds, 7);
    const { state } = await client.update(
      DEPLOYMENT,
      'held',
      existing,
      (await wanted({ ...skip, 'pulumi.com/patchForce': 'true' })).inputs,
    );
    assert.equal((state.spec as PropertyMap).minReadySeconds, 1);
  });

  it('keeps secrets secret: in inputs, state, refresh, and in what the server refuses', async () => {
    const canary = 'canary-7f3a';
    const encoded = Buffer.from(canary).toString('base64');
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'keys' },
      stringData: { token: new Secret(canary) },
    };
    const made = await client.checkAndCreate(SECRET, 'keys', secret);
    assert.deepEqual(unwrapMap(made.inputs).data, { token: encoded });
    const read = await client.read(SECRET, 'keys', made);
    const imported = await client.read(SECRET, 'keys', { id: made.id });
    for (const part of [made.inputs, made.state, read.state, read.inputs, imported.state, imported.inputs]) {
      assert.ok(!openText(part).includes(canary) && !openText(part).includes(encoded));
    }
    assert.equal(
      (await client.diff(SECRET, 'keys', made, (await client.check(SECRET, 'keys', secret, made.inputs)).inputs))
        .changes,
      false,
    );
    const marked = {
      ...configMap({}),
      metadata: { name: 'bad', labels: { a: new Secret(`${canary} is no label value`) } },
    };
    const checked = await client.check(MAP, 'bad', marked);
    const error = await rejection(client.create(MAP, 'bad', checked.inputs));
    assert.match(error.message, /metadata\.labels/);
    assert.ok(!error.message.includes(canary), error.message);
  });

  it('previews by dry run: nothing is made, what the server would refuse is told', async () => {
    const { inputs } = await client.check(DEPLOYMENT, 'p', deployment({}, { name: 'previewed' }));
    const { id, state } = await client.create(DEPLOYMENT, 'p', inputs, { preview: true });
    assert.equal(id, '');
    assert.ok(isUnknown((state.metadata as PropertyMap).uid as PropertyValue));
    assert.equal((state.spec as PropertyMap).revisionHistoryLimit, 10);
    await assert.rejects(server.cluster.get(GVK.deployment, 'default', 'previewed'), isNotFound);
    const bad = await client.check(
      DEPLOYMENT,
      'p',
      deployment({ selector: { matchLabels: { app: 'other' } } }, { name: 'previewed' }),
    );
    const error = await rejection(client.create(DEPLOYMENT, 'p', bad.inputs, { preview: true }));
    assert.match(error.message, /selector.* does not match template/);
    const later = await client.check(MAP, 'p', configMap({ a: 'b' }, { name: 'later', namespace: 'not-yet' }));
    const unpreviewed = await client.create(MAP, 'p', later.inputs, { preview: true });
    assert.deepEqual(unpreviewed.state, later.inputs);
    const unknown = await client.check(MAP, 'p', configMap({ a: UNKNOWN }, { name: 'unknown' }));
    assert.ok(
      isUnknown(
        ((await client.create(MAP, 'p', unknown.inputs, { preview: true })).state.data as PropertyMap)
          .a as PropertyValue,
      ),
    );
  });

  it('does not create over an object that is there, unless told to', async () => {
    const made = await client.checkAndCreate(MAP, 'taken', configMap({ a: '1' }, { name: 'taken' }));
    const error = await rejection(client.create(MAP, 'taken', made.inputs));
    assert.match(error.message, /already exists[\s\S]*pulumi import/);
    const upserting = await connect(plugin);
    await upserting.configure({ kubeconfig: server.kubeconfig, upsertExistingObjects: true, enablePatchForce: true });
    const { inputs } = await upserting.check(MAP, 'taken', configMap({ a: '2' }, { name: 'taken' }));
    assert.equal(at((await upserting.create(MAP, 'taken', inputs)).state, 'data', 'a'), '2');
    await upserting.close();
  });

  it('handles custom resources, whose definition may come a moment before', async () => {
    const CRD = 'kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition';
    const definition = (extra: PropertyMap = {}): PropertyMap => ({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'widgets.example.com' },
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { kind: 'Widget', plural: 'widgets', singular: 'widget' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', x_kubernetes_preserve_unknown_fields: true, ...extra } },
          },
        ],
      },
    });
    const crd = await client.checkAndCreate(CRD, 'crd', definition());
    assert.ok(JSON.stringify(crd.state.spec).includes('x_kubernetes_preserve_unknown_fields'));
    const WIDGET = 'kubernetes:example.com/v1:Widget';
    const widget = (size: string): PropertyMap => ({
      apiVersion: 'example.com/v1',
      kind: 'Widget',
      metadata: { name: 'w' },
      spec: { size },
    });
    const made = await client.checkAndCreate(WIDGET, 'w', widget('1000m'));
    assert.equal(made.id, 'default/w');
    assert.equal(at(made.inputs, 'spec', 'size'), '1000m');
    const inputs = (await client.check(WIDGET, 'w', widget('2'), made.inputs)).inputs;
    assert.equal(at((await client.update(WIDGET, 'w', made, inputs)).state, 'spec', 'size'), '2');
    const imported = await client.read(WIDGET, 'w', { id: 'default/w' });
    assert.equal(at(imported.inputs, 'spec', 'size'), '2');
    assert.equal((await client.diff(WIDGET, 'w', { ...imported }, inputs)).changes, false);
    const changed = (await client.check(CRD, 'crd', definition({ description: 'x' }), crd.inputs)).inputs;
    await client.update(CRD, 'crd', crd, changed);
    await client.delete(CRD, 'crd', crd);
    await client.delete(WIDGET, 'w', made);
    assert.equal((await client.read(WIDGET, 'w', made)).id, '');
  });

  it('imports what a program can then say again without a change', async () => {
    const made = await client.checkAndCreate(DEPLOYMENT, 'i', deployment({}, { name: 'imported' }));
    const read = await client.read(DEPLOYMENT, 'i', { id: made.id });
    assert.equal(read.inputs.status, undefined);
    assert.equal(at(read.inputs, 'metadata', 'uid'), '');
    const inputs = (await client.check(DEPLOYMENT, 'i', read.inputs, read.inputs)).inputs;
    assert.equal((await client.diff(DEPLOYMENT, 'i', { ...read }, inputs)).changes, false);
  });

  it('waits until what it deletes is gone, and names the finalizer that holds it', async () => {
    const held = configMap({}, { name: 'finalized', finalizers: ['example.com/hold'] });
    const made = await client.checkAndCreate(MAP, 'f', held);
    const error = await rejection(client.delete(MAP, 'f', made, { timeoutSeconds: 1 }));
    assert.match(error.message, /still there after 1 s.*finalizer example\.com\/hold/);
    await editByHand(server.cluster, GVK.map, 'default', 'finalized', { metadata: { finalizers: null } });
    await client.delete(MAP, 'f', made);
    const space = await client.checkAndCreate(NAMESPACE, 'n', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'crowded' },
    });
    assert.equal(space.id, 'crowded');
    await client.checkAndCreate(MAP, 'in', configMap({}, { name: 'in', namespace: 'crowded' }));
    await client.delete(NAMESPACE, 'n', space);
    await assert.rejects(server.cluster.get(GVK.namespace, '', 'crowded'), isNotFound);
  });

  it('reports every wrong input with its place', async () => {
    const { failures } = await client.check(MAP, 'x', {
      apiVersion: 'v2',
      kind: 'Pod',
      metadata: { labels: { a: 1 } },
    });
    assert.deepEqual(
      failures.map((failure) => failure.property),
      ['apiVersion', 'kind', 'metadata.labels["a"]'],
    );
    const named = await client.check(MAP, 'x', configMap({}, { name: 'No_Good' }));
    assert.match(named.failures[0]?.reason ?? '', /"No_Good".*RFC 1123/);
    const release = await rejection(client.check('kubernetes:helm.sh/v3:Release', 'x', {}));
    assert.match(release.message, /helm\.sh\/v3:Release.*pulumi plugin install resource kubernetes v\d/);
    assert.match((await rejection(client.invoke('kubernetes:helm:template'))).message, /pulumi plugin install/);
    assert.match((await rejection(client.configure({ kubeconfg: 'x' }))).message, /"kubeconfg" is not an option/);
    await client.configure({ kubeconfig: server.kubeconfig });
  });

  it('says who lacks which permission, and previews nevertheless', async () => {
    const weak = await connect(plugin);
    await weak.configure({ kubeconfig: server.kubeconfigFor('nobody') });
    const { inputs } = await weak.check(MAP, 'x', configMap({ a: '1' }, { name: 'denied' }));
    assert.deepEqual((await weak.create(MAP, 'x', inputs, { preview: true })).state, inputs);
    const error = await rejection(weak.create(MAP, 'x', inputs));
    assert.match(error.message, /User "nobody" cannot create resource "configmaps"[\s\S]*Grant it/);
    await weak.close();
  });
});
