/** What a pull request may do only with a label. Pure. */

import type { Step } from '../../engineEvents/model.ts';
import { losses } from '../report/loss.ts';
import { codeSpan } from '../report/text.ts';

/** Who may label pull requests may let data be deleted: on GitHub, who has the role triage or more. */
export const ALLOW_DATA_LOSS = 'allow-data-loss';

export interface Verdict {
  readonly allowed: boolean;
  /** Markdown; empty when no data is at stake. */
  readonly text: string;
}

/** @param plans steps by environment */
export function verdictOf(plans: Readonly<Record<string, readonly Step[]>>, labels: readonly string[]): Verdict {
  const environments = Object.keys(plans).filter((name) => losses(plans[name] ?? []).length > 0);
  if (environments.length === 0) return { allowed: true, text: '' };
  const where = environments.map((name) => codeSpan(name)).join(', ');
  const label = codeSpan(ALLOW_DATA_LOSS);
  if (labels.includes(ALLOW_DATA_LOSS)) {
    return { allowed: true, text: `> [!WARNING]\n> Data is deleted in ${where}. The label ${label} allows it.` };
  }
  return {
    allowed: false,
    text: `> [!CAUTION]\n> Data would be deleted in ${where}. If that is meant, add the label ${label} to this pull request: the preview runs again and passes. If not, change the configuration so that the resources below stay.`,
  };
}
