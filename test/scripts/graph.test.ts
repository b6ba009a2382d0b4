import assert from 'node:assert/strict';
import { instance } from '@viz-js/viz';
import fc from 'fast-check';
import { toDot, toOverviewDot } from '../../workflows/graph/dot.ts';
import { toMermaid } from '../../workflows/graph/mermaid.ts';
import { type Edge, type GraphResource, withoutImplied } from '../../workflows/graph/model.ts';

const urn = (type: string, name: string): string => `urn:pulumi:local::project::${type}::${name}`;

const stack: GraphResource = { urn: urn('pulumi:pulumi:Stack', 'project-local'), type: 'pulumi:pulumi:Stack' };

function component(type: string, name: string, parent: GraphResource = stack): GraphResource {
  const full = `development-operations:${type}`;
  return { urn: urn(full, name), type: full, parent: parent.urn };
}

function resource(type: string, name: string, parent: GraphResource, needs: readonly GraphResource[] = []) {
  return { urn: urn(type, name), type, custom: true, parent: parent.urn, dependencies: needs.map((need) => need.urn) };
}

const database = component('postgres:PostgresDatabase', 'orders-database');
const application = component('application:Application', 'orders');
const provider = resource('pulumi:providers:kubernetes', 'kubernetes', stack);
const role = resource('postgresql:index/role:Role', 'orders-database-role-reader', database, [provider]);
const schema = resource('postgresql:index/schema:Schema', 'orders-database-schema', database, [role]);
const secret = resource('kubernetes:core/v1:Secret', 'orders-database-secret', database, [role, schema]);
const job = resource('kubernetes:batch/v1:Job', 'orders-migrations', application, [secret, schema]);
const deployment = resource('kubernetes:apps/v1:Deployment', 'orders-deployment', application, [job, secret]);
const lone = resource('random:index/randomPet:RandomPet', 'lone', stack, [deployment]);
const all = [stack, provider, database, application, role, schema, secret, job, deployment, lone];

/** The edges of a Graphviz source, by name. */
function edges(dot: string): string[] {
  return [...dot.matchAll(/^ {2}"(.*)" -> "(.*)";$/gm)]
    .map((match) => match.slice(1).map((end) => end.slice(end.lastIndexOf('::') + 2)))
    .map(([from, to]) => `${from} -> ${to}`);
}

describe('scripts/graph', () => {
  it('draws every dependency that does not follow from others, from what is needed to what needs it', () => {
    assert.deepEqual(edges(toDot(all)).sort(), [
      'orders-database-role-reader -> orders-database-schema',
      'orders-database-schema -> orders-database-secret',
      'orders-database-secret -> orders-migrations',
      'orders-deployment -> lone',
      'orders-migrations -> orders-deployment',
    ]);
  });

  it('draws components as boxes with short labels, and neither the stack nor providers', () => {
    const dot = toDot(all);
    assert.match(dot, /label="PostgresDatabase\\norders-database"/);
    assert.match(dot, /label="Role\\nreader"/);
    assert.match(dot, /label="Job\\nmigrations"/);
    assert.match(dot, /label="RandomPet\\nlone"/);
    assert.doesNotMatch(dot, /pulumi:pulumi:Stack|pulumi:providers/);
  });

  it('does not depend on the order of the state', () => {
    assert.equal(toDot(all.toReversed()), toDot(all));
    assert.equal(toOverviewDot(all.toReversed()), toOverviewDot(all));
  });

  it('draws the overview with a node for each component and each resource outside of one', () => {
    const dot = toOverviewDot(all);
    assert.deepEqual(edges(dot), ['orders -> lone', 'orders-database -> orders']);
    assert.match(dot, /label="PostgresDatabase orders-database\\n1 Role, 1 Schema, 1 Secret"/);
    assert.match(dot, /label="Application orders\\n1 Deployment, 1 Job"/);
    assert.match(dot, /label="RandomPet lone"/);
  });

  it('counts what is in a component of a component for the outer one', () => {
    const inner = component('secrets:ApplicationSecrets', 'inner', application);
    const dot = toOverviewDot([...all, inner, resource('kubernetes:core/v1:Secret', 'inner-secret', inner)]);
    assert.match(dot, /label="Application orders\\n1 Deployment, 1 Job, 1 Secret"/);
    assert.doesNotMatch(dot, /ApplicationSecrets/);
  });

  it('makes sources that Graphviz reads, whatever the names', async () => {
    const viz = await instance();
    fc.assert(
      fc.property(fc.string({ maxLength: 20 }), fc.string({ maxLength: 20 }), (first, second) => {
        const odd = component('odd:Odd', `${first}\\"`);
        const member = resource('random:index/randomPet:RandomPet', `${second}"\\`, odd);
        for (const dot of [toDot([stack, odd, member]), toOverviewDot([stack, odd, member])]) {
          assert.equal(viz.render(dot).status, 'success');
        }
      }),
      { numRuns: 50 },
    );
  });

  it('draws what a plan does with the components as a diagram, in colours and words', () => {
    const done = new Map([
      [role.urn, 'delete'],
      [schema.urn, 'create'],
      [job.urn, 'create'],
      [lone.urn, 'create'],
    ] as const);
    const text = toMermaid(all, done) ?? '';
    assert.match(text, /^```mermaid\nflowchart LR\n/);
    assert.match(text, /\["PostgresDatabase orders-database<br>1 new, 1 deleted"\]:::delete\n/);
    assert.match(text, /\["Application orders<br>1 new"\]:::update\n/, 'what is there changes when something is added');
    assert.match(text, /\["RandomPet lone<br>1 new"\]:::create\n/);
    assert.match(toMermaid(all, new Map()) ?? '', /\["Application orders"\]:::same\n/);
    assert.match(toDot(all, done), /label="Role\\nreader", fillcolor="#ffa8a8"/);
    assert.match(toDot(all, done), /label="Deployment\\ndeployment", fillcolor="#f8f9fa"/);
  });

  it('keeps a name in a diagram a name, and draws none that is too large', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (name) => {
        const text = toMermaid([component('odd:Odd', `x${name}`)], new Map()) ?? '';
        const [, , node = ''] = text.split('\n');
        assert.match(node, /^ {2}n0\["Odd x[\p{L}\p{N} .,/_-]*"\]:::same$/u);
        assert.equal(text.split('\n').length, toMermaid([component('odd:Odd', 'x')], new Map())?.split('\n').length);
      }),
    );
    const many = Array.from({ length: 200 }, (_, index) => component('odd:Odd', `odd-${index}`));
    assert.equal(toMermaid(many, new Map()), undefined);
    assert.equal(toMermaid([], new Map()), undefined);
  });

  it('leaves out arrows without changing what can be reached, in cycles as well', () => {
    const nodes = ['a', 'b', 'c', 'd', 'e'];
    const edge = fc.tuple(fc.constantFrom(...nodes), fc.constantFrom(...nodes));
    fc.assert(
      fc.property(fc.array(edge, { maxLength: 20 }), (given: Edge[]) => {
        const kept = withoutImplied(given);
        for (const node of nodes) assert.deepEqual(reachable(node, kept), reachable(node, given));
        for (const [index] of kept.entries()) {
          const fewer = kept.toSpliced(index, 1);
          const [from, to] = kept[index] as Edge;
          assert.ok(!reachable(from, fewer).includes(to), `${from} -> ${to} follows from others`);
        }
      }),
    );
  });
});

function reachable(from: string, given: readonly Edge[]): string[] {
  const seen = new Set([from]);
  for (const node of seen) {
    for (const [start, end] of given) if (start === node) seen.add(end);
  }
  return [...seen].sort();
}
