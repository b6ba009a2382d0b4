import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { getVersion } from '@pulumi/kubernetes/utilities.js';
import * as fc from 'fast-check';
import { globExpression, parseResources, readResourceFiles } from '../../components/manifests/read.ts';
import { ResourceFiles, typeToken } from '../../components/manifests/resourceFiles.ts';
import { holds } from '../holds.ts';
import { findingsOf, record } from './mocks.ts';

const configMap = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n';

describe('ResourceFiles', () => {
  it('registers each document with its own type, in the namespace, with its annotations', async () => {
    const recording = await record();
    const { documents } = parseResources(
      'a.yaml',
      `${configMap}---
apiVersion: example.com/v1
kind: Widget
metadata: { name: w, namespace: other, annotations: { pulumi.com/skipAwait: "true" }, labels: { own: "1", team: x } }
spec: { size: 3 }
`,
    );
    const files = new ResourceFiles('orders', { documents, namespace: 'dev', labels: { team: 'shop' } });
    assert.deepEqual(files.prerequisites, [files.resources[0]], 'pods wait for the ConfigMap, not for the Widget');
    const map = await recording.find('orders-configmap/settings');
    assert.equal(map.type, 'kubernetes:core/v1:ConfigMap');
    assert.equal(map.parent, 'orders');
    assert.equal(map.version, getVersion());
    assert.deepEqual(map.inputs, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings', namespace: 'dev', labels: { team: 'shop' } },
    });
    const widget = await recording.find('orders-widget/other/w');
    assert.equal(widget.type, 'kubernetes:example.com/v1:Widget');
    assert.deepEqual(widget.inputs.spec, { size: 3 });
    assert.deepEqual(widget.inputs.metadata, {
      name: 'w',
      namespace: 'other',
      annotations: { 'pulumi.com/skipAwait': 'true' },
      labels: { own: '1', team: 'x' },
    });
  });

  it('leaves cluster-scoped objects without a namespace', async () => {
    const recording = await record();
    const { documents } = parseResources('a.yaml', 'apiVersion: v1\nkind: Namespace\nmetadata: { name: n }');
    new ResourceFiles('orders', { documents, namespace: 'dev' });
    assert.deepEqual((await recording.find('orders-namespace/n')).inputs.metadata, { name: 'n' });
  });

  it('refuses the same object twice, whatever its version', async () => {
    await record();
    const beta = 'apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: { name: b }\n---\n';
    const { documents } = parseResources('a.yaml', beta + beta.replace('v1beta1', 'v1'));
    assert.deepEqual(
      findingsOf(() => new ResourceFiles('o', { documents, namespace: 'dev' })),
      ['a.yaml, document 2: PodDisruptionBudget "b" is already defined in a.yaml, document 1: keep one of them'],
    );
  });

  it('knows the tokens of the SDK', () => {
    assert.equal(typeToken({ apiVersion: 'v1', kind: 'Secret' }), 'kubernetes:core/v1:Secret');
    assert.equal(typeToken({ apiVersion: 'apps/v1', kind: 'Deployment' }), 'kubernetes:apps/v1:Deployment');
    const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role' };
    assert.equal(typeToken(role), 'kubernetes:rbac.authorization.k8s.io/v1:Role');
  });
});

describe('readResourceFiles', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'resource-files-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), text);
  };

  it('reads sorted files, all their documents, and the items of lists', () => {
    write('k/b.yaml', configMap);
    write('k/a.yaml', `---\n# only a comment\n---\n${configMap.replace('settings', 'first')}`);
    write('k/deep/c.yml', `apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Service, metadata: {name: s}}]`);
    write('k/notes.txt', 'not yaml: [');
    const { documents, findings } = readResourceFiles({ directory, patterns: ['k/**/*.{yaml,yml}'] });
    assert.deepEqual(findings, []);
    assert.deepEqual(
      documents.map((one) => `${one.file} ${one.kind} ${one.name}`),
      ['k/a.yaml ConfigMap first', 'k/b.yaml ConfigMap settings', 'k/deep/c.yml Service s'],
    );
  });

  it('says everything that is wrong, with the file and the document', () => {
    write(
      'bad.yaml',
      [
        'a: [1',
        'just text',
        'kind: ConfigMap',
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {}',
        'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: Not_Good }',
        'apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData: { password: canary }',
        'apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: { name: "system:x" }',
        configMap,
        configMap,
      ].join('\n---\n'),
    );
    const { findings } = readResourceFiles({ directory, patterns: ['*.yaml', 'none/*.yaml'] });
    const text = findings.map((one) => `${one.path}: ${one.problem}`);
    const expected = [
      /^none\/\*\.yaml: matches no file/,
      /^bad\.yaml, document 1: is not valid YAML/,
      /^bad\.yaml, document 2: is not a Kubernetes object/,
      /^bad\.yaml, document 3: has no apiVersion or no kind/,
      /^bad\.yaml, document 4: \(ConfigMap\) has no metadata\.name/,
      /^bad\.yaml, document 5: metadata\.name "Not_Good" is not a DNS-1123 subdomain/,
      /^bad\.yaml, document 6: Secret "s" holds secret values in plain text/,
      /^bad\.yaml, document 7: ClusterRole "system:x" belongs to no namespace/,
      /^bad\.yaml, document 9: ConfigMap "settings" is already defined in bad\.yaml, document 8/,
    ];
    assert.equal(text.length, expected.length, text.join('\n'));
    for (const [index, expression] of expected.entries()) assert.match(text[index] ?? '', expression);
    assert.ok(!text.join().includes('canary'));
  });

  it('allows cluster-scoped kinds that are named, and custom kinds of the same name', () => {
    write('a.yaml', 'apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: { name: r }');
    write('b.yaml', 'apiVersion: example.com/v1\nkind: Node\nmetadata: { name: r }');
    const read = readResourceFiles({ directory, patterns: ['*.yaml'], allowClusterScoped: ['ClusterRole'] });
    assert.deepEqual(read.findings, []);
    assert.equal(read.documents.length, 2);
  });

  it('reports a folder that does not exist, and an alias bomb', () => {
    const missing = join(directory, 'missing');
    assert.match(
      readResourceFiles({ directory: missing, patterns: ['*'] }).findings[0]?.problem ?? '',
      /does not exist/,
    );
    const level = (name: string, of: string) => `${name}: &${name} [${Array(12).fill(of).join(',')}]\n`;
    const bomb = `a: &a [x,x]\n${level('b', '*a')}${level('c', '*b')}${level('d', '*c')}`;
    assert.match(parseResources('bomb.yaml', bomb).findings[0]?.problem ?? '', /is not valid YAML/);
  });
});

describe('globExpression', () => {
  it('takes every name without special characters literally', () => {
    holds(
      fc.property(fc.stringMatching(/^[^*?{}]*$/), (name) => {
        assert.ok(globExpression(name).test(name));
        assert.ok(!globExpression(name).test(`${name}x`));
      }),
    );
  });

  it('keeps "*" within a folder and lets "**" cross folders', () => {
    assert.ok(globExpression('k/*.yaml').test('k/a.yaml'));
    assert.ok(!globExpression('k/*.yaml').test('k/b/a.yaml'));
    assert.ok(globExpression('k/**/*.yaml').test('k/a.yaml'));
    assert.ok(globExpression('k/**/*.yaml').test('k/b/c/a.yaml'));
    assert.ok(globExpression('**').test('k/b'));
    assert.ok(globExpression('a?c').test('abc'));
    assert.ok(!globExpression('a?c').test('a/c'));
  });
});
