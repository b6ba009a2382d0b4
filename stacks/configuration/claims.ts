import { keyPath } from './findings.ts';

/** Takes a finding, if there is one. */
export type Add = (path: readonly PropertyKey[], problem: string | undefined) => void;
/** Who holds a name, by kind and name. */
export type Claims = Map<string, readonly PropertyKey[]>;

/** Takes a name that only one may have. */
export function claim(claims: Claims, kind: string, name: string, path: readonly PropertyKey[], add: Add): void {
  const key = `${kind} ${name}`;
  const holder = claims.get(key);
  if (holder) add(path, `the ${kind} "${name}" is already that of ${keyPath(holder)}: give one of them another name`);
  else claims.set(key, path);
}
