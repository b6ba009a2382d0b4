import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Operation } from '../../model.ts';
import type { OperationsService } from '../../operations/service.ts';
import type { Access } from '../access.ts';
import { awaited } from '../waiting.ts';

/** What the routes work with. */
export interface RouteContext {
  readonly service: OperationsService;
  readonly access: Access;
  /** Fires when the service ends. */
  readonly closing: AbortSignal;
}

/** Answers with an operation that was asked for: 202, or 200 when the caller waited for its end. */
export async function answerLater(
  { service, closing }: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
  operation: Operation,
): Promise<Operation> {
  const ended = await awaited(service, closing, request, reply, operation.id);
  reply.header('location', `/v1/operations/${operation.id}`).code(ended ? 200 : 202);
  return ended ?? operation;
}
