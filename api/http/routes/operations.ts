import { Type } from '@sinclair/typebox';
import type { FastifyRequest } from 'fastify';
import type { Operation } from '../../model.ts';
import { changeOf } from '../access.ts';
import { eventStream } from '../eventStream.ts';
import { answers, CHANGE, json, laterOperation } from '../schemas/answers.ts';
import { oneOf, reference } from '../schemas/helpers.ts';
import * as models from '../schemas/models.ts';
import { environmentName, identifier } from '../schemas/names.ts';
import * as shared from '../schemas/shared.ts';
import type { App } from '../types.ts';
import { answerLater, type RouteContext } from './context.ts';

const tags = ['operations'];

const ListQuery = Type.Object(
  {
    environment: Type.Optional(environmentName('Name of the environment; all that the caller may read when left out')),
    status: Type.Optional(oneOf(models.OPERATION_STATUSES)),
    database: Type.Optional(identifier('Name of the database')),
    ...shared.listing,
  },
  { additionalProperties: false },
);

const EventHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({ pattern: '^[0-9]{1,15}$', description: 'The last event that is known already' }),
  ),
});

const EVENT_STREAM = {
  description:
    'The events until the operation has ended: `id` is the sequence, `event` the type, `data` an OperationEvent. ' +
    'A comment keeps the connection alive.',
  // Without a shape: tools read a schema here as that of one event.
  content: { 'text/event-stream': { schema: Type.Unknown() } },
};

export function operationRoutes(app: App, context: RouteContext): void {
  const { service, access, closing } = context;
  const params = shared.IdParameters('operation');
  const load = async (request: FastifyRequest, id: string): Promise<Operation> =>
    await access.found(request, 'operation', id, service.operation(id));

  app.route({
    method: 'GET',
    url: '/v1/operations',
    config: { action: 'read' },
    schema: {
      operationId: 'listOperations',
      summary: 'Operations, the newest first',
      tags,
      querystring: ListQuery,
      response: answers({ 200: json('A page of operations', shared.OperationPage) }, [404]),
    },
    handler: async (request) => {
      const { environment, status, database, limit = shared.PAGE.limit, cursor } = request.query;
      const environments = access.listed(request, environment);
      return await service.operations({ environments, status, database }, { limit, cursor });
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/operations/:id',
    config: { action: 'read' },
    schema: {
      operationId: 'getOperation',
      summary: 'An operation: how far it is, and what it did',
      tags,
      params,
      querystring: shared.EmptyQuery,
      response: answers({ 200: json('The operation', models.Operation) }, [404]),
    },
    handler: async (request) => await load(request, request.params.id),
  });

  app.route({
    method: 'GET',
    url: '/v1/operations/:id/events',
    config: { action: 'read' },
    exposeHeadRoute: false,
    schema: {
      operationId: 'streamEvents',
      summary: 'What happens in an operation, as it happens',
      description:
        'Server-sent events. After a lost connection `Last-Event-ID` leads on from there. The stream ends with the ' +
        'operation, and when the token expires: come again with a new one.',
      tags,
      params,
      querystring: shared.EmptyQuery,
      headers: EventHeaders,
      response: answers({ 200: EVENT_STREAM }, [404]),
    },
    handler: async (request, reply) => {
      const { id } = request.params;
      await load(request, id);
      const after = Number(request.headers['last-event-id'] ?? 0);
      reply.header('content-type', 'text/event-stream; charset=utf-8');
      // For proxies in between: nginx passes on each piece as it comes.
      reply.header('x-accel-buffering', 'no');
      const stream = eventStream(
        (signal) => service.events(id, after, signal),
        { closing, until: request.callerUntil },
        (error) => request.log.error({ error }, 'the events cannot be read'),
      );
      return await reply.send(stream);
    },
  });

  const change = (
    name: 'cancel' | 'retry',
    describe: { readonly operationId: string; readonly summary: string; readonly description: string },
  ): void => {
    app.route({
      method: 'POST',
      url: `/v1/operations/:id/${name}`,
      config: { action: 'apply', optionalBody: true },
      schema: {
        ...describe,
        tags,
        params,
        querystring: shared.EmptyQuery,
        headers: shared.LaterHeaders,
        body: reference(shared.EmptyBody),
        response: answers(laterOperation, CHANGE),
      },
      handler: async (request, reply) => {
        const { id } = request.params;
        await load(request, id);
        const operation = await service[name](changeOf(request), id);
        return await answerLater(context, request, reply, operation);
      },
    });
  };
  change('cancel', {
    operationId: 'cancelOperation',
    summary: 'Stop an operation',
    description: 'One that runs ends what it is at; what it has done stays, and is recorded.',
  });
  change('retry', {
    operationId: 'retryOperation',
    summary: 'Try an operation again that failed or was canceled',
    description: 'It goes on from where it is.',
  });

  app.route({
    method: 'POST',
    url: '/v1/operations/:id/credentials',
    config: { action: 'apply', optionalBody: true },
    schema: {
      operationId: 'takeCredentials',
      summary: 'Take the credentials of an operation, once',
      description: 'Only who asked for the operation, or an administrator. They are gone with the answer.',
      tags,
      params,
      querystring: shared.EmptyQuery,
      headers: shared.ChangeHeaders,
      body: reference(shared.EmptyBody),
      response: answers({ 200: json('The credentials', models.Credentials) }, CHANGE),
    },
    handler: async (request) => {
      const { id } = request.params;
      await load(request, id);
      return await service.takeCredentials(changeOf(request), id);
    },
  });
}
