import type { Access, Drop, WantedDatabase } from '../../../client/src/index.ts';

export const ACCESSES: readonly Access[] = ['owner', 'write', 'read'];

/** What the form's fields hold: text, as it was typed. */
export interface Draft {
  readonly environment: string;
  readonly name: string;
  readonly schemas: string;
  readonly connectionLimit: string;
  /** `key` stays with a row while its name is typed. */
  readonly roles: readonly { key: number; name: string; access: Access; connectionLimit: string }[];
  readonly delivery: 'secret' | 'return';
  readonly namespace: string;
}

export const EMPTY: Draft = {
  environment: '',
  name: '',
  schemas: 'app',
  connectionLimit: '',
  roles: [
    { key: 0, name: 'owner', access: 'owner', connectionLimit: '' },
    { key: 1, name: 'app', access: 'write', connectionLimit: '' },
  ],
  delivery: 'return',
  namespace: '',
};

export function draftOf(wanted: WantedDatabase): Draft {
  const { environment, name, schemas, roles, connectionLimit, credentials } = wanted;
  return {
    environment,
    name,
    schemas: schemas.join('\n'),
    connectionLimit: connectionLimit === undefined ? '' : String(connectionLimit),
    roles: Object.entries(roles).map(([role, { access, connectionLimit: limit }], key) => ({
      key,
      name: role,
      access,
      connectionLimit: limit === undefined ? '' : String(limit),
    })),
    delivery: credentials.type,
    namespace: credentials.type === 'secret' ? credentials.namespace : '',
  };
}

export function schemasOf(draft: Draft): string[] {
  return draft.schemas
    .split(/[\s,]+/)
    .map((schema) => schema.trim())
    .filter(Boolean);
}

/** The request; whether it is valid is the service's to say, except for what a map cannot hold. */
export function wantedOf(draft: Draft): WantedDatabase {
  const names = draft.roles.map(({ name }) => name.trim());
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`There are two roles "${twice}": give each its own name.`);
  return {
    environment: draft.environment,
    name: draft.name.trim(),
    schemas: schemasOf(draft),
    roles: Object.fromEntries(
      draft.roles.map(({ name, access, connectionLimit }) => [name.trim(), { access, ...limitOf(connectionLimit) }]),
    ),
    ...limitOf(draft.connectionLimit),
    credentials:
      draft.delivery === 'secret' ? { type: 'secret', namespace: draft.namespace.trim() } : { type: 'return' },
  };
}

function limitOf(text: string): { connectionLimit?: number } {
  return text.trim() === '' ? {} : { connectionLimit: Number(text) };
}

/** The schemas that were typed again as given up; the others are not, so that the service protects what they hold. */
export function dropOf(removed: readonly string[], typed: Readonly<Record<string, string>>): Drop | undefined {
  const schemas = removed.filter((schema) => typed[schema]?.trim() === schema);
  return schemas.length > 0 ? { schemas } : undefined;
}
