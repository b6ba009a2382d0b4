/** Which version of the applications an environment runs: `{ env: OPERATIONS_VERSION }` as the tag of images. */

import type { State } from './deployed.ts';
import type { Target } from './target.ts';

export const VERSION = 'OPERATIONS_VERSION';

/** The version that the last successful deployment named; undefined when it named none. */
export function deployedVersion(state: Pick<State, 'outputs'> | undefined): string | undefined {
  const version = state?.outputs.version;
  return typeof version === 'string' && version !== '' ? version : undefined;
}

/** The target with a version; as it is without one. */
export function withVersion(target: Target, version: string | undefined): Target {
  return version === undefined ? target : { ...target, env: { ...target.env, [VERSION]: version } };
}
