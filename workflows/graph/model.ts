/** The dependency graph of a stack: what is drawn, and which arrows. Pure. */

/** One resource, as an exported state or a saved plan has it. */
export interface GraphResource {
  readonly urn: string;
  readonly type: string;
  /** Not of a component. */
  readonly custom?: boolean;
  readonly parent?: string;
  readonly dependencies?: readonly string[];
}

/** From what is needed to what needs it. */
export type Edge = readonly [from: string, to: string];

export const nameOf = (urn: string): string => urn.slice(urn.lastIndexOf('::') + 2);
export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** `kubernetes:apps/v1:Deployment` as `Deployment`, `random:index/randomPassword:RandomPassword` as `RandomPassword`. */
export const kindOf = (type: string): string => type.slice(type.lastIndexOf(':') + 1);

export function isComponent(resource: GraphResource): boolean {
  return resource.custom !== true;
}

/** What is drawn, in a fixed order: not the stack itself, and no providers. */
export function shownOf(resources: readonly GraphResource[]): GraphResource[] {
  return resources
    .filter(({ type }) => type !== 'pulumi:pulumi:Stack' && !type.startsWith('pulumi:providers:'))
    .toSorted((a, b) => byText(a.urn, b.urn));
}

/** The dependencies between resources that are not components, as the engine recorded them. */
export function dependencyEdges(shown: readonly GraphResource[]): Edge[] {
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

/** The outermost component of each resource, itself where it is in none, by URN. */
export function outermostUrns(shown: readonly GraphResource[]): ReadonlyMap<string, string> {
  const known = new Map(shown.map((resource) => [resource.urn, resource]));
  const outermost = (resource: GraphResource): GraphResource => {
    const parent = known.get(resource.parent ?? '');
    return parent === undefined ? resource : outermost(parent);
  };
  return new Map(shown.map((resource) => [resource.urn, outermost(resource).urn]));
}

/** What is drawn with one node for each outermost component, or resource without one. */
export interface Overview {
  readonly nodes: readonly {
    readonly resource: GraphResource;
    /** The resources inside, which are no components; the resource itself where it is none. */
    readonly inside: readonly GraphResource[];
  }[];
  /** For at least one dependency of a resource of the one on a resource of the other; none that others imply. */
  readonly edges: readonly Edge[];
}

export function overviewOf(resources: readonly GraphResource[]): Overview {
  const shown = shownOf(resources);
  const outermost = outermostUrns(shown);
  const inside = new Map<string, GraphResource[]>();
  for (const resource of shown.filter((candidate) => !isComponent(candidate))) {
    const urn = outermost.get(resource.urn) as string;
    inside.set(urn, [...(inside.get(urn) ?? []), resource]);
  }
  const nodes = shown
    .filter(({ urn }) => outermost.get(urn) === urn)
    .map((resource) => ({ resource, inside: inside.get(resource.urn) ?? [] }));
  const edges = dependencyEdges(shown).map(
    ([from, to]): Edge => [outermost.get(from) as string, outermost.get(to) as string],
  );
  return { nodes, edges: withoutImplied(edges) };
}
