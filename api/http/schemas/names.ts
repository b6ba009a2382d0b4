import { Type } from '@sinclair/typebox';

/**
 * A name in PostgreSQL: 1 to 63 bytes. JSON Schema counts characters; names of more bytes are refused later.
 * Control characters, NUL among them, are refused: they would make logs and plans unreadable.
 */
const IDENTIFIER = {
  minLength: 1,
  maxLength: 63,
  pattern: '^[^\\u0000-\\u001f\\u007f]+$',
};

export const identifier = (description: string) => Type.String({ ...IDENTIFIER, description });

/** Constraints of the keys of an object whose keys are identifiers. */
export const identifierKeys = { propertyNames: { ...IDENTIFIER } };

export const environmentName = (description = 'Name of the environment; it may be left out when there is only one') =>
  Type.String({ minLength: 1, maxLength: 63, pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$', description });

/** RFC 1123 label: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */
export const namespaceName = (description: string) =>
  Type.String({ minLength: 1, maxLength: 63, pattern: '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$', description });

export const uuid = (description: string) =>
  Type.String({
    pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
    description,
    examples: ['0190a5d2-7c3e-7b1a-9f00-3c5d2e1f4a6b'],
  });

export const moment = (description: string) => Type.String({ format: 'date-time', description });
