import assert from 'node:assert/strict';
import fc from 'fast-check';
import { micromark } from 'micromark';
import { gfm, gfmHtml } from 'micromark-extension-gfm';
import { type DefaultTreeAdapterTypes, parseFragment } from 'parse5';
import type { PropertyChange, Step, StepOperation } from '../../engineEvents/model.ts';
import { digestOf } from '../../workflows/report/digest.ts';
import { losses } from '../../workflows/report/loss.ts';
import { type Plan, planMarkdown, plansMarkdown } from '../../workflows/report/markdown.ts';
import { bytes } from '../../workflows/report/within.ts';

const urn = (type: string, name: string): string => `urn:pulumi:local::development-operations::${type}::${name}`;

function step(type: string, name: string, operation: StepOperation, more: Partial<Step> = {}): Step {
  return { urn: urn(type, name), type, name, operation, changes: [], sql: [], ...more };
}

function plan(steps: readonly Step[], more: Partial<Plan> = {}): Plan {
  return { title: 'Preview of `local`', steps, counts: {}, warnings: [], ...more };
}

const deployment = 'kubernetes:apps/v1:Deployment';
const database = 'postgresql:index/database:Database';

type Node = DefaultTreeAdapterTypes.Node;

/** The page that GitHub would make of it, as far as a Markdown renderer with GitHub's extensions does. */
function rendered(markdown: string): Node {
  const html = micromark(markdown, {
    allowDangerousHtml: true,
    extensions: [gfm()],
    htmlExtensions: [gfmHtml()],
  });
  return parseFragment(html);
}

/** Elements with their attributes, without texts: what a text must not change. */
function skeleton(node: Node): string {
  if (node.nodeName === '#text') return '';
  const children = 'childNodes' in node ? node.childNodes.map(skeleton).join('') : '';
  const attributes = 'attrs' in node ? node.attrs.map(({ name, value }) => ` ${name}=${value}`).join('') : '';
  return `(${node.nodeName}${attributes}${children})`;
}

/** Texts outside of code, where GitHub looks for names and numbers to link. */
function plainTexts(node: Node): string {
  if (node.nodeName === '#text') return (node as DefaultTreeAdapterTypes.TextNode).value;
  if (node.nodeName === 'code' || node.nodeName === 'pre') return '';
  return 'childNodes' in node ? node.childNodes.map(plainTexts).join('') : '';
}

const text = fc.oneof(
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  {
    weight: 3,
    arbitrary: fc
      .array(
        fc.constantFrom(
          ...[
            '`',
            '```',
            '~~~',
            '<',
            '>',
            '</code>',
            '</details>',
            '</summary>',
            '<!--',
            '-->',
            '@maintainer',
            '#12',
            '\n',
          ],
          ...[
            '\n\n',
            '\r\n',
            '> ',
            '- ',
            '# ',
            '[x](https://e.example)',
            '![](//e.example/x)',
            '&lt;',
            '\\',
            '|',
            '*',
            '_',
            '\t',
          ],
          ...[
            '<script>alert(1)</script>',
            '<img src=x onerror=y>',
            'https://e.example',
            'www.e.example',
            'a@e.example',
            '$$',
            ' ',
          ],
          ...['\u202e', '\u200b', '\0', '\ud800', '```mermaid\n', 'word'],
        ),
        { maxLength: 12 },
      )
      .map((parts) => parts.join('')),
  },
);

const changes = fc.array(fc.record({ path: text, from: fc.option(text, { nil: undefined }), to: text }), {
  minLength: 1,
  maxLength: 3,
});

