import { useMemo } from 'preact/hooks';
import type { Graph } from '../../../client/src/index.ts';
import { draw } from './layout.ts';
import { kindOf } from './steps.tsx';

/** The dependency graph as a picture, and the same as a list for who cannot see it. */
export function GraphView({ graph }: { graph: Graph }) {
  const drawing = useMemo(() => draw(graph), [graph]);
  if (graph.nodes.length === 0) return <p>There are no resources yet.</p>;
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
      <section class="scroll graph" aria-label="Drawing of the dependency graph" tabIndex={0}>
        <svg
          role="img"
          aria-label={`${graph.nodes.length} resources and what they need; the same as a list below`}
          width={drawing.width}
          height={drawing.height}
          viewBox={`0 0 ${drawing.width} ${drawing.height}`}
        >
          <defs>
            <marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">
              <path d="M0 0 L8 4 L0 8 z" class="arrow" />
            </marker>
          </defs>
          {drawing.lines.map(({ key, path }) => (
            <path key={key} d={path} class="edge" marker-end="url(#arrow)" />
          ))}
          {drawing.boxes.map(({ urn, title, kind, x, y, width, height }) => (
            <g key={urn} transform={`translate(${x} ${y})`}>
              <rect class={`node ${kind}`} width={width} height={height} rx="4" />
              <text class="kind" x="12" y="17">
                {kind}
              </text>
              <text class="name" x="12" y="34">
                {title}
              </text>
            </g>
          ))}
        </svg>
      </section>
      <details>
        <summary>The graph as a list</summary>
        <GraphList graph={graph} />
      </details>
    </>
  );
}

function GraphList({ graph }: { graph: Graph }) {
  const names = new Map(graph.nodes.map(({ urn, type, name }) => [urn, `${kindOf(type)} ${name}`]));
  return (
    <ul>
      {graph.nodes.map(({ urn }) => {
        const needs = graph.edges
          .filter(({ from, to }) => from === urn && names.has(to))
          .map(({ to }) => names.get(to));
        return (
          <li key={urn}>
            {names.get(urn)}
            {needs.length > 0 ? ` needs ${needs.join(', ')}` : ' needs nothing'}
          </li>
        );
      })}
    </ul>
  );
}
