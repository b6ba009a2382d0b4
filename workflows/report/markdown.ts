/** A plan of the engine as Markdown: what changes, resource by resource, and what is to be thought about first. Pure. */

import type { Step, StepOperation } from '../../engineEvents/model.ts';
import { LONGEST_BODY } from '../github/client.ts';
import { type Loss, losses } from './loss.ts';
import { codeBlock, codeSpan, htmlCode } from './text.ts';
import { changeLines } from './values.ts';
import { type Block, type Section, within } from './within.ts';

/** What the steps were compared with. */
export type Basis =
  /** What is there, read anew (`--refresh`). */
  | 'live'
  /** The stack's state: what the last deployment left. */
  | 'state'
  /** Nothing but the configuration: see `workflows/evaluate`. */
  | 'configuration';

export interface Plan {
  /** Markdown of our own; what comes from elsewhere in it as `codeSpan`. */
  readonly title: string;
  readonly steps: readonly Step[];
  readonly counts: Readonly<Partial<Record<StepOperation, number>>>;
  readonly warnings: readonly string[];
  /** Why the plan is not whole. @default none */
  readonly errors?: readonly string[];
  /** @default not told */
  readonly basis?: Basis;
  /** Markdown of a picture (`mermaid`). @default none */
  readonly picture?: string;
  /** Markdown of our own below the counts. @default none */
  readonly notes?: readonly string[];
}

export interface MarkdownOptions {
  /** Bytes. @default what GitHub takes for a comment */
  readonly limit?: number;
  /** Page that has the whole when the text was shortened. @default not told */
  readonly runUrl?: string;
}

/** GitHub takes a summary of up to 1 MiB from each step. */
export const LONGEST_SUMMARY = 1_000_000;
/** Room for the mark that finds the comment again. */
const RESERVE = 200;
/** Warnings and errors that are listed; the rest is counted. */
const LISTED = 20;

/** @throws nothing: whatever is in the plan, the text is Markdown that shows it and mentions nobody */
export function planMarkdown(plan: Plan, options: MarkdownOptions = {}): string {
  return plansMarkdown([plan], options);
}

/** Several plans in one text; what is too long is shortened in all of them alike. */
export function plansMarkdown(
  plans: readonly Plan[],
  { limit = LONGEST_BODY - RESERVE, runUrl, head = '' }: MarkdownOptions & { readonly head?: string } = {},
): string {
  const where = runUrl ? `the whole is on [the page of the run](${runUrl})` : 'the log of the run has the rest';
  const blocks: Block[] = head === '' ? [] : [{ kind: 'text', text: head }];
  return `${within([...blocks, ...plans.flatMap(planBlocks)], {
    limit: limit - 1,
    elsewhere: `Shortened to what GitHub takes: ${where}.`,
  })}\n`;
}

function planBlocks(plan: Plan): Block[] {
  const lost = losses(plan.steps);
  const texts = [
    `### ${plan.title}`,
    ...(plan.errors?.length && plan.steps.length === 0 ? [] : [countLine(plan)]),
    ...(plan.errors?.length ? [alert('CAUTION', 'The plan could not be made whole:', plan.errors)] : []),
    ...(lost.length > 0 ? [alert('CAUTION', 'Takes away data:', lost.map(lossText))] : []),
    ...removalWarning(plan.steps, lost),
    ...(plan.warnings.length > 0 ? [alert('WARNING', 'The engine warns:', plan.warnings)] : []),
    ...(plan.notes ?? []),
  ];
  return [
    { kind: 'text', text: texts.join('\n\n') },
    ...(plan.picture ? [{ kind: 'picture', text: plan.picture } as const] : []),
    ...ordered(plan.steps, lost).map(stepBlock),
  ];
}

const WORDS: Readonly<Record<'create' | 'update' | 'replace' | 'delete', string>> = {
  create: 'to create',
  update: 'to change',
  replace: 'to replace',
  delete: 'to delete',
};
const BASES: Readonly<Record<Basis, string>> = {
  live: 'verified live',
  state: 'from state',
  configuration: 'from the configuration alone',
};

