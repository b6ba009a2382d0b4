/** The changes of one resource as lines of a `diff` block: what goes with `-`, what comes with `+`. Pure. */

import { structuredPatch } from 'diff';
import { stringify } from 'yaml';
import type { PropertyChange } from '../../engineEvents/model.ts';
import { cut, visible } from './text.ts';

/** Longest line, in characters, and longest value, in lines. */
const LONGEST_LINE = 400;
const MOST_LINES = 200;
/** Unchanged lines around a change inside of a value. */
const CONTEXT = 2;

/** Of a new or deleted resource every property; of a changed one those that differ, line by line. */
export function changeLines(changes: readonly PropertyChange[]): string[] {
  return changes.flatMap((change) => linesOf(change).map((line) => cut(visible(line), LONGEST_LINE)));
}

function linesOf({ path, from, to }: PropertyChange): string[] {
  const before = from === undefined ? [] : textLines(path, from);
  const after = to === undefined ? [] : textLines(path, to);
  if (before.length === 0) return shortened(after.map((line) => `+ ${line}`));
  if (after.length === 0) return shortened(before.map((line) => `- ${line}`));
  // A secret that changes looks like one that does not.
  if (before.join('\n') === after.join('\n')) return shortened(before.map((line) => `! ${line}`));
  if (before.length === 1 && after.length === 1) return [`- ${before[0]}`, `+ ${after[0]}`];
  return shortened(compared(path, before, after));
}

function textLines(path: string, value: unknown): string[] {
  const text = stringify({ [path]: value }, { lineWidth: 0, aliasDuplicateObjects: false });
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/"(\[(?:secret|unknown)\])"$/, '$1'));
}

function compared(path: string, before: readonly string[], after: readonly string[]): string[] {
  const patch = structuredPatch('', '', `${before.join('\n')}\n`, `${after.join('\n')}\n`, '', '', {
    context: CONTEXT,
    maxEditLength: 2000,
  });
  // Too different to be compared in good time.
  if (!patch) return [...before.map((line) => `- ${line}`), ...after.map((line) => `+ ${line}`)];
  const lines = patch.hunks.flatMap(({ lines: hunk, oldStart }) => [
    ...(oldStart > 1 ? [`@@ ${path}, line ${oldStart} @@`] : []),
    ...hunk.filter((line) => !line.startsWith('\\')).map((line) => `${line[0]} ${line.slice(1)}`),
  ]);
  return lines;
}

function shortened(lines: string[]): string[] {
  if (lines.length <= MOST_LINES) return lines;
  return [...lines.slice(0, MOST_LINES), `  … ${lines.length - MOST_LINES} more lines`];
}
