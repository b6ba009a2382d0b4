import type { FastifyRequest } from 'fastify';
import type { ServiceError } from '../errors.ts';
import type { OperationsService } from '../operations/service.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { actionName, HiddenError } from './access.ts';

/** Refusals that are being written at once; a flood of them must not take the records' connections. */
const MOST = 32;

/**
 * Writes refusals to the audit log, in the background: what was not allowed, and changes that were not valid. What the
 * service refused itself it has written.
 */
export function createRefusalLog(
  service: OperationsService,
  metrics: Metrics,
): { refused(request: FastifyRequest, error: ServiceError): void; settled(): Promise<unknown> } {
  const open = new Set<Promise<void>>();

  const write = async (request: FastifyRequest): Promise<void> => {
    const { caller } = request;
    try {
      await service.refused({
        ...request.about,
        caller: caller ? `${caller.issuer}#${caller.subject}` : 'anonymous',
        action: actionName(request),
        planHash: null,
        result: 'refused',
        requestId: request.id,
      });
    } catch (error) {
      metrics.auditLost();
      request.log.error({ error }, 'the audit log cannot be written');
    }
  };

  return {
    refused: (request, error) => {
      const { code } = error;
      metrics.refused(code);
      const reads = request.method === 'GET' || request.method === 'HEAD';
      const denied = code === 'not-authenticated' || code === 'forbidden';
      const hidden = error instanceof HiddenError;
      if (request.handedOver || !(denied || hidden || (!reads && code === 'invalid-request'))) return;
      if (open.size >= MOST) {
        metrics.auditLost();
        request.log.warn(
          { code, action: actionName(request) },
          'a refusal is not in the audit log: there are too many',
        );
        return;
      }
      const writing = write(request).finally(() => open.delete(writing));
      open.add(writing);
    },
    settled: () => Promise.all(open),
  };
}
