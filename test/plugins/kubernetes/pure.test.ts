import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PropertyMap } from '../../../plugins/framework/values.ts';
import { isSecret, Secret, UNKNOWN } from '../../../plugins/framework/values.ts';
import { waitFor } from '../../../plugins/kubernetes/await/waitFor.ts';
import { configFailures } from '../../../plugins/kubernetes/config.ts';
import { decodeYaml } from '../../../plugins/kubernetes/decode.ts';
import { detailedDiff, formatPath, isWithin, parsePath } from '../../../plugins/kubernetes/diff.ts';
import { diffProviderConfig } from '../../../plugins/kubernetes/diffConfig.ts';
import { forceNewPaths } from '../../../plugins/kubernetes/forceNew.ts';
import { knownScope, parseToken } from '../../../plugins/kubernetes/kinds.ts';
import { takeoverPatch, withIgnoredFields } from '../../../plugins/kubernetes/managedFields.ts';
import { autoname, nameFailures } from '../../../plugins/kubernetes/naming.ts';
import { normalize, pruneTo } from '../../../plugins/kubernetes/normalize.ts';
import { canonicalQuantity } from '../../../plugins/kubernetes/quantity.ts';
import { checkpoint, parseCheckpoint, scrub, secretTexts } from '../../../plugins/kubernetes/state.ts';

const plugin = { name: 'kubernetes', version: '4.34.2' };

describe('kubernetes: quantities', () => {
  const cases: [string | number, string][] = [
    ['1000m', '1'],
    ['1500m', '1500m'],
    ['0.1', '100m'],
    [1, '1'],
    [0.5, '500m'],
    ['1024Mi', '1Gi'],
    ['1000Mi', '1000Mi'],
    ['0.5Gi', '512Mi'],
    ['2000', '2k'],
    ['1e3', '1e3'],
    ['1E', '1E'],
    ['0', '0'],
    ['12.0Gi', '12Gi'],
    ['100Ki', '100Ki'],
    ['not a quantity', 'not a quantity'],
  ];
  for (const [input, expected] of cases) {
    it(`${input} is ${expected}`, () => assert.equal(canonicalQuantity(input), expected));
  }
  it('is stable: a canonical quantity stays', () => {
    const suffix = fc.constantFrom('', 'm', 'k', 'M', 'Ki', 'Mi', 'Gi', 'e3');
    fc.assert(
      fc.property(fc.nat(1_000_000), suffix, (number, unit) => {
        const once = canonicalQuantity(`${number}${unit}`);
        assert.equal(canonicalQuantity(once), once);
      }),
    );
  });
});

describe('kubernetes: diff', () => {
  const options = { forceNew: ['metadata.name', 'spec.selector', 'spec.containers[*].image'], typed: true };

  it('of a value with itself is empty, whatever it is', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        assert.deepEqual(detailedDiff(value as PropertyMap, structuredClone(value) as PropertyMap, options), {});
      }),
    );
  });
  it('names paths as the engine does, and reads them back', () => {
    assert.equal(formatPath(['metadata', 'labels', 'a.b/c', 'x', 0]), 'metadata.labels["a.b/c"].x[0]');
    const step = fc.oneof(
      fc.string({ minLength: 1 }).filter((text) => !/[\\"*]/.test(text)),
      fc.nat(20),
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 1 }), (path) => assert.deepEqual(parsePath(formatPath(path)), path)),
    );
  });
  it('tells additions, removals and changes', () => {
    const old = { spec: { replicas: 1, old: 'x', list: ['a', 'b'] } };
    const next = { spec: { replicas: 2, fresh: 'y', list: ['a'] } };
    assert.deepEqual(detailedDiff(old, next, options), {
      'spec.replicas': { kind: 'update', inputDiff: false },
      'spec.old': { kind: 'delete', inputDiff: true },
      'spec.fresh': { kind: 'add', inputDiff: false },
      'spec.list[1]': { kind: 'delete', inputDiff: true },
    });
  });
  it('replaces for a path inside, at and above a forced one', () => {
    const kind = (old: PropertyMap, next: PropertyMap): string[] =>
      Object.entries(detailedDiff(old, next, options)).map(([path, change]) => `${path} ${change.kind}`);
    assert.deepEqual(kind({ spec: { selector: { a: '1' } } }, { spec: { selector: { a: '2' } } }), [
      'spec.selector.a update-replace',
    ]);
    assert.deepEqual(kind({}, { spec: { selector: { a: '2' } } }), ['spec add-replace']);
    assert.deepEqual(kind({}, { spec: { other: 1 } }), ['spec add']);
    const image = (tag: string): PropertyMap => ({ spec: { containers: [{ name: 'a', image: tag }] } });
    assert.deepEqual(kind(image('a'), image('b')), ['spec.containers[0].image update-replace']);
  });
  it('takes what the server leaves out for no change, in built-in kinds only', () => {
    const next = { spec: { hostNetwork: false, labels: {}, text: '', list: [] } };
    assert.deepEqual(detailedDiff({ spec: {} }, next, options), {});
    assert.equal(Object.keys(detailedDiff({ spec: {} }, next, { ...options, typed: false })).length, 4);
  });
  it('shows what is not known yet as a change', () => {
    assert.deepEqual(Object.keys(detailedDiff({ spec: { a: 1 } }, { spec: { a: UNKNOWN, b: UNKNOWN } }, options)), [
      'spec.a',
      'spec.b',
    ]);
  });
  it('ignores a path and what is below it', () => {
    assert.equal(isWithin('spec.template.spec.containers[0].image', 'spec.template'), true);
    assert.equal(isWithin('spec.templates', 'spec.template'), false);
    assert.equal(isWithin('metadata.labels["a.b"]', 'metadata.labels["a.b"]'), true);
    assert.equal(isWithin('spec.containers[3].image', 'spec.containers[*].image'), true);
  });
});

