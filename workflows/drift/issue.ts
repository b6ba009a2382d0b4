/** The issue that tells of an environment that is not as its configuration says. Pure. */

import type { Step } from '../../engineEvents/model.ts';
import { LONGEST_BODY } from '../github/client.ts';
import { kindOf } from '../report/markdown.ts';
import { codeSpan, htmlCode } from '../report/text.ts';
import { changeLines } from '../report/values.ts';
import { type Block, within } from '../report/within.ts';

export interface Drift {
  readonly environment: string;
  /** Live differs from what the last deployment left. */
  readonly byHand: readonly Step[];
  /** The configuration differs from what the last deployment left. */
  readonly notDeployed: readonly Step[];
  /** Resources whose change has begun and not ended. */
  readonly pending: readonly string[];
  readonly warnings: readonly string[];
}

/** Where and when was looked. */
export interface Looked {
  readonly at: Date;
  readonly commit: string;
  readonly runUrl: string | undefined;
}

/** Room for the mark that finds the issue again. */
const RESERVE = 200;

/** Resources that differ, each counted once. */
export function driftCount({ byHand, notDeployed }: Drift): number {
  return new Set([...byHand, ...notDeployed].map(({ urn }) => urn)).size;
}

/** `Drift in staging: 2 resources changed by hand, 1 not deployed`. */
export function issueTitle({ environment, byHand, notDeployed }: Drift): string {
  const parts = [
    ...(byHand.length > 0 ? [`${resources(byHand.length)} changed by hand`] : []),
    ...(notDeployed.length > 0
      ? [`${byHand.length > 0 ? notDeployed.length : resources(notDeployed.length)} not deployed`]
      : []),
  ];
  return `Drift in ${environment}: ${parts.join(', ')}`;
}

/** Markdown within what GitHub takes. */
export function issueBody(drift: Drift, looked: Looked, limit = LONGEST_BODY - RESERVE): string {
  const blocks: Block[] = [
    text(`The environment ${codeSpan(drift.environment)} is not as its configuration says. ${seen(looked)}`),
    ...warnings(drift),
    ...section(drift.byHand, HANDS, [
      'What is live differs from what the last deployment left: `-` is what it left, `+` what is there now.',
      '**What to do:** deploy, and it is put back. To keep it, write it into the configuration, and deploy then.',
    ]),
    ...section(drift.notDeployed, DEPLOYMENTS, [
      'The configuration asks for this, and no deployment has brought it: `-` is what is deployed, `+` what is asked for.',
      '**What to do:** deploy.',
    ]),
    text('This issue is kept up to date, and closes by itself when nothing differs any more.'),
  ];
  const elsewhere = looked.runUrl
    ? `the whole is on [the page of the run](${looked.runUrl})`
    : 'run it by hand for all';
  return `${within(blocks, { limit: limit - 1, elsewhere: `Shortened to what GitHub takes: ${elsewhere}.` })}\n`;
}

/** What the issue says last. */
export function closingComment(environment: string, looked: Looked): string {
  return `Nothing differs in ${codeSpan(environment)} any more. ${seen(looked)}\n`;
}

interface Words {
  readonly title: (count: string) => string;
  readonly operations: Readonly<Partial<Record<Step['operation'], string>>>;
}

const HANDS: Words = {
  title: (count) => `Changed by hand: ${count}`,
  operations: { update: '🟡 changed', delete: '🔴 deleted' },
};
const DEPLOYMENTS: Words = {
  title: (count) => `Not deployed: ${count}`,
  operations: { create: '🟢 create', update: '🟡 change', replace: '🟠 replace', delete: '🔴 delete' },
};

function section(steps: readonly Step[], { title, operations }: Words, notes: readonly string[]): Block[] {
  if (steps.length === 0) return [];
  return [
    text([`### ${title(resources(steps.length))}`, ...notes].join('\n\n')),
    ...steps.map((step): Block => {
      const lines = changeLines(step.changes);
      return {
        kind: 'details',
        summary: `${operations[step.operation] ?? step.operation} ${htmlCode(kindOf(step.type), 80)} ${htmlCode(step.name, 160)}`,
        sections: [
          ...(lines.length > 0 ? [{ language: 'diff', lines } as const] : []),
          ...(step.sql.length > 0 ? [{ language: 'sql', lines: step.sql } as const] : []),
        ],
      };
    }),
  ];
}

function warnings({ pending, warnings: told }: Drift): Block[] {
  const texts = [
    ...(pending.length > 0
      ? [`a change had begun and not ended: ${pending.join(', ')}; a deployment is at work, or died`]
      : []),
    ...told,
  ];
  if (texts.length === 0) return [];
  return [text(['> [!WARNING]', ...texts.map((warning) => `> - ${codeSpan(warning, 600)}`)].join('\n'))];
}

function seen({ at, commit, runUrl }: Looked): string {
  const time = `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  const run = runUrl ? ` by [this run](${runUrl})` : '';
  const version = commit === '' ? '' : `, with the configuration of ${codeSpan(commit.slice(0, 12))}`;
  return `Looked at ${time}${run}${version}.`;
}

function resources(count: number): string {
  return count === 1 ? '1 resource' : `${count} resources`;
}

function text(markdown: string): Block {
  return { kind: 'text', text: markdown };
}
