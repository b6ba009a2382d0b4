import type { NewOrder } from '@example/orders-client';
import Fastify, { type FastifyInstance } from 'fastify';
import { Cursors } from './cursor.ts';
import { logOptions } from './log.ts';
import { answerError, answerNotFound, Refusal, sendProblem } from './problems.ts';
import { createHeaders, listQuery, newOrder, orderParameters } from './schema.ts';
import type { Settings } from './settings.ts';
import type { OrderStore } from './store.ts';

export interface ServerArguments {
  readonly settings: Settings;
  readonly store: OrderStore;
  /** Whether the process is on its way out: it still serves, but is not ready. */
  readonly draining: () => boolean;
}

/** The HTTP service; it does not listen yet. */
export function createServer(args: ServerArguments): FastifyInstance {
  const server = Fastify({
    logger: logOptions(args.settings.logLevel),
    bodyLimit: 64 * 1024,
    requestTimeout: 15_000,
    ajv: { customOptions: { allErrors: true, coerceTypes: false, removeAdditional: false } },
  });
  // A connection that stayed open after its answer would hold up the end; the caller's next one goes elsewhere.
  server.addHook('onSend', async (_request, reply) => {
    if (args.draining()) reply.header('connection', 'close');
  });
  server.setErrorHandler(answerError);
  server.setNotFoundHandler(answerNotFound);
  addProbes(server, args);
  addOrders(server, args);
  return server;
}

/** https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/ */
function addProbes(server: FastifyInstance, { store, draining }: ServerArguments): void {
  // Says nothing of the database: to start the process again would not bring it back.
  server.get('/healthz', { logLevel: 'warn' }, async () => ({ status: 'ok' }));

  server.get('/readyz', { logLevel: 'warn' }, async (request, reply) => {
    if (draining()) return sendProblem(reply, 503, 'the service is shutting down');
    try {
      await store.check();
    } catch (error) {
      request.log.warn({ err: error }, 'not ready');
      return sendProblem(reply, 503, readinessDetail(error));
    }
    return { status: 'ok' };
  });
}

/** SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html */
function readinessDetail(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === '42P01' || code === '42703' || code === '3F000') return 'the migrations have not run';
  if (code === '42501') return 'the role may not read the orders: check its grants';
  return 'the database is not available';
}

function addOrders(server: FastifyInstance, { settings, store }: ServerArguments): void {
  const cursors = new Cursors(settings.signingKey);

  server.post<{ Body: NewOrder; Headers: { 'idempotency-key'?: string } }>(
    '/orders',
    { schema: { body: newOrder, headers: createHeaders } },
    async (request, reply) => {
      const order = await store.create(request.body, request.headers['idempotency-key']);
      return reply.code(201).header('location', `/orders/${order.id}`).send(order);
    },
  );

  server.get<{ Params: { id: string } }>('/orders/:id', { schema: { params: orderParameters } }, async (request) => {
    const order = await store.get(request.params.id);
    if (!order) throw new Refusal(404, `there is no order ${request.params.id}`);
    return order;
  });

  server.get<{ Querystring: { limit?: string; after?: string } }>(
    '/orders',
    { schema: { querystring: listQuery } },
    async ({ query }) => {
      const after = query.after === undefined ? undefined : cursors.decode(query.after);
      if (query.after !== undefined && after === undefined) {
        const message = 'is not from a page of this service: start again with the first page';
        throw new Refusal(400, 'the querystring is not valid', [{ path: '/after', message }]);
      }
      const page = await store.list(query.limit === undefined ? settings.pageSize : Number(query.limit), after);
      return { orders: page.orders, ...(page.last !== undefined && { next: cursors.encode(page.last) }) };
    },
  );
}
