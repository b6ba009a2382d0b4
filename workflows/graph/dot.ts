/**
 * The dependency graph of a stack as Graphviz source. Coloured by what the resources are of, or by what a plan does with
 * them. Pure.
 */

import type { StepOperation } from '../../engineEvents/model.ts';
import {
  byText,
  dependencyEdges,
  type Edge,
  type GraphResource,
  isComponent,
  kindOf,
  nameOf,
  overviewOf,
  shownOf,
  withoutImplied,
} from './model.ts';
import { CHANGE_COLOURS, UNCHANGED } from './operations.ts';

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

/** What a plan does, by URN; what is in none stays as it is. */
export type Operations = ReadonlyMap<string, StepOperation>;

const quote = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
const lines = (...text: readonly string[]): string => text.map((line) => quote(line).slice(1, -1)).join('\\n');

function colourOf({ type, urn }: GraphResource, operations: Operations | undefined): string {
  if (!operations) return colours[type.split(':')[0] ?? ''] ?? otherColour;
  const operation = operations.get(urn);
  return (operation && CHANGE_COLOURS[operation]) ?? UNCHANGED;
}

function drawEdges(edges: readonly Edge[]): string[] {
  return edges.map(([from, to]) => `  ${quote(from)} -> ${quote(to)};`);
}

/** `orders-database-role-reader`, a Role inside `orders-database`, as `reader`: the rest is drawn around it. */
function shortName(resource: GraphResource, parent: GraphResource | undefined): string {
  const kind = kindOf(resource.type).toLowerCase();
  const prefixes = [...(parent === undefined ? [] : [`${nameOf(parent.urn)}-`]), `${kind}-`, `${kind}/`];
  return prefixes.reduce(
    (name, prefix) => (name.startsWith(prefix) && name.length > prefix.length ? name.slice(prefix.length) : name),
    nameOf(resource.urn),
  );
}

/** Graphviz source of all resources: a node each, a box around those of a component. Pure. */
export function toDot(resources: readonly GraphResource[], operations?: Operations): string {
  const shown = shownOf(resources);
  const known = new Map(shown.map((resource) => [resource.urn, resource]));
  const children = new Map<GraphResource | undefined, GraphResource[]>();
  for (const resource of shown) {
    const parent = known.get(resource.parent ?? '');
    children.set(parent, [...(children.get(parent) ?? []), resource]);
  }
  const draw = (parent: GraphResource | undefined, indent: string): string[] =>
    (children.get(parent) ?? []).flatMap((resource) => {
      const label = lines(kindOf(resource.type), shortName(resource, parent));
      if (!isComponent(resource)) {
        return [`${indent}${quote(resource.urn)} [label="${label}", fillcolor="${colourOf(resource, operations)}"];`];
      }
      return [
        `${indent}subgraph ${quote(`cluster_${resource.urn}`)} {`,
        `${indent}  label="${label}"; style="rounded"; color="#6c757d"; margin=10;`,
        ...draw(resource, `${indent}  `),
        `${indent}}`,
      ];
    });
  return [...header, ...draw(undefined, '  '), ...drawEdges(withoutImplied(dependencyEdges(shown))), '}', ''].join(
    '\n',
  );
}

/**
 * Graphviz source with one node for each outermost component (or resource without one), and what is in it. An arrow
 * stands for at least one dependency of a resource of the one on a resource of the other. Pure.
 */
export function toOverviewDot(resources: readonly GraphResource[]): string {
  const { nodes, edges } = overviewOf(resources);
  const drawn = nodes.map(({ resource, inside }) => {
    const members = isComponent(resource) ? inside : [];
    const label = lines(`${kindOf(resource.type)} ${nameOf(resource.urn)}`, ...contents(members));
    return `  ${quote(resource.urn)} [label="${label}", fillcolor="${mostFrequentColour(members, resource)}"];`;
  });
  return [...header, ...drawn, ...drawEdges(edges), '}', ''].join('\n');
}

function frequencies(values: readonly string[]): [value: string, count: number][] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].toSorted((a, b) => b[1] - a[1] || byText(a[0], b[0]));
}

/** `8 Grant, 3 Role` in lines of three kinds. */
function contents(inside: readonly GraphResource[]): string[] {
  const parts = frequencies(inside.map(({ type }) => kindOf(type))).map(([kind, count]) => `${count} ${kind}`);
  return parts.flatMap((_, index) => (index % 3 === 0 ? [parts.slice(index, index + 3).join(', ')] : []));
}

function mostFrequentColour(inside: readonly GraphResource[], resource: GraphResource): string {
  return frequencies(inside.map((one) => colourOf(one, undefined)))[0]?.[0] ?? colourOf(resource, undefined);
}
