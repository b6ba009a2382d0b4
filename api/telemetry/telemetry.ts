import type { DestinationStream, Logger } from 'pino';
import { createLog } from './log.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { noTracer, type Tracer } from './trace.ts';

export interface Telemetry {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
}

/** @param options.level of the log: trace, debug, info, warn, error, silent. @default info */
export function createTelemetry(
  options: { readonly level?: string; readonly destination?: DestinationStream; readonly tracer?: Tracer } = {},
): Telemetry {
  return { log: createLog(options), metrics: createMetrics(), tracer: options.tracer ?? noTracer };
}

/** The variables that say where spans are sent; without them nothing of it is loaded. */
const ENDPOINTS = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'];

/** As `createTelemetry`, with spans sent where the environment says. */
export async function startTelemetry(environment: NodeJS.ProcessEnv = process.env): Promise<Telemetry> {
  const level = environment.LOG_LEVEL;
  const off = environment.OTEL_SDK_DISABLED === 'true' || !ENDPOINTS.some((name) => environment[name]);
  if (off) return createTelemetry({ level });
  const { createTracer } = await import('./tracing.ts');
  return createTelemetry({ level, tracer: createTracer(createLog({ level })) });
}
