import {
  type Context,
  DiagLogLevel,
  diag,
  SpanKind as Kind,
  ROOT_CONTEXT,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { SpanKind, TraceContext, Tracer } from './trace.ts';

/** For the last spans to be sent, in milliseconds. */
const LAST = 3_000;

const KINDS: Readonly<Record<SpanKind, Kind>> = {
  request: Kind.SERVER,
  operation: Kind.CONSUMER,
  internal: Kind.INTERNAL,
};

/**
 * Sends spans by OTLP over HTTP, in JSON, to the endpoint of `OTEL_EXPORTER_OTLP_ENDPOINT` or
 * `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`. Headers, certificates, sampling and batches are set by the variables of
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ as well.
 *
 * @param log told when spans cannot be sent
 */
export function createTracer(log: { warn(values: object, message: string): void }): Tracer {
  const warn = (message: string, ...details: unknown[]) =>
    log.warn({ details: details.map(String).join(' ') || undefined }, `tracing: ${message}`);
  const quiet = () => undefined;
  diag.setLogger(
    { error: warn, warn, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  const provider = new BasicTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'operations-api' }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  const tracer = provider.getTracer('development-operations');
  return {
    start: (name, kind, parent, attributes) => {
      const span = tracer.startSpan(name, { kind: KINDS[kind], attributes }, contextOf(parent));
      const { traceId, spanId, traceFlags } = span.spanContext();
      return {
        context: { traceId, parentId: spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 },
        end: (further = {}, failure = undefined) => {
          span.setAttributes(further);
          if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
          span.end();
        },
      };
    },
    close: async () => {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, LAST);
      });
      await Promise.race([provider.shutdown().catch((error: Error) => warn(error.message)), late]);
      clearTimeout(timer);
    },
  };
}

function contextOf({ traceId, parentId, sampled }: TraceContext): Context {
  if (parentId === undefined) return ROOT_CONTEXT;
  const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: parentId, traceFlags, isRemote: true });
}
