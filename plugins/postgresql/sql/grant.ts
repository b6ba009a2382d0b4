/** GRANT, REVOKE and ALTER DEFAULT PRIVILEGES. */

import { sameSet } from './privileges.ts';
import { grantee, InputError, identifier, qualified, routine } from './quote.ts';

/** What privileges are granted on. */
export interface GrantTarget {
  /** `database`, `schema`, `table`, … as in the SDK. */
  readonly objectType: string;
  readonly database: string;
  readonly schema?: string;
  readonly objects: readonly string[];
  readonly columns?: readonly string[];
}

export interface GrantChange extends GrantTarget {
  readonly role: string;
  readonly privileges: readonly string[];
  readonly withGrantOption?: boolean;
}

/** SQL keywords, in full: privileges are keywords, so nothing else may get into a statement as one. */
const KEYWORD = /^[A-Z]+$/;

const OBJECT_KEYWORDS: Readonly<Record<string, string>> = {
  table: 'TABLE',
  column: 'TABLE',
  sequence: 'SEQUENCE',
  function: 'FUNCTION',
  procedure: 'PROCEDURE',
  routine: 'ROUTINE',
  foreign_data_wrapper: 'FOREIGN DATA WRAPPER',
  foreign_server: 'FOREIGN SERVER',
  database: 'DATABASE',
  schema: 'SCHEMA',
  type: 'TYPE',
};

const ROUTINES: ReadonlySet<string> = new Set(['function', 'procedure', 'routine']);

function keyword(objectType: string): string {
  const found = OBJECT_KEYWORDS[objectType];
  if (found === undefined) throw new InputError(`objectType ${JSON.stringify(objectType)} is unknown`);
  return found;
}

function privilegeList(privileges: readonly string[], columns: readonly string[] = []): string {
  if (privileges.length === 0) throw new InputError('there is no privilege to grant or to revoke');
  const list = columns.length === 0 ? '' : ` (${columns.map((column) => identifier(column)).join(', ')})`;
  return privileges
    .map((privilege) => {
      if (!KEYWORD.test(privilege)) throw new InputError(`${JSON.stringify(privilege)} is not a privilege`);
      return `${privilege}${list}`;
    })
    .join(', ');
}

function target({ objectType, database, schema = '', objects }: GrantTarget): string {
  const kind = keyword(objectType);
  if (objectType === 'database') return `${kind} ${identifier(database)}`;
  if (objectType === 'schema') return `${kind} ${identifier(schema)}`;
  if (objects.length === 0) return `ALL ${kind}S IN SCHEMA ${identifier(schema)}`;
  if (objectType.startsWith('foreign_')) return `${kind} ${objects.map((name) => identifier(name)).join(', ')}`;
  const quote = ROUTINES.has(objectType) ? routine : qualified;
  return `${kind} ${objects.map((name) => quote(schema, name)).join(', ')}`;
}

export function grantSql(change: GrantChange): string {
  const option = change.withGrantOption ? ' WITH GRANT OPTION' : '';
  const privileges = privilegeList(change.privileges, change.columns);
  return `GRANT ${privileges} ON ${target(change)} TO ${grantee(change.role)}${option}`;
}

export function revokeSql(change: GrantChange): string {
  return `REVOKE ${privilegeList(change.privileges, change.columns)} ON ${target(change)} FROM ${grantee(change.role)}`;
}

/** Keeps the privileges, takes the right to pass them on. */
export function revokeGrantOptionSql(change: GrantChange): string {
  const privileges = privilegeList(change.privileges, change.columns);
  return `REVOKE GRANT OPTION FOR ${privileges} ON ${target(change)} FROM ${grantee(change.role)} CASCADE`;
}

/** What a grantee has on one object. */
export interface LiveTarget {
  /** As it is named in a statement: `table`, `function(argument types)`; '' for a database, a schema or all objects. */
  readonly object: string;
  readonly privileges: readonly string[];
  /** Those of `privileges` that may be passed on. */
  readonly grantable: readonly string[];
}

type Grantable = Omit<GrantChange, 'privileges'>;

/** The same change for one object (or column) and other privileges. */
function only(rest: Grantable, { object }: LiveTarget, privileges: readonly string[]): GrantChange {
  const what = rest.objectType === 'column' ? { columns: [object] } : object === '' ? {} : { objects: [object] };
  return { ...rest, ...what, privileges };
}

/** Where all objects of a schema are meant and have the same, one statement speaks of all. */
function together({ objects, objectType }: Grantable, live: readonly LiveTarget[]): readonly LiveTarget[] {
  const [first] = live;
  if (first === undefined || objects.length > 0 || objectType === 'column') return live;
  const same = live.every(
    ({ privileges, grantable }) => sameSet(privileges, first.privileges) && sameSet(grantable, first.grantable),
  );
  return same ? [{ ...first, object: '' }] : live;
}

