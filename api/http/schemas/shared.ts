import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { reference } from './helpers.ts';
import * as models from './models.ts';
import { environmentName, identifier, uuid } from './names.ts';

const page = <T extends TSchema>(schema: T, $id: string) =>
  Type.Object(
    {
      items: Type.Array(reference(schema)),
      next: Type.Union([Type.String(), Type.Null()], { description: 'Cursor of the next page' }),
    },
    { $id },
  );

export const DatabasePage = page(models.DatabaseRecord, 'DatabasePage');
export const OperationPage = page(models.Operation, 'OperationPage');
export const AuditPage = page(models.AuditEntry, 'AuditPage');
export const EnvironmentList = Type.Object(
  { items: Type.Array(reference(models.Environment)) },
  { $id: 'EnvironmentList' },
);

const closed = { additionalProperties: false };

/** A wanted database in a plan's body: as the model, but the environment may be left out. */
export const PlannedDatabase = Type.Object(
  {
    name: models.WantedDatabase.properties.name,
    environment: Type.Optional(environmentName()),
    ...models.wantedProperties,
  },
  { $id: 'PlannedDatabase', ...closed },
);

export const PlanBody = Type.Object(
  {
    database: Type.Optional(reference(PlannedDatabase)),
    delete: Type.Optional(
      Type.Object({ environment: Type.Optional(environmentName()), name: identifier('Name of the database') }, closed),
    ),
    drop: Type.Optional(reference(models.Drop)),
  },
  {
    $id: 'PlanBody',
    ...closed,
    oneOf: [{ required: ['database'] }, { required: ['delete'] }],
    description: 'What is planned: either `database` as it shall be, or `delete`',
  },
);

export const DatabaseBody = Type.Object(
  {
    environment: Type.Optional(environmentName()),
    ...models.wantedProperties,
    drop: Type.Optional(reference(models.Drop)),
  },
  { $id: 'DatabaseBody', ...closed },
);

export const ApplyBody = Type.Object(
  {
    hash: Type.Optional(
      Type.String({ pattern: '^[0-9a-f]{64}$', description: "The plan's hash: another plan is not applied" }),
    ),
  },
  { $id: 'ApplyBody', ...closed },
);

export const RotateBody = Type.Object(
  {
    environment: Type.Optional(environmentName()),
    roles: Type.Optional(
      Type.Array(identifier('Short name of a role'), {
        minItems: 1,
        maxItems: models.LARGEST_COUNT.roles,
        uniqueItems: true,
        description: 'Roles that get a new password; all when it is left out',
      }),
    ),
  },
  { $id: 'RotateBody', ...closed },
);

export const DriftBody = Type.Object(
  { environment: Type.Optional(environmentName()) },
  { $id: 'DriftBody', ...closed },
);
export const EmptyBody = Type.Object({}, { $id: 'EmptyBody', ...closed });

/** Schemas that the document names. */
export const SHARED: readonly TSchema[] = [
  ...(Object.values(models) as unknown[]).filter(isNamed),
  ...[DatabasePage, OperationPage, AuditPage, EnvironmentList],
  ...[PlannedDatabase, PlanBody, DatabaseBody, ApplyBody, RotateBody, DriftBody, EmptyBody],
];

function isNamed(value: unknown): value is TSchema {
  return typeof value === 'object' && value !== null && '$id' in value;
}

export const NameParameters = Type.Object({ name: identifier('Name of the database') }, closed);
export const IdParameters = (what: string) => Type.Object({ id: uuid(`Identifier of the ${what}`) }, closed);

export const EnvironmentQuery = Type.Object({ environment: Type.Optional(environmentName()) }, closed);

/** No query at all. */
export const EmptyQuery = Type.Object({}, closed);

export const PAGE = { limit: 50, largest: 200 };

export const listing = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: PAGE.largest,
      description: `Most items on a page; ${PAGE.limit} when left out`,
    }),
  ),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1000,
      pattern: '^[A-Za-z0-9_-]+$',
      description: '`next` of the page before',
    }),
  ),
};

/** Headers of requests that change something. */
export const ChangeHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: '^[!-~]+$',
      description: 'The same key again gives the same answer, and nothing is done twice; kept for 24 hours',
    }),
  ),
});

/** Headers of requests that are carried out later. */
export const LaterHeaders = Type.Object({
  ...ChangeHeaders.properties,
  prefer: Type.Optional(
    Type.String({ description: '`wait=N`: the answer waits up to N seconds, at most 60, for the end (RFC 7240)' }),
  ),
});

export type PlanBody = Static<typeof PlanBody>;
export type DatabaseBody = Static<typeof DatabaseBody>;
