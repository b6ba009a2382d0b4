import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { OperationKind, OperationStatus } from '../model.ts';
import type { MetricsHooks } from '../operations/options.ts';

/** From 5 ms for a read to a minute for `Prefer: wait`. */
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const OPERATION_BUCKETS = [0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600];

export interface Metrics {
  readonly registry: Registry;
  /** For the operations. */
  readonly operations: MetricsHooks;
  /** @param route its pattern, or `unknown`: never the path, which would make a series each. */
  request(method: string, route: string, status: number, seconds: number): void;
  refused(code: string): void;
  /** An entry that the audit log could not take. */
  auditLost(): void;
  /** Asked when the metrics are read: how many operations wait. */
  observeQueue(length: () => Promise<number>): void;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time to answer a request',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: REQUEST_BUCKETS,
    registers,
  });
  const refusals = new Counter({
    name: 'http_requests_refused_total',
    help: 'Requests that were refused, by the code of the problem',
    labelNames: ['code'] as const,
    registers,
  });
  const auditLost = new Counter({
    name: 'audit_entries_lost_total',
    help: 'Refusals that could not be written to the audit log; they are in the log',
    registers,
  });

  return {
    registry,
    operations: operationMetrics(registers),
    request: (method, route, status, seconds) => requests.observe({ method, route, status: String(status) }, seconds),
    refused: (code) => refusals.inc({ code }),
    auditLost: () => auditLost.inc(),
    observeQueue: (length) => {
      new Gauge({
        name: 'operations_queued',
        help: 'Operations that wait to be begun, on all replicas together',
        registers,
        async collect() {
          // An unreachable database must not hide the other metrics.
          this.set(await length().catch(() => Number.NaN));
        },
      });
    },
  };
}

function operationMetrics(registers: Registry[]): MetricsHooks {
  const ended = new Counter({
    name: 'operations_total',
    help: 'Operations that have ended on this replica',
    labelNames: ['kind', 'status'] as const,
    registers,
  });
  const durations = new Histogram({
    name: 'operation_duration_seconds',
    help: 'Time from the start of an attempt to its end: the run of the engine',
    labelNames: ['kind', 'status'] as const,
    buckets: OPERATION_BUCKETS,
    registers,
  });
  const waits = new Histogram({
    name: 'operation_wait_seconds',
    help: 'Time from the request to the start',
    labelNames: ['kind'] as const,
    buckets: OPERATION_BUCKETS,
    registers,
  });
  const running = new Gauge({
    name: 'engine_runs',
    help: 'Runs of the engine at the moment, on this replica',
    registers,
  });
  const handedBack = new Counter({
    name: 'operations_handed_back_total',
    help: 'Runs that went back to the queue',
    labelNames: ['kind'] as const,
    registers,
  });
  const takenOver = new Counter({
    name: 'operations_taken_over_total',
    help: 'Operations of dead replicas that were taken over',
    registers,
  });
  return {
    started: (kind: OperationKind, waitedSeconds: number) => {
      running.inc();
      waits.observe({ kind }, waitedSeconds);
    },
    ended: (kind: OperationKind, status: OperationStatus, seconds: number) => {
      running.dec();
      ended.inc({ kind, status });
      durations.observe({ kind, status }, seconds);
    },
    handedBack: (kind: OperationKind) => {
      running.dec();
      handedBack.inc({ kind });
    },
    takenOver: (count: number) => takenOver.inc(count),
  };
}
