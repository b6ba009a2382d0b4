/** What a login role may do. `owner` becomes the owner at login, so that what it creates belongs to the owner. */
export type Access = 'owner' | 'write' | 'read';

/** Privileges by the kind of object, sorted, none of them `ALL`: what `ALL` means differs between versions. */
export interface Privileges {
  readonly database: readonly string[];
  readonly schema: readonly string[];
  readonly table: readonly string[];
  readonly sequence: readonly string[];
}

const READ: Privileges = {
  database: ['CONNECT'],
  schema: ['USAGE'],
  table: ['SELECT'],
  sequence: ['SELECT'],
};

const WRITE: Privileges = {
  database: ['CONNECT', 'TEMPORARY'],
  schema: ['USAGE'],
  table: ['DELETE', 'INSERT', 'SELECT', 'UPDATE'],
  sequence: ['SELECT', 'UPDATE', 'USAGE'],
};

/**
 * The privileges that a role with this access gets in its own name. An `owner` holds all of them, the connection too,
 * through its membership in the owner role.
 */
export function privilegesOf(access: Access): Privileges {
  if (access === 'owner') return { database: [], schema: [], table: [], sequence: [] };
  return access === 'write' ? WRITE : READ;
}