describe('kubernetes: forms', () => {
  it('merges stringData into data, as the server does', () => {
    const secret = { apiVersion: 'v1', kind: 'Secret', stringData: { a: 'x' }, data: { a: 'b2xk', b: 'Yg==' } };
    const result = normalize(secret);
    assert.deepEqual(result.data, { a: 'eA==', b: 'Yg==' });
    assert.equal('stringData' in result, false);
  });
  it('canonicalises quantities of built-in kinds, never names in metadata or data', () => {
    const container = { resources: { limits: { cpu: '1000m', memory: '1024Mi' } } };
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { labels: { limits: '1000m' } },
      spec: { containers: [container] },
    };
    assert.deepEqual(normalize(pod).spec, { containers: [{ resources: { limits: { cpu: '1', memory: '1Gi' } } }] });
    assert.deepEqual(normalize(pod).metadata, { labels: { limits: '1000m' } });
    assert.deepEqual(normalize({ ...pod, apiVersion: 'example.com/v1' }).spec, pod.spec);
    const map = { apiVersion: 'v1', kind: 'ConfigMap', data: { default: '1000m' } };
    assert.deepEqual(normalize(map).data, { default: '1000m' });
  });
  it('prunes to what the program speaks of, and keeps what differs', () => {
    const live: PropertyMap = { a: 1, b: { c: 2, d: 3 }, list: [{ x: 1, y: 2 }, { injected: true }] };
    assert.deepEqual(pruneTo(live, { b: { c: 9 }, list: [{ x: 5 }], gone: 1 }), { b: { c: 2 }, list: [{ x: 1 }] });
  });
  it('is the same when done twice', () => {
    const value = fc.dictionary(fc.constantFrom('limits', 'spec', 'data', 'x'), fc.jsonValue());
    fc.assert(
      fc.property(value, (fields) => {
        const once = normalize({ ...(fields as PropertyMap), apiVersion: 'v1', kind: 'Pod' });
        assert.deepEqual(normalize(once), once);
      }),
    );
  });
});

describe('kubernetes: state', () => {
  it("marks a Secret's data, and the same leaf elsewhere, but nothing more", () => {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' }, data: { k: 'djE=' } };
    const state = checkpoint(secret, { ...secret, metadata: { name: 'a', uid: 'u' } }, secret, 'v1', 'm');
    assert.ok(isSecret(state.data));
    assert.ok(isSecret((state.__inputs as PropertyMap).data));
    assert.deepEqual(state.metadata, { name: 'a', uid: 'u' });
    const map = { apiVersion: 'v1', kind: 'ConfigMap', data: { open: 'a', hidden: 'b' } };
    const marked = { ...map, data: { open: 'a', hidden: new Secret('b') } };
    const other = checkpoint(map, map, marked, 'v1', 'm');
    assert.equal((other.data as PropertyMap).open, 'a');
    assert.ok(isSecret((other.data as PropertyMap).hidden));
    assert.equal(other.__fieldManager, 'm');
    assert.deepEqual(parseCheckpoint(other).inputs, map);
  });
  it('marks the annotation in which kubectl keeps the whole object', () => {
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{"data":{"k":"djE="}}' };
    const live = { apiVersion: 'v1', kind: 'Secret', metadata: { annotations }, data: {} };
    const metadata = checkpoint({}, live, {}, 'v1', 'm').metadata as PropertyMap;
    assert.ok(isSecret(Object.values(metadata.annotations as PropertyMap)[0]));
  });
  it('scrubs secrets, also in base64, from messages', () => {
    const inputs = {
      apiVersion: 'v1',
      kind: 'Secret',
      data: { k: Buffer.from('canary-1').toString('base64') },
      x: new Secret('canary-2'),
    };
    const message = scrub(`canary-1 ${Buffer.from('canary-1').toString('base64')} canary-2 fine`, secretTexts(inputs));
    assert.equal(message, '[secret] [secret] [secret] fine');
  });
});