/** The statements that lead from what there is to just the `wanted` privileges, which are written out and sorted. */
export function convergeGrantSql(rest: Grantable, live: readonly LiveTarget[], wanted: readonly string[]): string[] {
  const taken = together(rest, live).flatMap((target) => {
    const extra = target.privileges.filter((privilege) => !wanted.includes(privilege)).sort();
    // An owner's own privileges have no grant option to take.
    const passed = rest.withGrantOption
      ? []
      : target.grantable.filter((privilege) => wanted.includes(privilege)).sort();
    return [
      ...(extra.length > 0 ? [revokeSql(only(rest, target, extra))] : []),
      ...(passed.length > 0 ? [revokeGrantOptionSql(only(rest, target, passed))] : []),
    ];
  });
  const missing = wanted.filter((privilege) => isMissing(rest, live, privilege));
  return missing.length === 0 ? taken : [...taken, grantSql({ ...rest, privileges: missing })];
}

/** Also where an object that is named is not there: the statement then says so. */
function isMissing(rest: Grantable, live: readonly LiveTarget[], privilege: string): boolean {
  const had = (target: LiveTarget) => (rest.withGrantOption ? target.grantable : target.privileges).includes(privilege);
  const named = rest.objectType === 'column' ? (rest.columns ?? []).length : rest.objects.length;
  return live.length < Math.max(named, 1) || !live.every(had);
}

/** The statements that take what was granted and is still there. */
export function takeGrantSql(rest: Grantable, live: readonly LiveTarget[], granted: readonly string[]): string[] {
  return together(rest, live).flatMap((target) => {
    const taken = target.privileges.filter((privilege) => granted.includes(privilege)).sort();
    return taken.length > 0 ? [revokeSql(only(rest, target, taken))] : [];
  });
}

/** What `owner` will grant on objects that it makes. */
export interface DefaultPrivilegeChange {
  readonly owner: string;
  readonly role: string;
  readonly schema?: string;
  readonly objectType: string;
  readonly privileges: readonly string[];
  readonly withGrantOption?: boolean;
}

/** ALTER DEFAULT PRIVILEGES, always with the role whose new objects it is about. */
function defaultPrivileges(change: DefaultPrivilegeChange): string {
  const where = change.schema ? ` IN SCHEMA ${identifier(change.schema)}` : '';
  return `ALTER DEFAULT PRIVILEGES FOR ROLE ${identifier(change.owner)}${where}`;
}

export function grantDefaultSql(change: DefaultPrivilegeChange): string {
  const option = change.withGrantOption ? ' WITH GRANT OPTION' : '';
  const what = `${privilegeList(change.privileges)} ON ${keyword(change.objectType)}S`;
  return `${defaultPrivileges(change)} GRANT ${what} TO ${grantee(change.role)}${option}`;
}

export function revokeDefaultSql(change: DefaultPrivilegeChange): string {
  const what = `${privilegeList(change.privileges)} ON ${keyword(change.objectType)}S`;
  return `${defaultPrivileges(change)} REVOKE ${what} FROM ${grantee(change.role)}`;
}

export function revokeDefaultGrantOptionSql(change: DefaultPrivilegeChange): string {
  const what = `${privilegeList(change.privileges)} ON ${keyword(change.objectType)}S`;
  return `${defaultPrivileges(change)} REVOKE GRANT OPTION FOR ${what} FROM ${grantee(change.role)}`;
}

/** As `convergeGrantSql`, for default privileges. */
export function convergeDefaultSql(
  rest: Omit<DefaultPrivilegeChange, 'privileges'>,
  live: Pick<LiveTarget, 'privileges' | 'grantable'>,
  wanted: readonly string[],
): string[] {
  const extra = live.privileges.filter((privilege) => !wanted.includes(privilege)).sort();
  const passed = rest.withGrantOption ? [] : live.grantable.filter((privilege) => wanted.includes(privilege)).sort();
  const had = rest.withGrantOption ? live.grantable : live.privileges;
  const missing = wanted.filter((privilege) => !had.includes(privilege));
  return [
    ...(extra.length > 0 ? [revokeDefaultSql({ ...rest, privileges: extra })] : []),
    ...(passed.length > 0 ? [revokeDefaultGrantOptionSql({ ...rest, privileges: passed })] : []),
    ...(missing.length > 0 ? [grantDefaultSql({ ...rest, privileges: missing })] : []),
  ];
}
