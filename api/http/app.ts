import { randomUUID } from 'node:crypto';
import { type FastifyReply, type FastifyRequest, fastify, LogController } from 'fastify';
import type { ServiceError } from '../errors.ts';
import { type Span, type TraceContext, type Tracer, traceContext } from '../telemetry/trace.ts';
import { Access } from './access.ts';
import { collectMethods } from './allow.ts';
import { createRefusalLog } from './audit.ts';
import { LARGEST_BODY, parseBodies, readNumbers } from './body.ts';
import { answerClientError, clientProblem, methodNotAllowed, notFound } from './clientErrors.ts';
import { consoleFiles } from './console.ts';
import { describe } from './document.ts';
import { sendProblem, serviceErrorOf } from './problems.ts';
import { administrationRoutes } from './routes/administration.ts';
import { databaseRoutes } from './routes/databases.ts';
import { operationRoutes } from './routes/operations.ts';
import { planRoutes } from './routes/plans.ts';
import type { App, AppOptions } from './types.ts';

export type { App, AppOptions } from './types.ts';

/** What the gateway gives; other text is not taken over into the logs. */
const REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{7,63}$/;
/** Longer than a proxy keeps a connection that it does not use (nginx: 60 s): else it may use one that is closed. */
const KEEP_ALIVE = 75_000;
/** For a whole request to arrive, in milliseconds. */
const REQUEST_TIMEOUT = 30_000;
/** The path is read in full: what is too long is answered with its reason. */
const LONGEST_PARAMETER = 8192;

