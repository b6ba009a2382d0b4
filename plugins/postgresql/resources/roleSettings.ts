/** A role's own settings (`pg_roles.rolconfig`) as properties. */

import type { PropertyMap } from '../../framework/values.ts';

/** Milliseconds in the units that the server may write (PostgreSQL documentation 19.1.1). */
const UNITS: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** From lines such as `search_path="$user", public`. */
export function parseSettings(config: readonly string[]): PropertyMap {
  const settings = new Map(
    config.map((line): [string, string] => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  return {
    searchPaths: parseIdentifiers(settings.get('search_path') ?? ''),
    statementTimeout: milliseconds(settings.get('statement_timeout')),
    idleInTransactionSessionTimeout: milliseconds(settings.get('idle_in_transaction_session_timeout')),
    assumeRole: settings.get('role') ?? '',
  };
}

function milliseconds(value: string | undefined): number {
  const match = /^(\d+)\s*([a-z]*)$/.exec(value ?? '0');
  return Number(match?.[1] ?? 0) * (UNITS[match?.[2] ?? ''] ?? 1);
}

/** A list of identifiers, quoted or not: `a, "b, c"`. */
export function parseIdentifiers(list: string): string[] {
  const found = [...list.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)];
  return found.map((match) => (match[1] === undefined ? (match[2] ?? '') : match[1].replaceAll('""', '"')));
}
