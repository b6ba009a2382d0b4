import { Graph as LayoutGraph, layout } from '@dagrejs/dagre';
import type { Graph } from '../../../client/src/index.ts';

export interface Box {
  readonly urn: string;
  readonly title: string;
  readonly kind: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly Box[];
  /** Path data of SVG, from what needs to what is needed. */
  readonly lines: readonly { readonly key: string; readonly path: string }[];
}

const HEIGHT = 44;
const MARGIN = 8;
/** About the width of a character of the drawing's font, in pixels. */
const CHARACTER = 7.6;

/** Where the boxes and lines of a dependency graph go: what is needed stands left of what needs it. */
export function draw(graph: Graph): Drawing {
  const laidOut = new LayoutGraph();
  laidOut.setGraph({ rankdir: 'RL', nodesep: 16, ranksep: 48, marginx: MARGIN, marginy: MARGIN });
  laidOut.setDefaultEdgeLabel(() => ({}));
  const known = new Map(graph.nodes.map((node) => [node.urn, node]));
  for (const { urn, type, name } of graph.nodes) {
    const kind = type.slice(type.lastIndexOf(':') + 1);
    laidOut.setNode(urn, { width: Math.max(name.length, kind.length) * CHARACTER + 24, height: HEIGHT });
  }
  // A parent that is no resource of the list (the stack itself) would be drawn as an empty box.
  const edges = graph.edges.filter(({ from, to }) => known.has(from) && known.has(to));
  for (const { from, to } of edges) laidOut.setEdge(from, to);
  layout(laidOut);
  const size = laidOut.graph();
  return {
    width: Math.ceil(size.width ?? 0),
    height: Math.ceil(size.height ?? 0),
    boxes: graph.nodes.map(({ urn, type, name }) => {
      const { x = 0, y = 0, width = 0, height = 0 } = laidOut.node(urn);
      const kind = type.slice(type.lastIndexOf(':') + 1);
      return { urn, title: name, kind, x: x - width / 2, y: y - height / 2, width, height };
    }),
    lines: edges.map(({ from, to }) => {
      const points: readonly { x: number; y: number }[] = laidOut.edge({ v: from, w: to }).points ?? [];
      const path = points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`);
      return { key: `${from} ${to}`, path: path.join(' ') };
    }),
  };
}
