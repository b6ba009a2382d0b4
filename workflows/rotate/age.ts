/** Ages as people write them: `30d`. Pure. */

import { WorkflowError } from '../failure.ts';

const HOURS: Readonly<Record<string, number>> = { h: 1, d: 24, w: 7 * 24 };
const HOUR_MS = 3_600_000;

/**
 * @returns milliseconds
 * @throws WorkflowError when it is not a whole number and a unit
 */
export function parseAge(text: string): number {
  const [, number, unit = ''] = /^(\d{1,5})([hdw])$/.exec(text) ?? [];
  const hours = HOURS[unit];
  if (number !== undefined && hours !== undefined) return Number(number) * hours * HOUR_MS;
  throw new WorkflowError(
    `"${text}" is not an age`,
    'write a whole number and a unit: 12h (hours), 30d (days) or 8w (weeks)',
  );
}

/** `31 days`, `5 hours`: whole ones, rounded down. */
export function ageText(milliseconds: number): string {
  const hours = Math.floor(milliseconds / HOUR_MS);
  const [count, unit] = hours < 48 ? [hours, 'hour'] : [Math.floor(hours / 24), 'day'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