/** The service over HTTP; it does not listen yet. */
export async function createApp(options: AppOptions): Promise<App> {
  const { service, settings, verifier, telemetry } = options;
  const { log, metrics, tracer } = telemetry;
  const refusals = createRefusalLog(service, metrics);
  const access = new Access(settings);
  const closed = new AbortController();
  const closing = options.closing ? AbortSignal.any([options.closing, closed.signal]) : closed.signal;

  // Until the routes are there, there is none.
  let methodsOf: (path: string) => string[] = () => [];
  const app: App = fastify({
    loggerInstance: log as never,
    // Each request gets its logger below, with the trace.
    childLoggerFactory: (logger) => logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: ({ headers }) => requestId(headers['x-request-id']),
    bodyLimit: LARGEST_BODY,
    keepAliveTimeout: KEEP_ALIVE,
    requestTimeout: REQUEST_TIMEOUT,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: LONGEST_PARAMETER },
    // What is not described is refused, nothing is removed or converted, and every finding is told.
    ajv: { customOptions: { allErrors: true, coerceTypes: false, removeAdditional: false, useDefaults: false } },
    frameworkErrors: (error, request, reply) => {
      void sendProblem(request, reply, serviceErrorOf(error, request));
    },
    clientErrorHandler: (error, socket) =>
      answerClientError(
        socket,
        clientProblem(error, (path) => methodsOf(path)),
      ),
  }) as unknown as App;

  // The engine's own writer: what the service returns is typed, and nothing of it may get lost on the way.
  app.setSerializerCompiler(() => JSON.stringify);
  parseBodies(app);
  app.decorateRequest('caller', null);
  app.decorateRequest('callerUntil', 0);
  app.decorateRequest('trace', null);
  app.decorateRequest('span', null);
  app.decorateRequest('handedOver', false);
  app.decorateRequest('about');
  const optionalBodies = new Set<string>();
  app.decorate('optionalBodies', optionalBodies);
  methodsOf = collectMethods(app);

  app.addHook('onRoute', ({ url, config, schema }) => {
    if (!url.startsWith('/v1/')) return;
    // Without one nobody would be asked for a token.
    if (config?.action === undefined) throw new Error(`the route ${url} names no action`);
    if (config.optionalBody) optionalBodies.add(String(schema?.operationId));
  });
  app.addHook('onRequest', async (request, reply) => {
    const { action } = request.routeOptions.config;
    const parent = traceContext(request.headers.traceparent);
    request.span = action === undefined ? null : requestSpan(tracer, request, parent);
    request.trace = request.span?.context ?? parent;
    request.about = { environment: null, database: null, operationId: null };
    request.log = log.child({
      requestId: request.id,
      traceId: request.trace.traceId,
      parentId: request.trace.parentId,
    });
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff');
    // Before a body is read, which may have faults of its own.
    if (request.is404) throw nothingThere(request, reply);
    if (action === undefined) return;
    reply.header('cache-control', 'no-store');
    const { caller, expires } = await verifier.verify(request.headers.authorization);
    request.caller = caller;
    request.callerUntil = expires;
    access.requireAnywhere(caller, action);
  });
  app.addHook('preValidation', async (request) => {
    readNumbers(request);
    if (request.routeOptions.config.optionalBody && request.body === undefined) request.body = {};
  });
  app.addHook('preHandler', async (request) => {
    const { name } = request.params as { name?: string };
    request.about.database = name ?? null;
  });
  app.addHook('onSend', async (_request, reply) => {
    // A proxy shall not send the next request here.
    if (closing.aborted) reply.header('connection', 'close');
  });
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions, span, caller, about } = request;
    const route = routeOptions.url ?? 'unknown';
    const status = reply.statusCode;
    const seconds = reply.elapsedTime / 1000;
    metrics.request(method, route, status, seconds);
    span?.end({ 'http.response.status_code': status }, status >= 500 ? `it was answered ${status}` : undefined);
    const who = caller ? { issuer: caller.issuer, subject: caller.subject } : {};
    const level = status >= 500 ? 'error' : routeOptions.config.action === undefined ? 'debug' : 'info';
    const milliseconds = Math.round(reply.elapsedTime);
    request.log[level]({ method, route, path: request.url, status, milliseconds, ...who, ...about }, 'answered');
  });

  app.setErrorHandler(async (error, request, reply) => {
    const problem = serviceErrorOf(error, request);
    if (problem.code === 'internal-error') request.log.error({ error }, 'the request failed');
    refusals.refused(request, problem);
    return await sendProblem(request, reply, problem);
  });
  const nothingThere = (request: FastifyRequest, reply: FastifyReply): ServiceError => {
    const path = request.url.split('?', 1)[0] ?? '';
    const methods = methodsOf(path);
    if (methods.length > 0) reply.header('allow', methods.join(', '));
    return methods.length > 0 ? methodNotAllowed(request.method, path, methods) : notFound(path);
  };
  app.setNotFoundHandler(async (request, reply) => await sendProblem(request, reply, nothingThere(request, reply)));
  app.addHook('preClose', async () => closed.abort());
  app.addHook('onClose', async () => void (await refusals.settled()));

  await describe(app, settings.publicUrl);
  const context = { service, access, closing };
  planRoutes(app, context);
  databaseRoutes(app, context);
  operationRoutes(app, context);
  administrationRoutes(app, context);
  healthRoutes(app, options);
  if (options.consoleDirectory !== undefined) await consoleFiles(app, options.consoleDirectory, settings);
  return app;
}

function requestSpan(tracer: Tracer, { method, routeOptions, id }: FastifyRequest, parent: TraceContext): Span {
  const route = routeOptions.url ?? 'unknown';
  const attributes = { 'http.request.method': method, 'http.route': route, 'request.id': id };
  return tracer.start(`${method} ${route}`, 'request', parent, attributes);
}

function requestId(given: string | string[] | undefined): string {
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

function healthRoutes(app: App, { service, closing }: AppOptions): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (request, reply) => {
    if (closing?.aborted) return await reply.code(503).send({ status: 'ending' });
    const { ready, reason } = await service.ready();
    if (ready) return { status: 'ready' };
    // The reason may name hosts: for the log only.
    request.log.warn({ reason }, 'not ready');
    return await reply.code(503).send({ status: 'not ready' });
  });
}
