/** Which privileges there are on which kind of object, and how two lists of them are compared. */

/** First server version with the MAINTAIN privilege on tables (PostgreSQL 17 release notes). */
const MAINTAIN_SINCE = 17;

const ALL = 'ALL';

/** PostgreSQL documentation 5.8, table 5.2; sorted, without MAINTAIN. */
const PRIVILEGES: Readonly<Record<string, readonly string[]>> = {
  column: ['INSERT', 'REFERENCES', 'SELECT', 'UPDATE'],
  database: ['CONNECT', 'CREATE', 'TEMPORARY'],
  foreign_data_wrapper: ['USAGE'],
  foreign_server: ['USAGE'],
  function: ['EXECUTE'],
  procedure: ['EXECUTE'],
  routine: ['EXECUTE'],
  schema: ['CREATE', 'USAGE'],
  sequence: ['SELECT', 'UPDATE', 'USAGE'],
  table: ['DELETE', 'INSERT', 'REFERENCES', 'SELECT', 'TRIGGER', 'TRUNCATE', 'UPDATE'],
  type: ['USAGE'],
};

/** Every privilege on an object type at a server version (major), sorted; empty for an unknown type. */
export function allPrivileges(objectType: string, version: number): string[] {
  const base = PRIVILEGES[objectType] ?? [];
  return objectType === 'table' && version >= MAINTAIN_SINCE ? [...base, 'MAINTAIN'].sort() : [...base];
}

/** What may be written in `privileges`, `ALL` included, for the newest server. */
export function allowedPrivileges(objectType: string): string[] {
  return [ALL, ...allPrivileges(objectType, Number.POSITIVE_INFINITY)];
}

/** `ALL` written out for the server's version; sorted, without repetition. */
export function expandPrivileges(objectType: string, privileges: readonly string[], version: number): string[] {
  const expanded = privileges.flatMap((privilege) =>
    privilege === ALL ? allPrivileges(objectType, version) : [privilege],
  );
  return [...new Set(expanded)].sort();
}

/** True when both lists mean the same on some server version: order and repetition do not count, ALL is all of them. */
export function samePrivileges(objectType: string, left: readonly string[], right: readonly string[]): boolean {
  if (sameSet(left, right)) return true;
  return [0, MAINTAIN_SINCE].some((version) =>
    sameSet(expandPrivileges(objectType, left, version), expandPrivileges(objectType, right, version)),
  );
}

export function sameSet(left: readonly string[], right: readonly string[]): boolean {
  const a = new Set(left);
  const b = new Set(right);
  return a.size === b.size && [...a].every((item) => b.has(item));
}
