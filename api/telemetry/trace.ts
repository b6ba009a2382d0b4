import { randomBytes } from 'node:crypto';

/** Where something belongs: https://www.w3.org/TR/trace-context/#traceparent-header */
export interface TraceContext {
  readonly traceId: string;
  /** The span that it belongs to, in this service or of its caller; undefined where the trace begins here. */
  readonly parentId: string | undefined;
  readonly sampled: boolean;
}

export type Attributes = Readonly<Record<string, string | number>>;

export interface Span {
  /** Of what belongs to this span. */
  readonly context: TraceContext;
  /** @param failure why it failed, in words that may leave the service */
  end(attributes?: Attributes, failure?: string): void;
}

/** What a span is about: an answered request, work that was taken from a queue, or a part of either. */
export type SpanKind = 'request' | 'operation' | 'internal';

/** Where spans go: see tracing.ts. */
export interface Tracer {
  start(name: string, kind: SpanKind, parent: TraceContext, attributes?: Attributes): Span;
  /** Sends what was not sent; gives up after a few seconds. */
  close(): Promise<void>;
}

/** Records nothing. */
export const noTracer: Tracer = {
  start: (_name, _kind, context) => ({ context, end: () => undefined }),
  close: async () => undefined,
};

/** The context that a caller sent, or a new one: a header that is malformed is ignored, as the recommendation says. */
export function traceContext(traceparent: string | readonly string[] | null | undefined): TraceContext {
  const header = typeof traceparent === 'string' ? traceparent : '';
  const [, version, traceId = '', parentId = '', flags = ''] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/.exec(header) ?? [];
  const valid = version !== undefined && version !== 'ff' && !/^0+$/.test(traceId) && !/^0+$/.test(parentId);
  const wellFormed = valid && (version !== '00' || header.length === 55);
  if (!wellFormed) return { traceId: randomBytes(16).toString('hex'), parentId: undefined, sampled: false };
  return { traceId, parentId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** The header for a context; undefined where there is no span that something could belong to. */
export function traceparent({ traceId, parentId, sampled }: TraceContext): string | undefined {
  return parentId === undefined ? undefined : `00-${traceId}-${parentId}-${sampled ? '01' : '00'}`;
}
