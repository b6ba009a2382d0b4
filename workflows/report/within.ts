/** Puts a report together so that it is not longer than GitHub takes, leaving out what is told elsewhere first. Pure. */

import { codeBlock } from './text.ts';

export type Block =
  /** Always kept. */
  | { readonly kind: 'text'; readonly text: string }
  /** The first to be left out. */
  | { readonly kind: 'picture'; readonly text: string }
  /** Folded; its sections are cut where there is no room. */
  | { readonly kind: 'details'; readonly summary: string; readonly sections: readonly Section[] };

export interface Section {
  /** Of the block of code. */
  readonly language: 'diff' | 'sql' | '';
  readonly lines: readonly string[];
}

export interface Limits {
  /** Bytes in UTF-8: at least as many as the characters that GitHub counts. */
  readonly limit: number;
  /** Markdown that says where the whole is, when something was left out. */
  readonly elsewhere: string;
}

/** Markdown of the blocks, within the limit. */
export function within(blocks: readonly Block[], { limit, elsewhere }: Limits): string {
  const whole = join(blocks);
  if (bytes(whole) <= limit) return whole;
  const note = `_${elsewhere}_`;
  const room = limit - bytes(note) - 4;
  const plain = blocks.filter(({ kind }) => kind !== 'picture');
  const longest = Math.max(0, ...plain.map(lengthOf));
  const most = largest(longest, (each) => bytes(join(plain, each)) <= room);
  if (most !== undefined) return `${note}\n\n${join(plain, most)}`;
  // Not even the lines above the folded parts fit: the last ones go, however many environments there are.
  const kept = largest(plain.length, (count) => bytes(join(leave(plain, count), 0)) <= room);
  return `${note}\n\n${join(leave(plain, kept ?? 0), 0)}`;
}

/** The largest number from 0 to `most` that is possible, where every smaller one is too. */
function largest(most: number, possible: (value: number) => boolean): number | undefined {
  if (!possible(0)) return undefined;
  let low = 0;
  let high = most;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (possible(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The first blocks; texts before folded parts, as they say what is wrong. */
function leave(blocks: readonly Block[], count: number): Block[] {
  const order = [...blocks.filter(({ kind }) => kind === 'text'), ...blocks.filter(({ kind }) => kind === 'details')];
  const kept = new Set(order.slice(0, count));
  const left = blocks.filter((block) => kept.has(block));
  const missing = blocks.length - left.length;
  return missing === 0 ? left : [...left, { kind: 'text', text: `… and ${missing} more` }];
}

/** @param each bytes that the sections of one folded part may have. Default: all. */
function join(blocks: readonly Block[], each = Number.POSITIVE_INFINITY): string {
  return blocks.map((block) => (block.kind === 'details' ? details(block, each) : block.text)).join('\n\n');
}

function details({ summary, sections }: Extract<Block, { kind: 'details' }>, each: number): string {
  if (sections.length === 0 || each === 0) return `<details><summary>${summary}</summary></details>`;
  let room = each;
  const shown = sections.map(({ language, lines }) => {
    const kept: string[] = [];
    for (const line of lines) {
      room -= bytes(line) + 1;
      if (room < 0) break;
      kept.push(line);
    }
    const missing = lines.length - kept.length;
    const rest = missing === 0 ? '' : `… ${missing} more ${missing === 1 ? 'line' : 'lines'}`;
    return [...(kept.length > 0 ? [codeBlock(language, kept)] : []), ...(rest ? [rest] : [])].join('\n\n');
  });
  return `<details><summary>${summary}</summary>\n\n${shown.join('\n\n')}\n\n</details>`;
}

function lengthOf(block: Block): number {
  if (block.kind !== 'details') return 0;
  return block.sections.flatMap(({ lines }) => lines).reduce((sum, line) => sum + bytes(line) + 1, 0);
}

export function bytes(text: string): number {
  return Buffer.byteLength(text);
}
