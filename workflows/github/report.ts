/** What a run says besides its log: outputs, the summary on its page, masks, errors. The same on a laptop, in the terminal. */

import * as actions from '@actions/core';
import { WorkflowError } from '../failure.ts';

const onGitHub = (): boolean => process.env.GITHUB_ACTIONS === 'true';

/** An output of the step; on a laptop a line `name=value`. */
export function output(name: string, value: string): void {
  if (process.env.GITHUB_OUTPUT) actions.setOutput(name, value);
  else console.log(`${name}=${value}`);
}

/** Adds Markdown to the page of the run; on a laptop it is printed. */
export async function summary(markdown: string): Promise<void> {
  if (process.env.GITHUB_STEP_SUMMARY) await actions.summary.addRaw(markdown, true).write();
  else console.log(markdown);
}

/** Hides a value, and each of its lines, in everything that the run prints from now on. */
export function mask(value: string): void {
  if (!onGitHub()) return;
  for (const line of new Set([value, ...value.split('\n')])) if (line.trim().length >= 4) actions.setSecret(line);
}

export function warn(text: string): void {
  if (onGitHub()) actions.warning(text);
  else console.error(`warning: ${text}`);
}

/** One of several things that are wrong; the run goes on. */
export function complain(text: string): void {
  if (onGitHub()) actions.error(text);
  else console.error(`error: ${text}`);
}

/** Says what is wrong and the cure, where the reader looks first; returns the exit code of the process. */
export async function reportFailure(error: unknown): Promise<number> {
  const known = error instanceof WorkflowError;
  const message = error instanceof Error ? error.message : String(error);
  const text = known ? `${message}\n${error.cure}` : message;
  if (onGitHub()) {
    actions.error(text);
    const cure = known ? `\n\n**What to do:** ${error.cure}` : '';
    await summary(`> [!CAUTION]\n> ${message.replaceAll('\n', '\n> ')}${cure.replaceAll('\n', '\n> ')}\n`);
  } else {
    console.error(known ? `${message}\nWhat to do: ${error.cure}` : message);
  }
  if (!known && process.env.DEBUG) console.error(error);
  return known ? error.exitCode : 1;
}
