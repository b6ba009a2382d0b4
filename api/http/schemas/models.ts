/** The types of model.ts as schemas. Both cannot drift: each is compared with its type by the compiler. */
import { Type } from '@sinclair/typebox';
import type * as model from '../../model.ts';
import { type Mirrors, mapOf, nullable, oneOf, reference } from './helpers.ts';
import { environmentName, identifier, identifierKeys, moment, namespaceName } from './names.ts';

/** Of the type `integer` in PostgreSQL. */
const LARGEST_INTEGER = 2_147_483_647;
export const LARGEST_COUNT = { roles: 50, schemas: 100 };

const closed = { additionalProperties: false };
const text = (description: string) => Type.String({ description });
const connectionLimit = Type.Optional(
  Type.Integer({ minimum: -1, maximum: LARGEST_INTEGER, description: 'Most connections at once, -1 for no limit' }),
);

export const WantedRole = Type.Object(
  {
    access: oneOf(['owner', 'write', 'read'], { description: 'What the role may do' }),
    connectionLimit,
  },
  { $id: 'WantedRole', ...closed },
);
true satisfies Mirrors<typeof WantedRole, model.WantedRole>;

export const Delivery = Type.Union(
  [
    Type.Object(
      { type: Type.Literal('secret'), namespace: namespaceName('Namespace that the Secrets are written into') },
      { ...closed, title: 'A Kubernetes Secret for each role' },
    ),
    Type.Object({ type: Type.Literal('return') }, { ...closed, title: 'Once to who asked' }),
  ],
  { $id: 'Delivery', description: 'Where the credentials go' },
);
true satisfies Mirrors<typeof Delivery, model.Delivery>;

/** What is wanted of a database, without its identity. */
export const wantedProperties = {
  schemas: Type.Array(identifier('Name of a schema'), {
    maxItems: LARGEST_COUNT.schemas,
    uniqueItems: true,
    description: 'Schemas of the database',
  }),
  roles: mapOf(reference(WantedRole), {
    ...identifierKeys,
    maxProperties: LARGEST_COUNT.roles,
    description: 'Login roles by a short name; in PostgreSQL <database>_<role>',
  }),
  connectionLimit,
  credentials: reference(Delivery),
};

export const WantedDatabase = Type.Object(
  {
    name: identifier('Name in PostgreSQL; with its environment the identity of the database'),
    environment: environmentName('Name of the environment'),
    ...wantedProperties,
  },
  { $id: 'WantedDatabase', ...closed },
);
true satisfies Mirrors<typeof WantedDatabase, model.WantedDatabase>;

export const Drop = Type.Object(
  {
    database: Type.Optional(identifier('Name of the database, when it is deleted with what it holds')),
    schemas: Type.Optional(
      Type.Array(identifier('Name of a schema'), {
        maxItems: LARGEST_COUNT.schemas,
        uniqueItems: true,
        description: 'Names of schemas that are deleted with what they hold',
      }),
    ),
  },
  { $id: 'Drop', ...closed, description: 'Data that a request gives up by name' },
);
true satisfies Mirrors<typeof Drop, model.Drop>;

const STEP_OPERATIONS = ['create', 'update', 'replace', 'delete', 'read', 'same'] as const;

export const PropertyChange = Type.Object(
  {
    path: text('Path of the property, such as privileges[0]'),
    from: Type.Optional(Type.Unknown({ description: 'Value before; a secret is [secret]' })),
    to: Type.Optional(Type.Unknown({ description: 'Value after; what is known only later is [unknown]' })),
  },
  { $id: 'PropertyChange' },
);
true satisfies Mirrors<typeof PropertyChange, model.PropertyChange>;

export const Step = Type.Object(
  {
    urn: text('URN of the resource'),
    type: text('Type token, such as postgresql:index/role:Role'),
    name: text('Name of the resource'),
    operation: oneOf(STEP_OPERATIONS),
    changes: Type.Array(reference(PropertyChange)),
    sql: Type.Array(Type.String(), { description: 'What PostgreSQL is told, passwords redacted' }),
  },
  { $id: 'Step', description: 'One resource of a plan, or of a drift' },
);
true satisfies Mirrors<typeof Step, model.Step>;

export const Problem = Type.Object(
  {
    type: Type.String({ format: 'uri', description: 'urn:development-operations:problem:<code>' }),
    title: text('What kind of problem it is'),
    status: Type.Integer({ description: 'The status of the answer' }),
    detail: text('What is wrong, where, and the cure'),
    instance: Type.Optional(text('The path that was asked for')),
    errors: Type.Optional(
      Type.Array(Type.Object({ path: text('Where it is wrong'), problem: text('What is wrong there') })),
    ),
  },
  { $id: 'Problem', description: 'Problem details: RFC 9457' },
);
true satisfies Mirrors<typeof Problem, model.Problem>;

const optionalCount = Type.Optional(Type.Integer({ minimum: 0 }));

