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