describe('kubernetes: kinds, names and configuration', () => {
  it('reads type tokens and refuses what is no plain object', () => {
    assert.deepEqual(parseToken(plugin, 'kubernetes:core/v1:Pod'), { group: '', version: 'v1', kind: 'Pod' });
    const crd = parseToken(plugin, 'kubernetes:example.com/v1alpha1:WidgetList');
    assert.deepEqual(crd, { group: 'example.com', version: 'v1alpha1', kind: 'WidgetList' });
    for (const token of [
      'helm.sh/v3:Release',
      'helm.sh/v4:Chart',
      'yaml/v2:ConfigGroup',
      'kustomize/v2:Directory',
      'apps/v1:DeploymentPatch',
    ]) {
      assert.throws(
        () => parseToken(plugin, `kubernetes:${token}`),
        (error: Error) => error.name === 'UnsupportedTypeError' && error.message.includes(token),
      );
    }
    assert.throws(() => parseToken(plugin, 'kubernetes:core/v1:PodList'), /PodList is a list/);
    assert.equal(knownScope({ group: '', version: 'v1', kind: 'Namespace' }), false);
    assert.equal(knownScope({ group: 'example.com', version: 'v1', kind: 'Job' }), undefined);
  });
  it('makes a name from the seed, the same for the same seed', () => {
    const seed = new Uint8Array([1, 2, 3]);
    assert.match(autoname('web', seed), /^web-[0-9a-f]{8}$/);
    assert.equal(autoname('web', seed), autoname('web', seed));
    assert.notEqual(autoname('web', new Uint8Array()), autoname('web', new Uint8Array()));
  });
  it('says which names the server would refuse', () => {
    const failures = (kind: string, name: string, group = ''): number =>
      nameFailures({ group, version: 'v1', kind }, { metadata: { name } }).length;
    assert.equal(failures('ConfigMap', 'a.b-c'), 0);
    assert.equal(failures('ConfigMap', 'Upper'), 1);
    assert.equal(failures('Service', '1st'), 1);
    assert.equal(failures('Role', 'system:reader', 'rbac.authorization.k8s.io'), 0);
    assert.equal(failures('ConfigMap', 'x'.repeat(254)), 1);
  });
  it('replaces changed Secrets and ConfigMaps unless told otherwise', () => {
    const gvk = { group: '', version: 'v1', kind: 'Secret' };
    const secret = { apiVersion: 'v1', kind: 'Secret' };
    assert.ok(forceNewPaths(gvk, secret, { secrets: false, configMaps: false }).includes('data'));
    assert.ok(!forceNewPaths(gvk, secret, { secrets: true, configMaps: false }).includes('data'));
    assert.ok(
      forceNewPaths(gvk, { ...secret, immutable: true }, { secrets: true, configMaps: false }).includes('data'),
    );
  });
  it('names an option that does not exist, and a wrong type', () => {
    const failures = configFailures({
      kubeConfig: 'x',
      enablePatchForce: 'maybe',
      namespace: 'a',
      version: '4',
      deleteUnreachable: 'true',
    });
    assert.deepEqual(
      failures.map((failure) => failure.property),
      ['kubeConfig', 'enablePatchForce'],
    );
    assert.match(failures[0]?.reason ?? '', /kubeConfig.*kubeconfig/);
  });
  it('replaces the provider when it points at another cluster', () => {
    const config = (server: string): string =>
      JSON.stringify({
        'current-context': 'c',
        clusters: [{ name: 'x', cluster: { server } }],
        contexts: [{ name: 'c', context: { cluster: 'x' } }],
      });
    const diff = (olds: PropertyMap, news: PropertyMap): readonly string[] | undefined =>
      diffProviderConfig(olds, news).replaces;
    assert.deepEqual(diff({ kubeconfig: config('https://a') }, { kubeconfig: config('https://b') }), ['kubeconfig']);
    assert.deepEqual(diff({ kubeconfig: config('https://a') }, { kubeconfig: `${config('https://a')} ` }), []);
    const named = (server: string, id: string): PropertyMap => ({ kubeconfig: config(server), clusterIdentifier: id });
    assert.deepEqual(diff(named('https://a', '1'), named('https://b', '1')), []);
    assert.deepEqual(diff(named('https://a', '1'), named('https://a', '2')), ['clusterIdentifier']);
    assert.equal(diffProviderConfig({ namespace: 'a' }, { namespace: 'a' }).changes, false);
  });
  it('decodes YAML, lists included, and does not quote broken text', () => {
    const text =
      'kind: ConfigMap\napiVersion: v1\n---\nkind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Namespace}\n';
    assert.deepEqual(decodeYaml({ text, defaultNamespace: 'n' }, undefined).result, [
      { kind: 'ConfigMap', apiVersion: 'v1', metadata: { namespace: 'n' } },
      { apiVersion: 'v1', kind: 'Namespace' },
    ]);
    assert.throws(
      () => decodeYaml({ text: 'a: "canary' }, undefined),
      (error: Error) => !error.message.includes('canary') && /line 1/.test(error.message),
    );
  });
});

