/**
 * `npm run graph [-- FILE.svg]`: draws the dependency graph of the running local stack, from its state: FILE.svg with
 * every resource, and FILE-overview.svg with one node for each component. An arrow points from what is needed to what
 * needs it; one that follows from others is left out.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { instance } from '@viz-js/viz';
import { exportStack, type StateResource } from './stack.ts';

const root = join(import.meta.dirname, '..');
const colours: Readonly<Record<string, string>> = {
  kubernetes: '#cfe2ff',
  postgresql: '#d1e7dd',
  'docker-build': '#fff3cd',
  docker: '#fff3cd',
  random: '#e2d9f3',
};
const otherColour = '#f8f9fa';
const header = [
  'digraph stack {',
  '  rankdir=LR; ranksep=0.5; nodesep=0.15; fontname="Helvetica"; fontsize=12;',
  // Room beside the text: viewers without this font take a wider one.
  '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11, margin="0.35,0.06", color="#495057"];',
  '  edge [color="#6c757d", arrowsize=0.6];',
];

/** From what is needed to what needs it. */
export type Edge = readonly [from: string, to: string];

const nameOf = (urn: string): string => urn.slice(urn.lastIndexOf('::') + 2);
const quote = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
const lines = (...text: readonly string[]): string => text.map((line) => quote(line).slice(1, -1)).join('\\n');
const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** `kubernetes:apps/v1:Deployment` as `Deployment`, `random:index/randomPassword:RandomPassword` as `RandomPassword`. */
const kindOf = (type: string): string => type.slice(type.lastIndexOf(':') + 1);
const colourOf = (type: string): string => colours[type.split(':')[0] ?? ''] ?? otherColour;

function isComponent(resource: StateResource): boolean {
  return resource.custom !== true;
}

/** What is drawn, in a fixed order: not the stack itself, and no providers. */
function shownOf(resources: readonly StateResource[]): StateResource[] {
  return resources
    .filter(({ type }) => type !== 'pulumi:pulumi:Stack' && !type.startsWith('pulumi:providers:'))
    .toSorted((a, b) => byText(a.urn, b.urn));
}

/** The dependencies between resources that are not components, as the engine recorded them. */
function dependencyEdges(shown: readonly StateResource[]): Edge[] {
  const drawn = new Set(shown.filter((resource) => !isComponent(resource)).map(({ urn }) => urn));
  return shown
    .filter(({ urn }) => drawn.has(urn))
    .flatMap(({ urn, dependencies = [] }) =>
      dependencies.filter((needed) => drawn.has(needed)).map((needed): Edge => [needed, urn]),
    );
}

/**
 * Leaves out every arrow that others imply: what can be reached from where stays the same. In cycles as well, as each
 * arrow is judged by those that are still there. Pure.
 */
export function withoutImplied(edges: readonly Edge[]): Edge[] {
  const targets = new Map<string, Set<string>>();
  for (const [from, to] of edges) {
    if (from !== to) targets.set(from, (targets.get(from) ?? new Set()).add(to));
  }
  const reaches = (from: string, to: string): boolean => {
    const seen = new Set([from]);
    for (const node of seen) {
      if (node === to) return true;
      for (const next of targets.get(node) ?? []) seen.add(next);
    }
    return false;
  };
  for (const from of [...targets.keys()].toSorted(byText)) {
    const direct = targets.get(from) as Set<string>;
    for (const to of [...direct].toSorted(byText)) {
      direct.delete(to);
      if (!reaches(from, to)) direct.add(to);
    }
  }
  return [...targets.entries()]
    .flatMap(([from, direct]) => [...direct].map((to): Edge => [from, to]))
    .toSorted((a, b) => byText(a[0], b[0]) || byText(a[1], b[1]));
}

function drawEdges(edges: readonly Edge[]): string[] {
  return withoutImplied(edges).map(([from, to]) => `  ${quote(from)} -> ${quote(to)};`);
}

/** `orders-database-role-reader`, a Role inside `orders-database`, as `reader`: the rest is drawn around it. */
function shortName(resource: StateResource, parent: StateResource | undefined): string {
  const kind = kindOf(resource.type).toLowerCase();
  const prefixes = [...(parent === undefined ? [] : [`${nameOf(parent.urn)}-`]), `${kind}-`, `${kind}/`];
  return prefixes.reduce(
    (name, prefix) => (name.startsWith(prefix) && name.length > prefix.length ? name.slice(prefix.length) : name),
    nameOf(resource.urn),
  );
}

