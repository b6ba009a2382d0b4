/** The objects that a Grant is about, with what its grantee has on each: catalogs and `aclexplode`. */

import type { PropertyMap } from '../../framework/values.ts';
import type { Session } from '../connection.ts';
import { optionalText, text, texts } from '../plain.ts';
import type { GrantTarget, LiveTarget } from '../sql/grant.ts';
import { routine } from '../sql/quote.ts';

/** The relations that GRANT … ON ALL TABLES and ALL SEQUENCES reach (PostgreSQL documentation, GRANT). */
const RELATION_KINDS: Readonly<Record<string, readonly string[]>> = {
  table: ['r', 'p', 'v', 'm', 'f'],
  sequence: ['S'],
};

/** Kinds of `pg_proc.prokind`. */
const ROUTINE_KINDS: Readonly<Record<string, readonly string[]>> = {
  function: ['f', 'a', 'w'],
  procedure: ['p'],
  routine: ['f', 'a', 'w', 'p'],
};

export function targetOf(values: PropertyMap): GrantTarget {
  return {
    objectType: text(values, 'objectType'),
    database: text(values, 'database'),
    schema: optionalText(values, 'schema'),
    objects: texts(values, 'objects'),
    columns: texts(values, 'columns'),
  };
}

/** From a query with $1 the grantee's oid: name and acl of each object become its privileges. */
function exploded(objects: string): string {
  return `SELECT o.object,
            COALESCE(array_agg(a.privilege_type::text ORDER BY 1) FILTER (WHERE a.privilege_type IS NOT NULL), '{}')
              AS privileges,
            COALESCE(array_agg(a.privilege_type::text ORDER BY 1) FILTER (WHERE a.is_grantable), '{}') AS grantable
       FROM (${objects}) o LEFT JOIN LATERAL pg_catalog.aclexplode(o.acl) a ON a.grantee = $1::oid
      GROUP BY o.key, o.object ORDER BY o.object`;
}

/**
 * The objects that are there. An object without an acl has its type's default privileges (`acldefault`): everyone may
 * connect to a database, for example.
 */
export async function liveTargets(session: Session, target: GrantTarget, grantee: number): Promise<LiveTarget[]> {
  const { objectType, schema = '', objects, columns = [] } = target;
  const ask = (sql: string, ...values: unknown[]) =>
    session.query<LiveTarget & Record<string, unknown>>(exploded(sql), [grantee, ...values]);
  if (objectType === 'database') {
    const acl = "COALESCE(datacl, pg_catalog.acldefault('d', datdba))";
    return ask(
      `SELECT oid AS key, ''::text AS object, ${acl} AS acl FROM pg_catalog.pg_database WHERE datname = $2`,
      target.database,
    );
  }
  if (objectType === 'schema') {
    const acl = "COALESCE(nspacl, pg_catalog.acldefault('n', nspowner))";
    return ask(
      `SELECT oid AS key, ''::text AS object, ${acl} AS acl FROM pg_catalog.pg_namespace WHERE nspname = $2`,
      schema,
    );
  }
  if (objectType === 'foreign_data_wrapper') {
    const acl = "COALESCE(fdwacl, pg_catalog.acldefault('F', fdwowner))";
    return ask(
      `SELECT oid AS key, fdwname::text AS object, ${acl} AS acl FROM pg_catalog.pg_foreign_data_wrapper
        WHERE fdwname = ANY($2)`,
      objects,
    );
  }
  if (objectType === 'foreign_server') {
    const acl = "COALESCE(srvacl, pg_catalog.acldefault('S', srvowner))";
    return ask(
      `SELECT oid AS key, srvname::text AS object, ${acl} AS acl FROM pg_catalog.pg_foreign_server
        WHERE srvname = ANY($2)`,
      objects,
    );
  }
  if (objectType === 'column') return liveColumns(ask, schema, objects, columns);
  if (ROUTINE_KINDS[objectType]) return liveRoutines(session, ask, target);
  const kind = objectType === 'sequence' ? 's' : 'r';
  return ask(
    `SELECT c.oid AS key, c.relname::text AS object, COALESCE(c.relacl, pg_catalog.acldefault('${kind}', c.relowner)) AS acl
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $2 AND c.relkind = ANY($3) AND (cardinality($4::text[]) = 0 OR c.relname = ANY($4))`,
    schema,
    RELATION_KINDS[objectType] ?? [],
    objects,
  );
}

type Ask = (sql: string, ...values: unknown[]) => Promise<LiveTarget[]>;

function liveColumns(
  ask: Ask,
  schema: string,
  objects: readonly string[],
  columns: readonly string[],
): Promise<LiveTarget[]> {
  return ask(
    `SELECT t.attnum AS key, t.attname::text AS object, t.attacl AS acl FROM pg_catalog.pg_attribute t
       JOIN pg_catalog.pg_class c ON c.oid = t.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $2 AND c.relname = ANY($3) AND t.attname = ANY($4) AND NOT t.attisdropped`,
    schema,
    objects,
    columns,
  );
}

async function liveRoutines(
  session: Session,
  ask: Ask,
  { objectType, schema = '', objects }: GrantTarget,
): Promise<LiveTarget[]> {
  const names = objects.filter((object) => !object.includes('('));
  const oids: string[] = [];
  for (const object of objects.filter((item) => item.includes('('))) {
    const [row] = await session.query<{ oid: string | null }>(
      'SELECT pg_catalog.to_regprocedure($1)::oid::text AS oid',
      [routine(schema, object)],
    );
    if (row?.oid) oids.push(row.oid);
  }
  return ask(
    `SELECT p.oid AS key, p.proname || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')' AS object,
            COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner)) AS acl
       FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname = $2 AND p.prokind = ANY($3)
        AND ($4 OR p.proname = ANY($5) OR p.oid = ANY($6::text[]::oid[]))`,
    schema,
    ROUTINE_KINDS[objectType] ?? [],
    objects.length === 0,
    names,
    oids,
  );
}

/** Owners for whom the connected role has to act: of the schema and of what is in it. */
export async function targetOwners(session: Session, { objectType, schema = '' }: GrantTarget): Promise<string[]> {
  if (objectType.startsWith('foreign_')) return [];
  const owner = 'pg_catalog.pg_get_userbyid';
  const databaseOwner = `SELECT ${owner}(datdba)::text AS owner FROM pg_catalog.pg_database WHERE datname = current_database()`;
  if (objectType === 'database') return owners(await session.query<{ owner: string }>(databaseOwner));
  const found = await session.query<{ owner: string }>(
    `SELECT CASE s.owner WHEN 'pg_database_owner' THEN (${databaseOwner}) ELSE s.owner END AS owner FROM (
       SELECT ${owner}(nspowner)::text AS owner FROM pg_catalog.pg_namespace WHERE nspname = $1
       UNION SELECT ${owner}(c.relowner)::text FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND $2 <> 'schema'
       UNION SELECT ${owner}(p.proowner)::text FROM pg_catalog.pg_proc p
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1 AND $2 <> 'schema'
     ) s`,
    [schema, objectType],
  );
  return owners(found);
}

function owners(rows: readonly { owner: string }[]): string[] {
  return rows.map((row) => row.owner);
}