describe('kubernetes: field managers', () => {
  const entry = (manager: string, operation: string, fieldsV1: PropertyMap, subresource?: string): PropertyMap => ({
    manager,
    operation,
    apiVersion: 'v1',
    fieldsV1,
    ...(subresource === undefined ? {} : { subresource }),
  });
  const live = (...managedFields: PropertyMap[]): PropertyMap => ({
    metadata: { resourceVersion: '7', managedFields },
    spec: { replicas: 3, paused: true },
  });

  it('takes over kubectl and plain creates, and leaves controllers and status alone', () => {
    const patch = takeoverPatch(
      live(
        entry('pulumi-kubernetes', 'Update', { 'f:spec': { 'f:a': {} } }),
        entry('kubectl-edit', 'Update', { 'f:spec': { 'f:b': {} } }),
        entry('kube-controller-manager', 'Update', { 'f:spec': { 'f:c': {} } }),
        entry('kubectl', 'Update', { 'f:status': {} }, 'status'),
      ),
      'pulumi-kubernetes-1',
    );
    const managers = patch?.[1]?.value as PropertyMap[];
    assert.deepEqual(
      managers.map((item) => item.manager),
      ['kube-controller-manager', 'kubectl', 'pulumi-kubernetes-1'],
    );
    assert.deepEqual(managers[2]?.fieldsV1, { 'f:spec': { 'f:a': {}, 'f:b': {} } });
    assert.equal(takeoverPatch(live(entry('pulumi-kubernetes-1', 'Apply', {})), 'pulumi-kubernetes-1'), undefined);
  });
  it('writes a time only where the server gave one', () => {
    const scaled = entry('kubectl', 'Update', { 'f:spec': { 'f:replicas': {} } }, 'scale');
    const merged = (patch: PropertyMap[] | undefined) => (patch?.[1]?.value as PropertyMap[] | undefined)?.at(-1);
    const [bare, timed] = [{ ...scaled }, { ...scaled, time: '2026-01-01T00:00:00Z' }];
    delete bare.time;
    assert.equal('time' in (merged(takeoverPatch(live(bare), 'me')) ?? {}), false);
    assert.equal(merged(takeoverPatch(live({ ...bare, manager: 'kubectl-a' }, timed), 'me'))?.time, timed.time);
  });
  it('leaves an ignored field of another manager out, and sends our own as it is', () => {
    const object = live(
      entry('autoscaler', 'Update', { 'f:spec': { 'f:replicas': {} } }),
      entry('me', 'Apply', { 'f:spec': { 'f:paused': {} } }),
    );
    const inputs = { spec: { replicas: 1, paused: false } };
    assert.deepEqual(withIgnoredFields(inputs, object, ['spec.replicas', 'spec.paused'], 'me'), {
      spec: { paused: true },
    });
  });
});

describe('kubernetes: pulumi.com/waitFor', () => {
  const live = {
    metadata: { generation: 2 },
    status: {
      observedGeneration: 2,
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      list: [{ a: 'x', b: '1' }],
    },
  };
  const holds = async (expression: string, object: PropertyMap = live): Promise<boolean> =>
    (await waitFor(expression).check(object, undefined as never)).ready;

  it('understands conditions and JSONPath, and lists of them', async () => {
    assert.equal(await holds('condition=Ready'), true);
    assert.equal(await holds('condition=Ready=False'), false);
    assert.equal(await holds('jsonpath={.status.phase}=Running'), true);
    assert.equal(await holds('jsonpath={.status.phase}=Pending'), false);
    assert.equal(await holds('jsonpath={.status.missing}'), false);
    assert.equal(await holds('jsonpath={.status.list[0].b}=1'), true);
    assert.equal(await holds('jsonpath={.status.conditions[?(@.type=="Ready")].status}=True'), true);
    assert.equal(await holds('["condition=Ready", "jsonpath={.status.phase}=Pending"]'), false);
    assert.equal(await holds('condition=Ready', { ...live, metadata: { generation: 3 } }), false);
    assert.throws(() => waitFor('ready'), /neither condition/);
  });
});
