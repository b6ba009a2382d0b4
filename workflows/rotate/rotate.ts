/** `rotate`: replaces passwords of PostgreSQL roles by age, on the server, in the Secrets and in the pods, and nothing else. */

import { wholePreview } from '../engine/preview.ts';
import { type EngineRun, runEngine } from '../engine/run.ts';
import { type Stack, withStack } from '../engine/stack.ts';
import { readTarget } from '../engine/target.ts';
import { deployedVersion, withVersion } from '../engine/version.ts';
import { EXIT, WorkflowError } from '../failure.ts';
import { output, summary } from '../github/report.ts';
import { flag, flow } from '../options.ts';
import { LONGEST_SUMMARY, planMarkdown } from '../report/markdown.ts';
import { codeSpan } from '../report/text.ts';
import { ageText, parseAge } from './age.ts';
import { carriedAlong, unexpected } from './carried.ts';
import { olderThan, type Password, rolePasswords } from './passwords.ts';

export const rotate = flow({
  name: 'rotate',
  description: 'replaces passwords of PostgreSQL roles that are older than an age',
  options: {
    application: { description: "folder of the application's repository", default: '.' },
    environment: { description: 'environment: Pulumi.<environment>.yaml' },
    'older-than': { description: 'age, such as 30d, 12h or 8w', default: '90d' },
    apply: { description: 'whether they are replaced; else it is only shown', default: 'true' },
  },
  async run(options) {
    const age = parseAge(options['older-than']);
    const applies = flag('apply', options.apply);
    const target = await readTarget(options.application, options.environment);
    await withStack(target, 'refuse', async ({ target: copied, state }) => {
      if (!state) return;
      const all = rolePasswords(state, Date.now());
      const old = olderThan(all, age);
      const heading = `### Passwords of ${codeSpan(target.stack)}\n\n`;
      await summary(
        `${heading}Older than ${options['older-than']}: ${old.length} of ${all.length}.\n\n${table(all, old)}\n`,
      );
      output('rotated', '0');
      if (old.length === 0) {
        console.log(`no password is older than ${options['older-than']}: nothing to do`);
        return;
      }
      const stack = { target: withVersion(copied, deployedVersion(state)), state };
      const plan = await planOf(stack, old);
      const title = `Rotation in ${codeSpan(target.stack)}`;
      await summary(planMarkdown({ ...plan, title, basis: 'live' }, { limit: LONGEST_SUMMARY }));
      if (!applies) return;
      await apply(stack, old);
      output('rotated', String(old.length));
      await summary(`Replaced: ${old.map(({ name }) => codeSpan(name)).join(', ')}.\n`);
    });
    return undefined;
  },
});

/** Replaces exactly the passwords, and brings what uses them up to date. */
function targets(passwords: readonly Password[]): string[] {
  return [...passwords.flatMap(({ urn }) => ['--target-replace', urn]), '--target-dependents'];
}

/**
 * The plan of the rotation.
 *
 * @throws WorkflowError when it would carry anything else with it, or cannot be made whole
 */
async function planOf({ target }: Stack, passwords: readonly Password[]): Promise<EngineRun> {
  // What is live is compared here: with targets the engine cannot read it anew.
  const pending = await wholePreview(target, { refresh: true });
  const rotation = await wholePreview(target, { args: targets(passwords) });
  const carried = carriedAlong(rotation.steps, pending.steps);
  if (carried.length > 0) {
    throw new WorkflowError(
      `the rotation would carry other changes with it, which wait to be deployed; no password was replaced:\n${list(carried)}`,
      'deploy the environment first, then rotate',
      EXIT.refused,
    );
  }
  const surprising = unexpected(
    rotation.steps,
    passwords.map(({ urn }) => urn),
  );
  if (surprising.length > 0) {
    throw new WorkflowError(
      `the rotation would do more than replace passwords; no password was replaced:\n${list(surprising)}`,
      'look at the plan above, and deploy what it needs first',
      EXIT.refused,
    );
  }
  return rotation;
}

async function apply({ target }: Stack, passwords: readonly Password[]): Promise<void> {
  const args = [...targets(passwords), '--message', 'rotate passwords'];
  const run = await runEngine(target, 'up', { args });
  if (run.exitCode === 0) return;
  throw new WorkflowError(
    `the rotation in the environment "${target.stack}" did not come to its end:\n${run.errors.join('\n')}`,
    'mend what the errors name, and deploy the version that runs: it brings the server, the Secrets and the pods together',
    EXIT.refused,
  );
}

function table(all: readonly Password[], old: readonly Password[]): string {
  const rows = all.map((password) => {
    const age = password.age === undefined ? 'not known' : ageText(password.age);
    return `| ${codeSpan(password.name)} | ${age} | ${old.includes(password) ? 'is replaced' : 'stays'} |`;
  });
  return ['| password | age | |', '| --- | --- | --- |', ...rows].join('\n');
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join('\n');
}