export const Plan = Type.Object(
  {
    id: text('Identifier of the plan'),
    environment: text('Name of the environment'),
    database: text('Name of the database'),
    action: oneOf(['put', 'delete', 'rotate']),
    status: oneOf(['planning', 'ready', 'failed', 'applied', 'stale']),
    wanted: nullable(reference(WantedDatabase)),
    hash: nullable(text('SHA-256 of what is to be done and of the state that it starts from')),
    steps: Type.Array(reference(Step)),
    counts: Type.Object({
      create: optionalCount,
      update: optionalCount,
      replace: optionalCount,
      delete: optionalCount,
      read: optionalCount,
      same: optionalCount,
    }),
    operationId: text('The operation that makes the plan'),
    createdAt: moment('When it was asked for'),
    createdBy: text('Who asked: <issuer>#<subject>'),
    error: nullable(reference(Problem)),
  },
  { $id: 'Plan' },
);
true satisfies Mirrors<typeof Plan, model.Plan>;

export const OPERATION_STATUSES = ['queued', 'running', 'succeeded', 'failed', 'canceled'] as const;

export const Operation = Type.Object(
  {
    id: text('Identifier of the operation'),
    kind: oneOf(['plan', 'apply', 'put', 'delete', 'rotate', 'drift']),
    environment: text('Name of the environment'),
    database: text('Name of the database'),
    status: oneOf(OPERATION_STATUSES),
    attempt: Type.Integer({ minimum: 0, description: 'How often it was begun' }),
    planId: nullable(text('The plan that it makes, or applies')),
    requestedBy: text('Who asked: <issuer>#<subject>'),
    createdAt: moment('When it was asked for'),
    startedAt: nullable(moment('When it was begun')),
    finishedAt: nullable(moment('When it ended')),
    steps: Type.Array(reference(Step), { description: 'What was done, once it has ended; of a drift: what differs' }),
    error: nullable(reference(Problem)),
    credentials: Type.Boolean({ description: 'Whether credentials wait to be taken, once' }),
  },
  { $id: 'Operation' },
);
true satisfies Mirrors<typeof Operation, model.Operation>;

export const OperationEvent = Type.Object(
  {
    sequence: Type.Integer({ minimum: 1 }),
    at: moment('When it happened'),
    type: oneOf(['status', 'step', 'diagnostic']),
    data: mapOf(Type.Unknown()),
  },
  { $id: 'OperationEvent' },
);
true satisfies Mirrors<typeof OperationEvent, model.OperationEvent>;

export const DATABASE_STATUSES = ['creating', 'ready', 'changing', 'deleting', 'failed', 'deleted'] as const;

export const DatabaseRecord = Type.Object(
  {
    name: text('Name in PostgreSQL'),
    environment: text('Name of the environment'),
    status: oneOf(DATABASE_STATUSES),
    applied: nullable(reference(WantedDatabase)),
    createdAt: moment('When it was asked for first'),
    updatedAt: moment('When it changed last'),
    lastOperationId: text('The operation that was asked for last'),
    drift: nullable(
      Type.Object({ at: moment('When it was compared with the server'), steps: Type.Array(reference(Step)) }),
    ),
  },
  { $id: 'DatabaseRecord' },
);
true satisfies Mirrors<typeof DatabaseRecord, model.DatabaseRecord>;

export const Graph = Type.Object(
  {
    nodes: Type.Array(Type.Object({ urn: Type.String(), type: Type.String(), name: Type.String() })),
    edges: Type.Array(Type.Object({ from: Type.String(), to: Type.String() }), {
      description: '`from` needs `to`',
    }),
  },
  { $id: 'Graph', description: "The dependency graph of a database's resources" },
);
true satisfies Mirrors<typeof Graph, model.Graph>;

export const Credentials = mapOf(mapOf(Type.String()), {
  $id: 'Credentials',
  description: "By role, connection settings as libpq's environment variables (PGHOST, PGUSER, PGPASSWORD, …)",
});
true satisfies Mirrors<typeof Credentials, model.Credentials>;

export const AuditEntry = Type.Object(
  {
    id: Type.String(),
    at: moment('When it happened'),
    caller: text('<issuer>#<subject>, or anonymous'),
    action: text('Such as PUT /v1/databases/{name}'),
    environment: nullable(Type.String()),
    database: nullable(Type.String()),
    operationId: nullable(Type.String()),
    planHash: nullable(Type.String()),
    result: text("accepted, refused, and once it has ended the operation's status"),
    requestId: text('Of the request, as in the logs'),
  },
  { $id: 'AuditEntry' },
);
true satisfies Mirrors<typeof AuditEntry, model.AuditEntry>;

export const ACTIONS = ['read', 'plan', 'apply', 'admin'] as const;

export const Environment = Type.Object(
  {
    name: text('Name of the environment'),
    actions: Type.Array(oneOf(ACTIONS), { description: 'What the caller may do there' }),
    namespaces: Type.Array(Type.String(), {
      description: 'Namespaces into which Secrets may be written for the caller',
    }),
  },
  { $id: 'Environment' },
);
