/** Where the applications of an environment answer: from the outputs of its stack and the routes of its gateway. Pure. */

import type { State } from '../engine/deployed.ts';
import type { Address } from './comment.ts';
import type { ReviewNames } from './template.ts';

export function addressesOf({ outputs }: Pick<State, 'outputs'>, { routes }: Pick<ReviewNames, 'routes'>): Address[] {
  const applications = (outputs.applications ?? {}) as Readonly<Record<string, { readonly url?: string } | undefined>>;
  const own = Object.entries(applications)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([application, found]): Address[] => {
      const url = found?.url;
      if (!url || !URL.canParse(url)) return [];
      return [{ application, url, reach: new URL(url).hostname.endsWith('.svc') ? 'cluster' : 'anywhere' }];
    });
  const routed = routes.map(
    ({ application, host, path }): Address => ({ application, url: `https://${host}${path}`, reach: 'gateway' }),
  );
  // Who has a route needs no way around it.
  const covered = new Set(routed.map(({ application }) => application));
  return [...routed, ...own.filter(({ application, reach }) => reach === 'anywhere' || !covered.has(application))];
}
