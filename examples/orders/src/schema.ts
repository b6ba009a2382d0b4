/** JSON Schemas of what callers send. Unknown members are refused and nothing is converted. */

const item = {
  type: 'object',
  additionalProperties: false,
  required: ['sku', 'quantity', 'unitPrice'],
  properties: {
    sku: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' },
    quantity: { type: 'integer', minimum: 1, maximum: 10_000 },
    unitPrice: { type: 'integer', minimum: 0, maximum: 1_000_000_000 },
  },
} as const;

export const newOrder = {
  type: 'object',
  additionalProperties: false,
  required: ['customer', 'currency', 'items'],
  properties: {
    // PostgreSQL stores no NUL, and nobody's name has control characters.
    customer: { type: 'string', minLength: 1, maxLength: 200, pattern: '^[^\\u0000-\\u001f\\u007f]*$' },
    currency: { type: 'string', pattern: '^[A-Z]{3}$' },
    items: { type: 'array', minItems: 1, maxItems: 100, items: item },
  },
} as const;

export const createHeaders = {
  type: 'object',
  properties: { 'idempotency-key': { type: 'string', pattern: '^[\\x21-\\x7e]{1,200}$' } },
} as const;

export const orderParameters = {
  type: 'object',
  required: ['id'],
  properties: { id: { type: 'string', pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' } },
} as const;

export const listQuery = {
  type: 'object',
  additionalProperties: false,
  properties: {
    limit: { type: 'string', pattern: '^([1-9][0-9]?|100)$' },
    after: { type: 'string', minLength: 1, maxLength: 200 },
  },
} as const;