/** Graphviz source of all resources: a node each, a box around those of a component. Pure. */
export function toDot(resources: readonly StateResource[]): string {
  const shown = shownOf(resources);
  const known = new Map(shown.map((resource) => [resource.urn, resource]));
  const children = new Map<StateResource | undefined, StateResource[]>();
  for (const resource of shown) {
    const parent = known.get(resource.parent ?? '');
    children.set(parent, [...(children.get(parent) ?? []), resource]);
  }
  const draw = (parent: StateResource | undefined, indent: string): string[] =>
    (children.get(parent) ?? []).flatMap((resource) => {
      const label = lines(kindOf(resource.type), shortName(resource, parent));
      if (!isComponent(resource)) {
        return [`${indent}${quote(resource.urn)} [label="${label}", fillcolor="${colourOf(resource.type)}"];`];
      }
      return [
        `${indent}subgraph ${quote(`cluster_${resource.urn}`)} {`,
        `${indent}  label="${label}"; style="rounded"; color="#6c757d"; margin=10;`,
        ...draw(resource, `${indent}  `),
        `${indent}}`,
      ];
    });
  return [...header, ...draw(undefined, '  '), ...drawEdges(dependencyEdges(shown)), '}', ''].join('\n');
}

/**
 * Graphviz source with one node for each outermost component (or resource without one), and what is in it. An arrow
 * stands for at least one dependency of a resource of the one on a resource of the other. Pure.
 */
export function toOverviewDot(resources: readonly StateResource[]): string {
  const shown = shownOf(resources);
  const known = new Map(shown.map((resource) => [resource.urn, resource]));
  const outermost = (resource: StateResource): StateResource => {
    const parent = known.get(resource.parent ?? '');
    return parent === undefined ? resource : outermost(parent);
  };
  const outermostUrn = new Map(shown.map((resource) => [resource.urn, outermost(resource).urn]));
  const members = new Map<string, StateResource[]>();
  for (const resource of shown.filter((candidate) => !isComponent(candidate))) {
    const urn = outermostUrn.get(resource.urn) as string;
    members.set(urn, [...(members.get(urn) ?? []), resource]);
  }
  const nodes = shown
    .filter(({ urn }) => outermostUrn.get(urn) === urn)
    .map((resource) => {
      const inside = isComponent(resource) ? (members.get(resource.urn) ?? []) : [];
      const label = lines(`${kindOf(resource.type)} ${nameOf(resource.urn)}`, ...contents(inside));
      return `  ${quote(resource.urn)} [label="${label}", fillcolor="${mostFrequentColour(inside, resource)}"];`;
    });
  const edges = dependencyEdges(shown).map(
    ([from, to]): Edge => [outermostUrn.get(from) as string, outermostUrn.get(to) as string],
  );
  return [...header, ...nodes, ...drawEdges(edges), '}', ''].join('\n');
}

function frequencies(values: readonly string[]): [value: string, count: number][] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].toSorted((a, b) => b[1] - a[1] || byText(a[0], b[0]));
}

/** `8 Grant, 3 Role` in lines of three kinds. */
function contents(inside: readonly StateResource[]): string[] {
  const parts = frequencies(inside.map(({ type }) => kindOf(type))).map(([kind, count]) => `${count} ${kind}`);
  return parts.flatMap((_, index) => (index % 3 === 0 ? [parts.slice(index, index + 3).join(', ')] : []));
}

function mostFrequentColour(inside: readonly StateResource[], resource: StateResource): string {
  return frequencies(inside.map(({ type }) => colourOf(type)))[0]?.[0] ?? colourOf(resource.type);
}

/** For screen readers: Graphviz gives a title to the drawing's parts, but none to the whole. */
function withTitle(svg: string, title: string): string {
  return svg.replace(/<svg [^>]*>/, (start) => `${start}\n<title>${title}</title>`);
}

async function main(file: string): Promise<void> {
  const { resources } = await exportStack(root, 'local');
  const viz = await instance();
  const overview = `${file.replace(/\.svg$/, '')}-overview.svg`;
  await mkdir(dirname(file), { recursive: true });
  const draw = (dot: string, title: string): string => withTitle(viz.renderString(dot, { format: 'svg' }), title);
  await writeFile(file, draw(toDot(resources), 'Every resource of the stack and what it depends on'));
  await writeFile(overview, draw(toOverviewDot(resources), 'The components of the stack and what they depend on'));
  console.log(`${file}, ${overview}: ${shownOf(resources).length} resources and components`);
}

if (process.argv[1] === import.meta.filename) await main(resolve(process.argv[2] ?? join(root, 'docs', 'graph.svg')));
