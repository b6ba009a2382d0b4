import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Operation } from '../model.ts';
import type { OperationsService } from '../operations/service.ts';

/** Longest `Prefer: wait`, in seconds. */
const LONGEST_WAIT = 60;

/** Seconds of `Prefer: wait=N` (RFC 7240, section 4.3); undefined when it is not there, or makes no sense. */
export function preferredWait(header: string | undefined): number | undefined {
  for (const preference of (header ?? '').split(',')) {
    const [, seconds] = /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?$/i.exec(preference) ?? [];
    if (seconds !== undefined) return Math.min(Number(seconds), LONGEST_WAIT);
  }
  return undefined;
}

/** Waits as the caller prefers. @returns the operation when it has ended in time. */
export async function awaited(
  service: OperationsService,
  closing: AbortSignal,
  request: FastifyRequest,
  reply: FastifyReply,
  id: string,
): Promise<Operation | undefined> {
  const { prefer } = request.headers;
  const seconds = preferredWait(typeof prefer === 'string' ? prefer : undefined);
  if (seconds === undefined) return undefined;
  reply.header('preference-applied', `wait=${seconds}`);
  const left = new AbortController();
  const leave = () => left.abort();
  reply.raw.once('close', leave);
  try {
    const signal = AbortSignal.any([left.signal, closing]);
    const operation = await service.wait(id, seconds * 1000, signal);
    return operation.status === 'queued' || operation.status === 'running' ? undefined : operation;
  } finally {
    reply.raw.off('close', leave);
  }
}
