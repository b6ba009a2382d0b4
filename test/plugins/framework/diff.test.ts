import assert from 'node:assert/strict';
import fc from 'fast-check';
import { detailedDiff, equalValues, formatPath, parsePath } from '../../../plugins/framework/diff.ts';
import type { DiffKind } from '../../../plugins/framework/provider.ts';
import { type PropertyMap, Secret, UNKNOWN } from '../../../plugins/framework/values.ts';

/** Paths and kinds only. */
function kinds(olds: PropertyMap, news: PropertyMap, options?: Parameters<typeof detailedDiff>[2]) {
  const { detailedDiff: found } = detailedDiff(olds, news, options);
  return Object.fromEntries(Object.entries(found).map(([path, { kind }]) => [path, kind])) as Record<string, DiffKind>;
}

const json = fc.dictionary(fc.string({ minLength: 1 }), fc.jsonValue({ maxDepth: 3, noUnicodeString: false }), {
  noNullPrototype: true,
}) as fc.Arbitrary<PropertyMap>;

describe('detailedDiff', () => {
  it('finds nothing between equal inputs, whatever their secret marks', () => {
    fc.assert(
      fc.property(json, (inputs) => {
        const marked = Object.fromEntries(Object.entries(inputs).map(([key, value]) => [key, new Secret(value)]));
        for (const news of [structuredClone(inputs), marked]) {
          const result = detailedDiff(inputs, news);
          assert.deepEqual(result, { changes: false, diffs: [], replaces: [], detailedDiff: {} });
        }
      }),
    );
  });

  it('finds a change exactly where the values differ, and the other way round the opposite', () => {
    const opposite: Record<string, string> = { add: 'delete', delete: 'add', update: 'update' };
    fc.assert(
      fc.property(json, json, (olds, news) => {
        const there = kinds(olds, news);
        assert.equal(Object.keys(there).length > 0, !equalValues(olds, news));
        const back = kinds(news, olds);
        assert.deepEqual(back, Object.fromEntries(Object.entries(there).map(([path, kind]) => [path, opposite[kind]])));
      }),
    );
  });

  it('names nested changes by their path', () => {
    const olds = { spec: { replicas: 1, ports: [{ port: 80 }, { port: 81 }], gone: 'x' } };
    const news = { spec: { replicas: 2, ports: [{ port: 80 }, { port: 82 }, { port: 83 }], labels: { 'a.b/c': 'd' } } };
    const result = detailedDiff(olds, news);
    assert.deepEqual(kinds(olds, news), {
      'spec.replicas': 'update',
      'spec.ports[1].port': 'update',
      'spec.ports[2]': 'add',
      'spec.gone': 'delete',
      'spec.labels': 'add',
    });
    assert.deepEqual(result.diffs, ['spec']);
    assert.equal(result.changes, true);
    assert.ok(Object.values(result.detailedDiff).every(({ inputDiff }) => inputDiff));
  });

  it('quotes keys that are not words', () => {
    assert.deepEqual(kinds({ labels: { 'app.io/name': 'a' } }, { labels: { 'app.io/name': 'b' } }), {
      'labels["app.io/name"]': 'update',
    });
  });

  it('counts an unknown value as changed, also in a secret or a list', () => {
    assert.deepEqual(kinds({ a: 1, b: ['x'] }, { a: new Secret(UNKNOWN), b: ['x', UNKNOWN], c: UNKNOWN }), {
      a: 'update',
      'b[1]': 'add',
      c: 'add',
    });
  });

  it('takes null for absent and leaves bookkeeping out at every level', () => {
    const olds = { a: null, b: { __defaults: ['x'], c: 1 }, __defaults: [] };
    assert.deepEqual(kinds(olds, { b: { __defaults: [], c: 1, d: null } }), {});
  });

  it('marks replacements with their property', () => {
    const result = detailedDiff(
      { name: 'a', size: 1 },
      { name: 'b', size: 2 },
      { replaceOn: (path) => path === 'name' },
    );
    assert.deepEqual(result.replaces, ['name']);
    assert.deepEqual(result.diffs, ['name', 'size']);
    assert.equal(result.detailedDiff.name?.kind, 'update-replace');
    assert.equal(result.detailedDiff.size?.kind, 'update');
  });

  it('compares sets without regard to order and repetition', () => {
    const setsAt = (path: string) => path === 'roles';
    assert.deepEqual(kinds({ roles: ['a', 'b'] }, { roles: ['b', 'a', 'a'] }, { setsAt }), {});
    assert.deepEqual(kinds({ roles: ['a', 'b'] }, { roles: ['c', 'b', 'd'] }, { setsAt }), {
      'roles[0]': 'update',
      'roles[2]': 'add',
    });
    assert.deepEqual(kinds({ roles: ['a', 'b'] }, { roles: ['b', 'a'] }), {
      'roles[0]': 'update',
      'roles[1]': 'update',
    });
  });

  it('leaves out ignored paths and what is below them', () => {
    const olds = {
      spec: { replicas: 1, image: 'a' },
      list: [
        { x: 1, y: 1 },
        { x: 1, y: 1 },
      ],
    };
    const news = {
      spec: { replicas: 2, image: 'b' },
      list: [
        { x: 2, y: 1 },
        { x: 2, y: 2 },
      ],
    };
    assert.deepEqual(kinds(olds, news, { ignore: ['spec.replicas', 'list[*].x'] }), {
      'spec.image': 'update',
      'list[1].y': 'update',
    });
    assert.deepEqual(kinds(olds, news, { ignore: ['spec', 'list'] }), {});
  });

  it('says nothing of a secret', () => {
    const result = detailedDiff({ password: new Secret('old-canary') }, { password: new Secret('new-canary') });
    assert.equal(result.detailedDiff.password?.kind, 'update');
    assert.ok(!JSON.stringify(result).includes('canary'));
  });
});

describe('property paths', () => {
  it('are read back as they were written', () => {
    // The engine's own syntax cannot tell a backslash before a quote from an escaped quote.
    const key = fc.string({ minLength: 1 }).filter((text) => !text.includes('\\'));
    const segment = fc.oneof(fc.nat(1000), key);
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1 }), (path) => {
        assert.deepEqual(parsePath(formatPath(path)), path);
      }),
      { numRuns: 500 },
    );
  });

  it('are read as the engine reads them', () => {
    assert.deepEqual(parsePath('a.b-c[3].*["x.y"]["say \\"hi\\""]'), ['a', 'b-c', 3, '*', 'x.y', 'say "hi"']);
    assert.deepEqual(parsePath('["root key"].["tolerated"]'), ['root key', 'tolerated']);
    assert.equal(formatPath(['root key', 'a', 'b-c', 0, 'say "hi"']), '["root key"].a["b-c"][0]["say \\"hi\\""]');
  });

  it('refuse what is not one', () => {
    assert.throws(() => parsePath('a[0'), /"a\[0" is not a property path/);
  });
});
