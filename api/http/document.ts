import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifySchema } from 'fastify';
import { SHARED } from './schemas/shared.ts';
import type { App } from './types.ts';

const DESCRIPTION = `Makes databases on PostgreSQL servers, with their schemas, roles and privileges: plan, look at the plan, apply.

Every change is an operation that is carried out in the background: follow it with \`/events\`, or wait with
\`Prefer: wait=30\`. A request with an \`Idempotency-Key\` may be sent again.

A token's scopes are \`<environment>:<action>\`; \`admin\` holds \`apply\`, which holds \`plan\`, which holds \`read\`.
Errors are problem details (RFC 9457).`;

/** What is needed to show the description; nothing from another origin (https://www.w3.org/TR/CSP3/). */
const DOCS_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  // swagger-ui sets styles of elements itself.
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Describes the routes that come after it in OpenAPI 3.1, at /openapi.json and to read at /docs. */
export async function describe(app: App, publicUrl: string): Promise<void> {
  for (const schema of SHARED) app.addSchema(schema);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Operations API',
        version: '1',
        description: DESCRIPTION,
        license: { name: 'Apache 2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: publicUrl }],
      tags: [
        { name: 'plans', description: 'What would be done' },
        { name: 'databases', description: 'Databases, and changes of them at once' },
        { name: 'operations', description: 'Changes on their way, and those that are done' },
        { name: 'environments', description: 'Database servers' },
        { name: 'audit', description: 'Who did what' },
      ],
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'A token of an issuer that the service trusts; its scopes are <environment>:<action>',
          },
        },
      },
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, index) => String(json.$id ?? `schema-${index}`) },
    transform: ({ schema, url, route }) => {
      const action = route.config?.action;
      // Routes without an action are open, and are not described.
      if (!url.startsWith('/v1/') || action === undefined) return { schema: { ...schema, hide: true }, url };
      return { schema: { ...schema, security: [{ bearer: [`{environment}:${action}`] }] } as FastifySchema, url };
    },
    transformObject: (given) => {
      if (!('openapiObject' in given)) return given.swaggerObject;
      return finished(given.openapiObject as Document, app.optionalBodies) as typeof given.openapiObject;
    },
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: DOCS_POLICY,
    uiConfig: { deepLinking: true, persistAuthorization: false, validatorUrl: null, supportedSubmitMethods: [] },
  });
  let text: string | undefined;
  app.get('/openapi.json', async (_request, reply) => {
    text ??= JSON.stringify(app.swagger());
    return await reply.type('application/json; charset=utf-8').send(text);
  });
}

interface Document {
  paths?: Record<string, Record<string, { operationId?: string; requestBody?: { required?: boolean } }>>;
}

/** @param optionalBodies operationIds of routes whose body may be left out: the plugin says that each is required. */
function finished(document: Document, optionalBodies: ReadonlySet<string>): Document {
  for (const operations of Object.values(document.paths ?? {})) {
    for (const { operationId = '', requestBody } of Object.values(operations)) {
      if (requestBody && optionalBodies.has(operationId)) requestBody.required = false;
    }
  }
  return document;
}