describe('workflows: report', () => {
  it('counts, and shows each resource with its values and statements', () => {
    const markdown = planMarkdown(
      plan(
        [
          step(deployment, 'orders', 'update', { changes: [{ path: 'spec.replicas', from: 1, to: 2 }] }),
          step('postgresql:index/role:Role', 'reader', 'create', {
            changes: [
              { path: 'name', to: 'orders_reader' },
              { path: 'password', to: '[secret]' },
            ],
            sql: ['CREATE ROLE "orders_reader"'],
          }),
        ],
        { counts: { same: 7, update: 1, create: 1 }, basis: 'live' },
      ),
    );
    assert.match(markdown, /\*\*1\*\* to create, \*\*1\*\* to change, 7 unchanged · verified live/);
    assert.ok(markdown.includes('<details><summary>🟡 change <code>Deployment</code> <code>orders</code></summary>'));
    assert.ok(markdown.includes('```diff\n- spec.replicas: 1\n+ spec.replicas: 2\n```'));
    assert.ok(markdown.includes('+ name: orders_reader\n+ password: [secret]\n'));
    assert.ok(markdown.includes('```sql\nCREATE ROLE "orders_reader";\n```'));
    assert.doesNotMatch(markdown, /CAUTION|WARNING/);
  });

  it('shows of a long text the lines that change, and that a secret changes', () => {
    const lines = Array.from({ length: 60 }, (_, index) => `line ${index}`);
    const markdown = planMarkdown(
      plan([
        step('kubernetes:core/v1:ConfigMap', 'settings', 'update', {
          changes: [
            {
              path: 'data',
              from: { 'nginx.conf': lines.join('\n') },
              to: { 'nginx.conf': lines.with(40, 'other').join('\n') },
            },
            { path: 'key', from: '[secret]', to: '[secret]' },
          ],
        }),
      ]),
    );
    assert.match(markdown, /^- {5}line 40\n\+ {5}other$/m);
    assert.doesNotMatch(markdown, /line 20/);
    assert.match(markdown, /^! key: \[secret\]$/m);
  });

  it('warns of what is deleted or replaced, of data first', () => {
    const steps = [
      step(deployment, 'orders', 'replace'),
      step(database, 'orders-database', 'delete', { sql: ['DROP DATABASE "orders"'] }),
      step('kubernetes:core/v1:PersistentVolumeClaim', 'files', 'replace'),
      step('kubernetes:core/v1:ConfigMap', 'settings', 'update'),
    ];
    assert.deepEqual(
      losses(steps).map((loss) => loss.step.name),
      ['orders-database', 'files'],
    );
    const markdown = planMarkdown(plan(steps, { warnings: ['the certificate ends soon'] }));
    assert.match(
      markdown,
      /> \[!CAUTION\]\n> Takes away data:\n>\n> - `Database orders-database is deleted: every table/,
    );
    assert.match(markdown, /> - `PersistentVolumeClaim files is replaced: what is on the volume`/);
    assert.match(markdown, /> Deletes or replaces:\n>\n> - `Deployment orders is replaced`\n\n/);
    assert.match(markdown, /> The engine warns:\n>\n> - `the certificate ends soon`/);
    const order = [...markdown.matchAll(/<summary>\S+ (\w+) /g)].map(([, operation]) => operation);
    assert.deepEqual(order, ['delete', 'replace', 'replace', 'change']);
  });

  it('says that nothing changes', () => {
    assert.match(planMarkdown(plan([], { counts: { same: 54 } })), /\n\*\*No changes\*\*, 54 unchanged\n$/);
  });

  it('never lets a text become markup, a link or a mention', () => {
    const of = (value: (position: number) => string, given: readonly PropertyChange[]): string =>
      planMarkdown(
        plan(
          [
            step(`x:index:${value(0)}`, value(1), 'update', { changes: given, sql: [value(2)] }),
            step(database, value(3), 'delete'),
            step(`y:${value(4)}`, value(5), 'replace'),
          ],
          { warnings: [value(6)], errors: [value(7)] },
        ),
      );
    const plainChanges = [{ path: 'path', from: 'a', to: 'b' }];
    const expected = rendered(of(() => 'word', plainChanges));
    fc.assert(
      fc.property(fc.array(text, { minLength: 8, maxLength: 8 }), changes, (values, given) => {
        const shown = rendered(of((position) => values[position] || 'word', given));
        assert.equal(skeleton(shown), skeleton(expected));
        assert.equal(plainTexts(shown), plainTexts(expected));
        assert.doesNotMatch(plainTexts(shown), /@/);
      }),
      { numRuns: 500 },
    );
  });

  it('is never longer than GitHub takes, and stays whole Markdown when it is cut', () => {
    const size = fc.integer({ min: 1, max: 400 });
    fc.assert(
      fc.property(size, size, fc.integer({ min: 600, max: 66_000 }), text, (count, length, limit, odd) => {
        const long = Array.from({ length: 3 }, (_, index) => ({
          path: `p${index}`,
          to: `${odd}${'ä'.repeat(length)}`,
        }));
        const steps = Array.from({ length: count }, (_, index) =>
          step(deployment, `orders-${index}`, 'create', { changes: long, sql: ['SELECT 1'] }),
        );
        const markdown = planMarkdown(plan(steps), { limit, runUrl: 'https://github.example/run' });
        assert.ok(bytes(markdown) <= limit, `${bytes(markdown)} > ${limit}`);
        const html = skeleton(rendered(markdown));
        assert.equal(html.match(/\(details/g)?.length ?? 0, html.match(/\(summary/g)?.length ?? 0);
        assert.ok(!html.includes('(details(summary(details'));
        const opened = html.match(/\(details/g)?.length ?? 0;
        if (opened < count) assert.match(markdown, /… and \d+ more/);
      }),
      { numRuns: 60 },
    );
  });

  it('cuts what is longest and keeps what is short, and says where the whole is', () => {
    const huge = step(deployment, 'huge', 'update', {
      changes: Array.from({ length: 3000 }, (_, index) => ({
        path: `key${index}`,
        from: 'x'.repeat(20),
        to: 'y'.repeat(20),
      })),
    });
    const small = step(deployment, 'small', 'update', { changes: [{ path: 'spec.replicas', from: 1, to: 2 }] });
    const markdown = plansMarkdown([plan([huge]), plan([small])], { runUrl: 'https://github.example/run/1' });
    assert.ok(bytes(markdown) > 60_000 && bytes(markdown) <= 65_536, `${bytes(markdown)}`);
    assert.match(markdown, /^_Shortened to what GitHub takes: the whole is on \[the page of the run\]/);
    assert.match(markdown, /\n… \d+ more lines\n/);
    assert.match(markdown, /\+ spec\.replicas: 2/);
  });

  it('gives the same plan the same digest, and another plan another', () => {
    const one = step(deployment, 'a', 'update', { changes: [{ path: 'spec', from: { b: 1, a: 2 }, to: '[unknown]' }] });
    const two = step(database, 'b', 'create', { changes: [{ path: 'name', to: 'x' }] });
    const digest = digestOf([one, two]);
    assert.match(digest, /^[0-9a-f]{64}$/);
    assert.equal(
      digestOf([two, { ...one, changes: [{ path: 'spec', from: { a: 2, b: 1 }, to: '[unknown]' }] }]),
      digest,
    );
    assert.equal(digestOf([one, two, step(deployment, 'c', 'same')]), digest);
    const others = [
      [one],
      [one, { ...two, operation: 'replace' as const }],
      [one, { ...two, changes: [{ path: 'name', to: 'y' }] }],
      [one, { ...two, changes: [{ path: 'name', from: 'x' }] }],
      [one, { ...two, changes: [] }],
      [one, { ...two, urn: `${two.urn}2` }],
    ];
    const all = new Set(others.map(digestOf));
    assert.equal(all.size, others.length);
    assert.ok(!all.has(digest));
  });
});
