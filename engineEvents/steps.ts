import type { PropertyChange, Step, StepOperation } from './model.ts';

/** The parts that are read here of what the engine writes to its event log (`apitype.EngineEvent`). */
export interface EngineEvent {
  readonly timestamp?: number;
  readonly resourcePreEvent?: { readonly metadata: StepMetadata; readonly planning?: boolean };
  readonly resOutputsEvent?: { readonly metadata: StepMetadata; readonly planning?: boolean };
  readonly resOpFailedEvent?: { readonly metadata: StepMetadata };
  readonly diagnosticEvent?: {
    readonly urn?: string;
    readonly message: string;
    readonly severity: string;
    readonly ephemeral?: boolean;
  };
}

export interface StepMetadata {
  readonly op: string;
  readonly urn: string;
  readonly type: string;
  readonly old?: StepState | null;
  readonly new?: StepState | null;
  readonly diffs?: readonly string[] | null;
  readonly detailedDiff?: Readonly<Record<string, { readonly diffKind: string; readonly inputDiff: boolean }>> | null;
}

interface StepState {
  readonly inputs?: Readonly<Record<string, unknown>> | null;
  readonly outputs?: Readonly<Record<string, unknown>> | null;
}

/** Statements of a step; see `plugins/postgresql/statements.ts`. */
export type Statements = (step: {
  readonly type: string;
  readonly operation: 'create' | 'update' | 'replace' | 'delete';
  readonly olds: Readonly<Record<string, unknown>>;
  readonly news: Readonly<Record<string, unknown>>;
  readonly diffs?: readonly string[];
}) => string[];

/** What the engine does in parts is one operation for the reader. */
const OPERATIONS: Readonly<Record<string, StepOperation>> = {
  create: 'create',
  'create-replacement': 'replace',
  delete: 'delete',
  update: 'update',
  replace: 'replace',
  read: 'read',
  import: 'create',
  same: 'same',
};

/** The engine's marks for what it does not tell. */
const UNKNOWN_MARK = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';
const SIGNATURE = '4dabf18193072939515e22adb298388d';

/** The step as a caller sees it; undefined for the stack itself, components, providers and halves of replacements. */
export function stepOf(metadata: StepMetadata, statements: Statements): Step | undefined {
  const { urn, type } = metadata;
  const operation = OPERATIONS[metadata.op];
  if (!operation || type.startsWith('pulumi:') || type.startsWith('development-operations:')) return undefined;
  const olds = metadata.old?.inputs ?? {};
  const news = metadata.new?.inputs ?? {};
  const sql =
    operation === 'same' || operation === 'read' || !type.startsWith('postgresql:')
      ? []
      : statements({ type, operation, olds, news: operation === 'delete' ? {} : news, diffs: changed(metadata) });
  return { urn, type, name: urn.split('::').at(-1) ?? urn, operation, changes: changes(metadata, operation), sql };
}

/** Paths of the properties that change. */
function changed({ detailedDiff, diffs }: StepMetadata): string[] {
  const paths = Object.keys(detailedDiff ?? {});
  return paths.length > 0 ? paths : [...(diffs ?? [])];
}

function changes(metadata: StepMetadata, operation: StepOperation): PropertyChange[] {
  const olds = metadata.old?.inputs ?? {};
  const news = metadata.new?.inputs ?? {};
  if (operation === 'create') return entries(news).map(([path, to]) => ({ path, to: shown(to) }));
  if (operation === 'delete') return entries(olds).map(([path, from]) => ({ path, from: shown(from) }));
  if (operation === 'same' || operation === 'read') return [];
  const named = changed(metadata);
  // Compared with what the server has, where the refreshed state differs from the inputs of before.
  const before = { ...metadata.old?.outputs, ...olds };
  return named.sort().map((path) => {
    const live = metadata.old?.outputs?.[path];
    return { path, from: shown(live ?? at(before, path)), to: shown(at(news, path)) };
  });
}

function entries(values: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(values)
    .filter(([key]) => !key.startsWith('__'))
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A value at a path such as `roles[0]`, `metadata.name` or `metadata.labels["app.kubernetes.io/name"]`. */
export function at(values: unknown, path: string): unknown {
  return [...path.matchAll(PATH_PART)]
    .map(([, quoted, plain]) => quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '')
    .reduce<unknown>((value, part) => (value as Record<string, unknown> | null | undefined)?.[part], values);
}

const PATH_PART = /\["((?:[^"\\]|\\.)*)"\]|([^.[\]]+)/g;

/** A value as a reader sees it. */
export function shown(value: unknown): unknown {
  if (value === UNKNOWN_MARK) return '[unknown]';
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value === 'object' && value !== null) {
    if (SIGNATURE in value) return '[secret]';
    return Object.fromEntries(entries(value as Record<string, unknown>).map(([key, inner]) => [key, shown(inner)]));
  }
  return value ?? null;
}
