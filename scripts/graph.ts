/**
 * `npm run graph [-- FILE.svg]`: draws the dependency graph of the running local stack, from its state, as an SVG.
 * Components are boxes, resources their nodes, an arrow points from what is needed to what needs it.
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

const nameOf = (urn: string): string => urn.slice(urn.lastIndexOf('::') + 2);
const quote = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

/** `kubernetes:apps/v1:Deployment` as `Deployment`. */
const kindOf = (type: string): string => type.slice(type.lastIndexOf(':') + 1);

function isComponent(resource: StateResource): boolean {
  return resource.custom !== true;
}

/** Graphviz source of a stack's resources; providers and the stack itself are left out. Pure. */
export function toDot(resources: readonly StateResource[]): string {
  const shown = resources
    .filter(({ type }) => type !== 'pulumi:pulumi:Stack' && !type.startsWith('pulumi:providers:'))
    .toSorted((a, b) => a.urn.localeCompare(b.urn));
  const known = new Set(shown.map(({ urn }) => urn));
  const children = new Map<string, StateResource[]>();
  for (const resource of shown) {
    const parent = resource.parent !== undefined && known.has(resource.parent) ? resource.parent : '';
    children.set(parent, [...(children.get(parent) ?? []), resource]);
  }
  const draw = (parent: string, indent: string): string[] =>
    (children.get(parent) ?? []).flatMap((resource) => {
      const label = `${kindOf(resource.type)}\\n${nameOf(resource.urn).replaceAll('"', '')}`;
      if (!isComponent(resource)) {
        const fill = colours[resource.type.split(':')[0] ?? ''] ?? '#f8f9fa';
        return [`${indent}${quote(resource.urn)} [label="${label}", fillcolor="${fill}"];`];
      }
      return [
        `${indent}subgraph ${quote(`cluster_${resource.urn}`)} {`,
        `${indent}  label="${label}"; style="rounded"; color="#6c757d";`,
        ...draw(resource.urn, `${indent}  `),
        `${indent}}`,
      ];
    });
  const edges = shown.flatMap((resource) =>
    isComponent(resource)
      ? []
      : (resource.dependencies ?? [])
          .filter((urn) => known.has(urn) && !isComponent(shown.find((other) => other.urn === urn) ?? resource))
          .toSorted()
          .map((urn) => `  ${quote(urn)} -> ${quote(resource.urn)};`),
  );
  return [
    'digraph stack {',
    '  rankdir=LR; ranksep=0.6; nodesep=0.15; fontname="Helvetica"; fontsize=11;',
    '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=10, color="#495057"];',
    '  edge [color="#868e96", arrowsize=0.6];',
    ...draw('', '  '),
    ...edges,
    '}',
    '',
  ].join('\n');
}

async function main(file: string): Promise<void> {
  const { resources } = await exportStack(root, 'local');
  const viz = await instance();
  // Transitive reduction is left out: every arrow is a dependency that the engine recorded.
  const svg = viz.renderString(toDot(resources), { format: 'svg' });
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, svg);
  console.log(`${file}: ${resources.length} resources`);
}

if (process.argv[1] === import.meta.filename) await main(resolve(process.argv[2] ?? join(root, 'docs', 'graph.svg')));
