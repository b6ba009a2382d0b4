import { randomBytes } from 'node:crypto';

/** Where a request belongs: https://www.w3.org/TR/trace-context/#traceparent-header */
export interface TraceContext {
  readonly traceId: string;
  /** Of the caller's span; undefined where the trace begins here. */
  readonly parentId: string | undefined;
  readonly sampled: boolean;
}

export interface Span {
  /** @param error why it failed */
  end(attributes?: Readonly<Record<string, string | number>>, error?: Error): void;
}

/** Where spans go. An exporter of OpenTelemetry is put in here; without one nothing is recorded. */
export interface Tracer {
  start(name: string, context: TraceContext, attributes?: Readonly<Record<string, string | number>>): Span;
}

export const noTracer: Tracer = { start: () => ({ end: () => undefined }) };

/** The context that a caller sent, or a new one: a header that is malformed is ignored, as the recommendation says. */
export function traceContext(traceparent: string | string[] | undefined): TraceContext {
  const header = typeof traceparent === 'string' ? traceparent : '';
  const [, version, traceId = '', parentId = '', flags = ''] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/.exec(header) ?? [];
  const valid = version !== undefined && version !== 'ff' && !/^0+$/.test(traceId) && !/^0+$/.test(parentId);
  const wellFormed = valid && (version !== '00' || header.length === 55);
  if (!wellFormed) return { traceId: randomBytes(16).toString('hex'), parentId: undefined, sampled: false };
  return { traceId, parentId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
