/**
 * The resource types: their properties as in the SDK, with the defaults and replacements of the official plugin
 * (cyrilgdn/postgresql through Pulumi's Terraform bridge), so that each can go on with the other's state.
 */

import { allowedPrivileges } from './sql/privileges.ts';

export type FieldType = 'string' | 'boolean' | 'integer' | 'list' | 'set' | 'objects';

export interface Field {
  readonly type: FieldType;
  readonly required?: boolean;
  /** Filled in from the default and listed in `__defaults`, unless it is false, 0 or ''. */
  readonly default?: string | number | boolean;
  /** Left to the server where it is not given. */
  readonly computed?: boolean;
  readonly forceNew?: boolean;
  readonly secret?: boolean;
  readonly minimum?: number;
  readonly oneOf?: readonly string[];
  /** The value becomes an identifier. */
  readonly identifier?: boolean;
  /** An input whose value is never part of the state. */
  readonly writeOnly?: boolean;
  /**
   * Not compared while it was never given: other resources may own it. (The official plugin compares it, and so
   * takes away what a GrantRole gave.)
   */
  readonly unmanagedWhenAbsent?: boolean;
}

export interface Definition {
  readonly fields: Readonly<Record<string, Field>>;
  /** The old one goes first when it has to be replaced, as both cannot be there at once. */
  readonly deleteBeforeReplace: boolean;
}

const NAME: Field = { type: 'string', required: true, identifier: true };
const ROLE: Field = { ...NAME, forceNew: true };
const FLAG: Field = { type: 'boolean', default: false };
const MILLISECONDS: Field = { type: 'integer', minimum: 0 };
const COMPUTED: Field = { type: 'string', computed: true, identifier: true };

export const role: Definition = {
  deleteBeforeReplace: false,
  fields: {
    assumeRole: { type: 'string', identifier: true },
    bypassRowLevelSecurity: FLAG,
    connectionLimit: { type: 'integer', default: -1, minimum: -1 },
    createDatabase: FLAG,
    createRole: FLAG,
    encrypted: { type: 'string' },
    encryptedPassword: { type: 'boolean', default: true },
    idleInTransactionSessionTimeout: MILLISECONDS,
    inherit: { type: 'boolean', default: true },
    login: FLAG,
    name: NAME,
    password: { type: 'string', secret: true },
    passwordWo: { type: 'string', secret: true, writeOnly: true },
    passwordWoVersion: { type: 'string' },
    replication: FLAG,
    roles: { type: 'set', unmanagedWhenAbsent: true },
    searchPaths: { type: 'list' },
    skipDropRole: FLAG,
    skipReassignOwned: FLAG,
    statementTimeout: MILLISECONDS,
    superuser: FLAG,
    validUntil: { type: 'string', default: 'infinity' },
  },
};

export const database: Definition = {
  deleteBeforeReplace: false,
  fields: {
    allowConnections: { type: 'boolean', default: true },
    alterObjectOwnership: FLAG,
    connectionLimit: { type: 'integer', default: -1, minimum: -1 },
    encoding: { type: 'string', computed: true, forceNew: true },
    isTemplate: { type: 'boolean', computed: true },
    lcCollate: { type: 'string', computed: true, forceNew: true },
    lcCtype: { type: 'string', computed: true, forceNew: true },
    name: NAME,
    owner: COMPUTED,
    tablespaceName: COMPUTED,
    template: { ...COMPUTED, forceNew: true },
  },
};

export const schema: Definition = {
  deleteBeforeReplace: false,
  fields: {
    database: { ...COMPUTED, forceNew: true },
    dropCascade: FLAG,
    ifNotExists: { type: 'boolean', default: true },
    name: NAME,
    owner: COMPUTED,
    policies: { type: 'objects', computed: true },
  },
};

export const extension: Definition = {
  deleteBeforeReplace: false,
  fields: {
    createCascade: FLAG,
    database: { ...COMPUTED, forceNew: true },
    dropCascade: FLAG,
    name: { ...NAME, forceNew: true },
    schema: COMPUTED,
    version: { type: 'string', computed: true },
  },
};

export const grant: Definition = {
  deleteBeforeReplace: true,
  fields: {
    columns: { type: 'set', forceNew: true },
    database: ROLE,
    objectType: {
      type: 'string',
      required: true,
      forceNew: true,
      oneOf: [
        'database',
        'function',
        'procedure',
        'routine',
        'schema',
        'sequence',
        'table',
        'foreign_data_wrapper',
        'foreign_server',
        'column',
      ],
    },
    objects: { type: 'set', forceNew: true },
    privileges: { type: 'set', required: true },
    role: ROLE,
    schema: { type: 'string', forceNew: true, identifier: true },
    withGrantOption: { ...FLAG, forceNew: true },
  },
};

export const grantRole: Definition = {
  // Both would be one and the same membership: creating first, the deletion would take the new one away.
  deleteBeforeReplace: true,
  fields: { grantRole: ROLE, role: ROLE, withAdminOption: { ...FLAG, forceNew: true } },
};

export const defaultPrivileges: Definition = {
  deleteBeforeReplace: true,
  fields: {
    database: ROLE,
    objectType: {
      type: 'string',
      required: true,
      forceNew: true,
      oneOf: ['table', 'sequence', 'function', 'routine', 'type', 'schema'],
    },
    owner: ROLE,
    privileges: { type: 'set', required: true },
    role: ROLE,
    schema: { type: 'string', forceNew: true, identifier: true },
    withGrantOption: { ...FLAG, forceNew: true },
  },
};

/** Types with a `name` get one from the resource's name where none is given. */
export function isAutonamed(definition: Definition): boolean {
  return definition.fields.name !== undefined;
}

/** Why privileges cannot be granted on an object type, or undefined. */
export function privilegeProblem(objectType: string, privilege: string): string | undefined {
  const allowed = allowedPrivileges(objectType);
  if (allowed.length <= 1 || allowed.includes(privilege)) return undefined;
  const upper = privilege.toUpperCase() === 'TEMP' ? 'TEMPORARY' : privilege.toUpperCase();
  const hint = allowed.includes(upper) ? `write ${upper}` : `use some of ${allowed.join(', ')}`;
  return `${JSON.stringify(privilege)} is no privilege on a ${objectType}: ${hint}`;
}
