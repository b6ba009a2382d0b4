/** `drift`: tells what differs between an environment, its state and its configuration, in one issue. */

import { execa } from 'execa';
import { readTarget, type Target } from '../engine/target.ts';
import { EXIT } from '../failure.ts';
import { github } from '../github/client.ts';
import { readContext } from '../github/context.ts';
import { output, summary } from '../github/report.ts';
import { flag, flow } from '../options.ts';
import { LONGEST_SUMMARY } from '../report/markdown.ts';
import { closingComment, type Drift, driftCount, issueBody, issueTitle, type Looked } from './issue.ts';
import { lookForDrift } from './look.ts';

const LABEL = 'drift';

export const drift = flow({
  name: 'drift',
  description: 'tells what was changed by hand in an environment, and what was not deployed',
  options: {
    environment: { description: 'name of the environment, as in Pulumi.<environment>.yaml' },
    application: { description: "folder of the application's repository", default: '.' },
    issue: { description: 'whether an issue is written; else it is only told', default: 'true' },
    'fail-on-drift': { description: 'whether the exit code is 1 when something differs', default: 'false' },
  },
  async run(options) {
    const writes = flag('issue', options.issue);
    const fails = flag('fail-on-drift', options['fail-on-drift']);
    const target = await readTarget(options.application, options.environment);
    const context = writes ? readContext() : undefined;
    const client = context && github(context);
    const mark = await markOf(target);
    // Before minutes are spent: whether the token may do it.
    await client?.findIssue(LABEL, mark);
    const found = await lookForDrift(target);
    const count = driftCount(found);
    const looked = { at: new Date(), commit: context?.sha ?? '', runUrl: context?.runUrl };
    output('drift', String(count));
    await summary(count === 0 ? closingComment(target.stack, looked) : issueBody(found, looked, LONGEST_SUMMARY));
    if (context && client) {
      const url = await keepIssue(client, mark, found, looked);
      if (url) output('issue', url);
    }
    return count > 0 && fails ? EXIT.refused : undefined;
  },
});

/** Opens, edits or closes the one issue. */
async function keepIssue(
  client: ReturnType<typeof github>,
  mark: string,
  found: Drift,
  looked: Looked,
): Promise<string | undefined> {
  if (driftCount(found) > 0)
    return (await client.writeIssue(LABEL, mark, issueTitle(found), issueBody(found, looked))).url;
  const issue = await client.findIssue(LABEL, mark);
  if (issue) await client.closeIssue(issue.number, closingComment(found.environment, looked));
  return issue?.url;
}

/** One issue for each environment of each application: a repository may have several, in folders of it. */
async function markOf({ root, stack }: Target): Promise<string> {
  const { exitCode, stdout } = await execa('git', ['rev-parse', '--show-prefix'], { cwd: root, reject: false });
  const folder = exitCode === 0 ? stdout.trim().replace(/\/$/, '') : '';
  return ['drift', ...(folder === '' ? [] : [folder]), stack].join(' ');
}
