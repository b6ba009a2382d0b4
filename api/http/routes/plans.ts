import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Plan } from '../../model.ts';
import { callerOf, changeOf, requireNames } from '../access.ts';
import { answers, CHANGE, json, laterOperation, laterPlan } from '../schemas/answers.ts';
import { reference } from '../schemas/helpers.ts';
import * as models from '../schemas/models.ts';
import { ApplyBody, EmptyQuery, IdParameters, LaterHeaders, PlanBody } from '../schemas/shared.ts';
import type { App } from '../types.ts';
import { awaited } from '../waiting.ts';
import { answerLater, type RouteContext } from './context.ts';

const tags = ['plans'];

export function planRoutes(app: App, context: RouteContext): void {
  const { service, access } = context;

  app.route({
    method: 'POST',
    url: '/v1/plans',
    config: { action: 'plan' },
    schema: {
      operationId: 'createPlan',
      summary: 'Plan a database, or its deletion',
      description: 'Shows what would be done, and changes nothing. A plan is applied by its identifier.',
      tags,
      querystring: EmptyQuery,
      headers: LaterHeaders,
      body: reference(PlanBody),
      response: answers(laterPlan, CHANGE),
    },
    handler: async (request, reply) => {
      const plan = await requestPlan(request, request.body);
      return await answerPlan(request, reply, plan);
    },
  });

  async function requestPlan(request: FastifyRequest, body: PlanBody): Promise<Plan> {
    const { database, delete: deletion, drop } = body;
    const { name = '' } = database ?? deletion ?? {};
    request.about.database = name;
    const environment = access.environment(request, (database ?? deletion)?.environment);
    requireNames({ 'body/name': name });
    if (database === undefined) return await service.requestDeletionPlan(changeOf(request), environment, name, drop);
    access.requireNamespace(callerOf(request), database.credentials);
    return await service.requestPlan(changeOf(request), { ...database, environment }, drop);
  }

  async function answerPlan(request: FastifyRequest, reply: FastifyReply, plan: Plan): Promise<Plan> {
    const ended = await awaited(service, context.closing, request, reply, plan.operationId);
    reply.header('location', `/v1/plans/${plan.id}`).code(ended ? 200 : 202);
    return ended ? await service.plan(plan.id) : plan;
  }

  app.route({
    method: 'GET',
    url: '/v1/plans/:id',
    config: { action: 'read' },
    schema: {
      operationId: 'getPlan',
      summary: 'A plan: what would be done',
      tags,
      params: IdParameters('plan'),
      querystring: EmptyQuery,
      response: answers({ 200: json('The plan', models.Plan) }, [404]),
    },
    handler: async (request) => await access.found(request, 'plan', request.params.id, service.plan(request.params.id)),
  });

  app.route({
    method: 'POST',
    url: '/v1/plans/:id/apply',
    config: { action: 'apply', optionalBody: true },
    schema: {
      operationId: 'applyPlan',
      summary: 'Carry a plan out',
      description: 'Refused when the world has moved since the plan was made. With `hash` only that very plan.',
      tags,
      params: IdParameters('plan'),
      querystring: EmptyQuery,
      headers: LaterHeaders,
      body: reference(ApplyBody),
      response: answers(laterOperation, CHANGE),
    },
    handler: async (request, reply) => {
      const { id } = request.params;
      const { wanted } = await access.found(request, 'plan', id, service.plan(id));
      // Somebody else may have made the plan: who applies it answers for where the Secrets go.
      if (wanted) access.requireNamespace(callerOf(request), wanted.credentials);
      const operation = await service.applyPlan(changeOf(request), id, request.body.hash);
      return await answerLater(context, request, reply, operation);
    },
  });
}
