/**
 * The components of a stack and what a plan does with them, as a diagram that GitHub draws in comments and summaries
 * (Mermaid: https://mermaid.js.org/syntax/flowchart.html). Pure.
 */

import type { StepOperation } from '../../engineEvents/model.ts';
import type { Operations } from './dot.ts';
import { type GraphResource, isComponent, kindOf, nameOf, type Overview, overviewOf } from './model.ts';
import { CHANGE_COLOURS, strongest, UNCHANGED } from './operations.ts';

/** Mermaid draws no more (`maxTextSize` 50,000 characters, `maxEdges` 500); a picture that large tells nothing either. */
const MOST_NODES = 80;
const MOST_EDGES = 200;
const LONGEST_NAME = 60;

const WORDS: Readonly<Partial<Record<StepOperation, string>>> = {
  create: 'new',
  update: 'changed',
  replace: 'replaced',
  delete: 'deleted',
};

/**
 * A block of Markdown with the diagram; undefined when there is nothing to draw, or more than GitHub draws.
 *
 * @param resources after the plan, and those that it deletes
 */
export function toMermaid(resources: readonly GraphResource[], operations: Operations): string | undefined {
  const overview = overviewOf(resources);
  if (overview.nodes.length === 0 || overview.nodes.length > MOST_NODES || overview.edges.length > MOST_EDGES) {
    return undefined;
  }
  const ids = new Map(overview.nodes.map(({ resource }, index) => [resource.urn, `n${index}`]));
  const lines = [
    '```mermaid',
    'flowchart LR',
    ...overview.nodes.map((node, index) => `  n${index}${shape(node, operations)}`),
    ...overview.edges.map(([from, to]) => `  ${ids.get(from)} --> ${ids.get(to)}`),
    ...Object.entries(CHANGE_COLOURS).map(([operation, colour]) => classDefinition(operation, colour)),
    classDefinition('same', UNCHANGED),
    '```',
  ];
  return lines.join('\n');
}

function shape({ resource, inside }: Overview['nodes'][number], operations: Operations): string {
  const members = isComponent(resource) ? inside : [resource];
  const done = members.map(({ urn }) => operations.get(urn) ?? 'same');
  const changes = Object.entries(WORDS).flatMap(([operation, word]) => {
    const count = done.filter((one) => one === operation).length;
    return count === 0 ? [] : [`${count} ${word}`];
  });
  const label = [
    `${kindOf(resource.type)} ${nameOf(resource.urn)}`,
    ...(changes.length > 0 ? [changes.join(', ')] : []),
  ];
  return `["${label.map(labelText).join('<br>')}"]:::${strongest(done) ?? 'same'}`;
}

/** Of the characters that mean something to Mermaid, Markdown or HTML none is left: names keep theirs, others show "_". */
function labelText(text: string): string {
  return text.replace(/[^\p{L}\p{N} .,/-]/gu, '_').slice(0, LONGEST_NAME);
}

function classDefinition(name: string, colour: string): string {
  return `  classDef ${name} fill:${colour},stroke:#495057,color:#212529`;
}
