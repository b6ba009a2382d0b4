import { Type } from '@sinclair/typebox';
import { callerOf } from '../access.ts';
import { answers, json } from '../schemas/answers.ts';
import { environmentName } from '../schemas/names.ts';
import * as shared from '../schemas/shared.ts';
import type { App } from '../types.ts';
import type { RouteContext } from './context.ts';

const AuditQuery = Type.Object(
  {
    environment: Type.Optional(
      environmentName('Name of the environment; all that the caller administers when left out'),
    ),
    ...shared.listing,
  },
  { additionalProperties: false },
);

export function administrationRoutes(app: App, { service, access }: RouteContext): void {
  app.route({
    method: 'GET',
    url: '/v1/environments',
    config: { action: 'read' },
    schema: {
      operationId: 'listEnvironments',
      summary: 'Environments, and what the caller may do there',
      tags: ['environments'],
      querystring: shared.EmptyQuery,
      response: answers({ 200: json('The environments that the caller may read', shared.EnvironmentList) }),
    },
    handler: async (request) => {
      const caller = callerOf(request);
      const namespaces = access.namespaces(caller);
      const items = access
        .environments(caller, 'read')
        .map((name) => ({ name, actions: access.actions(caller, name), namespaces }));
      return { items };
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/audit',
    config: { action: 'admin' },
    schema: {
      operationId: 'listAudit',
      summary: 'Who asked for what, and what became of it; the newest first',
      tags: ['audit'],
      querystring: AuditQuery,
      response: answers({ 200: json('A page of entries', shared.AuditPage) }, [404]),
    },
    handler: async (request) => {
      const { environment, limit = shared.PAGE.limit, cursor } = request.query;
      return await service.audit({ environments: access.listed(request, environment) }, { limit, cursor });
    },
  });
}
