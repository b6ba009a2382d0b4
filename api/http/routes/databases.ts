import { Type } from '@sinclair/typebox';
import { callerOf, changeOf, requireNames } from '../access.ts';
import { answers, CHANGE, json, laterOperation } from '../schemas/answers.ts';
import { oneOf, reference } from '../schemas/helpers.ts';
import * as models from '../schemas/models.ts';
import { environmentName, identifier } from '../schemas/names.ts';
import * as shared from '../schemas/shared.ts';
import type { App } from '../types.ts';
import { answerLater, type RouteContext } from './context.ts';

const tags = ['databases'];

const ListQuery = Type.Object(
  {
    environment: Type.Optional(environmentName('Name of the environment; all that the caller may read when left out')),
    status: Type.Optional(oneOf(models.DATABASE_STATUSES)),
    prefix: Type.Optional(identifier('Beginning of the name')),
    ...shared.listing,
  },
  { additionalProperties: false },
);

const DeleteQuery = Type.Object(
  {
    environment: Type.Optional(environmentName()),
    drop: Type.Optional(identifier('Name of the database again: it is deleted with the data that it holds')),
  },
  { additionalProperties: false },
);

export function databaseRoutes(app: App, context: RouteContext): void {
  readingRoutes(app, context);
  changingRoutes(app, context);
}

function readingRoutes(app: App, { service, access }: RouteContext): void {
  app.route({
    method: 'GET',
    url: '/v1/databases',
    config: { action: 'read' },
    schema: {
      operationId: 'listDatabases',
      summary: 'Databases, by environment and name',
      tags,
      querystring: ListQuery,
      response: answers({ 200: json('A page of databases', shared.DatabasePage) }, [404]),
    },
    handler: async (request) => {
      const { environment, status, prefix, limit = shared.PAGE.limit, cursor } = request.query;
      const environments = access.listed(request, environment);
      return await service.databases({ environments, status, prefix }, { limit, cursor });
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/databases/:name',
    config: { action: 'read' },
    schema: {
      operationId: 'getDatabase',
      summary: 'A database: its state and what was applied last',
      tags,
      params: shared.NameParameters,
      querystring: shared.EnvironmentQuery,
      response: answers({ 200: json('The database', models.DatabaseRecord) }, [404]),
    },
    handler: async (request) => {
      const { name } = request.params;
      return await service.database(access.environment(request, request.query.environment), name);
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/databases/:name/graph',
    config: { action: 'read' },
    schema: {
      operationId: 'getGraph',
      summary: "The dependency graph of a database's resources",
      tags,
      params: shared.NameParameters,
      querystring: shared.EnvironmentQuery,
      response: answers({ 200: json('The graph', models.Graph) }, [404]),
    },
    handler: async (request) => {
      const { name } = request.params;
      return await service.graph(access.environment(request, request.query.environment), name);
    },
  });
}

function changingRoutes(app: App, context: RouteContext): void {
  const { service, access } = context;

  app.route({
    method: 'PUT',
    url: '/v1/databases/:name',
    config: { action: 'apply' },
    schema: {
      operationId: 'putDatabase',
      summary: 'Make a database, or change it, at once',
      description: 'What is not in the body any more is removed; schemas that hold data only when `drop` names them.',
      tags,
      params: shared.NameParameters,
      querystring: shared.EmptyQuery,
      headers: shared.LaterHeaders,
      body: reference(shared.DatabaseBody),
      response: answers(laterOperation, CHANGE),
    },
    handler: async (request, reply) => {
      const { environment: named, drop, ...wanted } = request.body;
      const { name } = request.params;
      const environment = access.environment(request, named);
      requireNames({ 'path/name': name });
      access.requireNamespace(callerOf(request), wanted.credentials);
      const operation = await service.put(changeOf(request), { name, environment, ...wanted }, drop);
      return await answerLater(context, request, reply, operation);
    },
  });

  app.route({
    method: 'DELETE',
    url: '/v1/databases/:name',
    config: { action: 'apply' },
    schema: {
      operationId: 'deleteDatabase',
      summary: 'Delete a database with its roles',
      description: 'One that holds data only when `drop` gives its name again.',
      tags,
      params: shared.NameParameters,
      querystring: DeleteQuery,
      headers: shared.LaterHeaders,
      response: answers(laterOperation, CHANGE),
    },
    handler: async (request, reply) => {
      const { name } = request.params;
      const { environment: named, drop } = request.query;
      const environment = access.environment(request, named);
      requireNames({ 'path/name': name, 'query/drop': drop });
      const given = drop === undefined ? undefined : { database: drop };
      const operation = await service.remove(changeOf(request), environment, name, given);
      return await answerLater(context, request, reply, operation);
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/databases/:name/rotate',
    config: { action: 'apply', optionalBody: true },
    schema: {
      operationId: 'rotateCredentials',
      summary: 'Give roles new passwords',
      tags,
      params: shared.NameParameters,
      querystring: shared.EmptyQuery,
      headers: shared.LaterHeaders,
      body: reference(shared.RotateBody),
      response: answers(laterOperation, CHANGE),
    },
    handler: async (request, reply) => {
      const environment = access.environment(request, request.body.environment);
      const { name } = request.params;
      requireNames({ 'path/name': name });
      const operation = await service.rotate(changeOf(request), environment, name, request.body.roles);
      return await answerLater(context, request, reply, operation);
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/databases/:name/drift',
    config: { action: 'plan', optionalBody: true },
    schema: {
      operationId: 'detectDrift',
      summary: 'Compare a database with what was applied; nothing is changed',
      tags,
      params: shared.NameParameters,
      querystring: shared.EmptyQuery,
      headers: shared.LaterHeaders,
      body: reference(shared.DriftBody),
      response: answers(laterOperation, CHANGE),
    },
    handler: async (request, reply) => {
      const environment = access.environment(request, request.body.environment);
      const { name } = request.params;
      requireNames({ 'path/name': name });
      const operation = await service.drift(changeOf(request), environment, name);
      return await answerLater(context, request, reply, operation);
    },
  });
}