/** `**1** to create, **2** to change, 51 unchanged · verified live`. */
export function countLine({ steps, counts, basis }: Pick<Plan, 'steps' | 'counts' | 'basis'>): string {
  const parts = Object.entries(WORDS).flatMap(([operation, words]) => {
    const count = steps.filter((step) => step.operation === operation).length;
    return count === 0 ? [] : [`**${count}** ${words}`];
  });
  const same = counts.same ?? 0;
  const all = [...(parts.length === 0 ? ['**No changes**'] : parts), ...(same > 0 ? [`${same} unchanged`] : [])];
  return all.join(', ') + (basis ? ` · ${BASES[basis]}` : '');
}

function lossText({ step, what }: Loss): string {
  return `${kindOf(step.type)} ${step.name} is ${step.operation === 'replace' ? 'replaced' : 'deleted'}: ${what}`;
}

/** Of what is deleted or replaced besides data. */
function removalWarning(steps: readonly Step[], lost: readonly Loss[]): string[] {
  const known = new Set(lost.map(({ step }) => step));
  const removed = steps.filter(
    (step) => (step.operation === 'delete' || step.operation === 'replace') && !known.has(step),
  );
  const texts = removed.map((step) => `${kindOf(step.type)} ${step.name} is ${step.operation}d`);
  return texts.length === 0 ? [] : [alert('WARNING', 'Deletes or replaces:', texts)];
}

/** A box of GitHub's. A line that ends would end the box: there is none in a span of code. */
function alert(kind: 'CAUTION' | 'WARNING', title: string, texts: readonly string[]): string {
  const items = texts.slice(0, LISTED).map((text) => `> - ${codeSpan(text, 600)}`);
  const rest = texts.length > LISTED ? [`> - and ${texts.length - LISTED} more`] : [];
  return [`> [!${kind}]`, `> ${title}`, '>', ...items, ...rest].join('\n');
}

const MARKS: Readonly<Record<StepOperation, string>> = {
  create: '🟢 create',
  update: '🟡 change',
  replace: '🟠 replace',
  delete: '🔴 delete',
  read: 'read',
  same: 'unchanged',
};
const ORDER: readonly StepOperation[] = ['delete', 'replace', 'update', 'create', 'read', 'same'];

/** What takes away data first, then by how much is at stake: the end is what is left out when there is no room. */
function ordered(steps: readonly Step[], lost: readonly Loss[]): Step[] {
  const data = new Set(lost.map(({ step }) => step));
  const rank = (step: Step): number => ORDER.indexOf(step.operation) - (data.has(step) ? ORDER.length : 0);
  return steps.toSorted((a, b) => rank(a) - rank(b) || (a.urn < b.urn ? -1 : a.urn > b.urn ? 1 : 0));
}

function stepBlock(step: Step): Block {
  const lines = changeLines(step.changes);
  const sections: Section[] = [
    ...(lines.length > 0 ? [{ language: 'diff', lines } as const] : []),
    ...(step.sql.length > 0 ? [{ language: 'sql', lines: step.sql.map(statement) } as const] : []),
  ];
  const what = `${htmlCode(kindOf(step.type), 80)} ${htmlCode(step.name, 160)}`;
  return { kind: 'details', summary: `${MARKS[step.operation]} ${what}`, sections };
}

function statement(text: string): string {
  return /;\s*$/.test(text) ? text : `${text};`;
}

/** `kubernetes:apps/v1:Deployment` as `Deployment`. */
export function kindOf(type: string): string {
  return type.slice(type.lastIndexOf(':') + 1);
}

/** Texts that may hold anything, such as errors, as a block of code. */
export function textBlock(texts: readonly string[]): string {
  return codeBlock('', texts.join('\n\n').split('\n'));
}
