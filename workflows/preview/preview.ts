/** What a pull request would change in each environment: as one comment, and on the page of the run. */

import { environmentsOf } from '../engine/target.ts';
import { EXIT, WorkflowError } from '../failure.ts';
import { type GitHub, github } from '../github/client.ts';
import { eventPullRequest, type PullRequest, type RunContext, readContext } from '../github/context.ts';
import { complain, output, summary } from '../github/report.ts';
import { flow } from '../options.ts';
import { LONGEST_SUMMARY, plansMarkdown } from '../report/markdown.ts';
import { codeSpan } from '../report/text.ts';
import { changedFiles, checkedOut, commitsBehind } from './changedFiles.ts';
import { type Preview, previewEnvironment } from './environment.ts';
import { writePictures } from './graph.ts';
import { verdictOf } from './policy.ts';
import { touchedBy } from './touched.ts';

export const preview = flow({
  name: 'preview',
  description: 'shows what a pull request would change in each environment; changes nothing',
  options: {
    application: {
      description: "folder of the application's repository, with the pull request checked out",
      default: '.',
    },
    environments: { description: 'names, parted by commas; otherwise those that the change touches', default: '' },
    base: {
      description:
        'commit or branch that the change starts from; otherwise the pull request knows, or every environment is shown',
      default: '',
    },
    'pull-request': { description: 'number; otherwise that of the event, or none', default: '' },
    commit: { description: 'commit of the pull request that was reviewed; refused when it has moved', default: '' },
    comment: { description: 'name of the comment, for a repository with several previews', default: 'preview' },
    pictures: { description: 'folder for the pictures of the graphs (SVG)', default: '' },
  },
  async run({ application, environments: names, base, 'pull-request': number, commit, comment, pictures }) {
    const context = readContext();
    const pullRequest = await findPullRequest(context, number, commit);
    if (commit !== '') await mustBeAt(application, commit);
    const start = base || (pullRequest?.pull.baseSha ?? '');
    const { environments, gone } = await chosen(application, names, start);
    const previews: Preview[] = [];
    for (const environment of environments) {
      console.log(`\n== preview of ${environment}`);
      const version = `preview-${(pullRequest?.pull.headSha || context.sha || 'local').slice(0, 12)}`;
      previews.push(await previewEnvironment({ application, environment, version }));
    }
    const labels = pullRequest?.pull.labels ?? [];
    const verdict = verdictOf(
      Object.fromEntries(previews.map(({ environment, plan }) => [environment, plan.steps])),
      labels,
    );
    const head = headOf({
      pull: pullRequest?.pull,
      context,
      environments,
      gone,
      behind: start === '' ? 0 : await commitsBehind(application, start),
      verdict: verdict.text,
    });
    const plans = previews.map(({ plan }) => plan);
    await summary(plansMarkdown(plans, { head, limit: LONGEST_SUMMARY }));
    if (pictures) {
      const whole = previews.filter(({ digest }) => digest !== undefined);
      await writePictures(
        pictures,
        whole.map(({ environment, resources, plan: { steps } }) => ({ environment, resources, steps })),
      );
    }
    const digests = Object.fromEntries(
      previews.flatMap(({ environment, digest }) => (digest ? [[environment, digest]] : [])),
    );
    output('digests', JSON.stringify(digests));
    if (pullRequest) {
      const text = plansMarkdown(plans, { head, ...(context.runUrl && { runUrl: context.runUrl }) });
      const onlyIfThere = environments.length === 0 && gone.length === 0;
      const written = await pullRequest.hub.comment(pullRequest.pull.number, comment, text, { onlyIfThere });
      if (written) console.log(`${written.created ? 'wrote' : 'updated'} ${written.url}`);
    }
    return exitCodeOf(previews, verdict.allowed);
  },
});

/** Something that could not be tried counts more than what is refused: it is to be mended first. */
function exitCodeOf(previews: readonly Preview[], allowed: boolean): number {
  for (const { environment, plan, exitCode } of previews) {
    if (exitCode !== 0) complain(`the preview of ${environment}: ${(plan.errors ?? []).join('\n')}`);
  }
  if (!allowed) complain('data would be deleted: add the label allow-data-loss to the pull request if that is meant');
  return Math.max(0, ...previews.map(({ exitCode }) => exitCode), allowed ? 0 : EXIT.refused);
}

async function findPullRequest(
  context: RunContext,
  number: string,
  commit: string,
): Promise<{ hub: GitHub; pull: PullRequest } | undefined> {
  const known = eventPullRequest(context);
  const wanted = number === '' ? known?.number : Number(number);
  if (wanted === undefined) return undefined;
  if (!Number.isInteger(wanted) || wanted <= 0) {
    throw new WorkflowError(
      `"${number}" is not the number of a pull request`,
      'name it as GitHub shows it, such as 12',
    );
  }
  const hub = github(context);
  // Of a run that is started again the event is old: labels, and where the branch is, are asked for.
  const pull = await hub.pullRequest(wanted);
  if (commit !== '' && pull.headSha !== commit) {
    throw new WorkflowError(
      `pull request ${wanted} is at ${pull.headSha} now, not at ${commit}, which was reviewed`,
      'review what has come since, and start the preview again with the commit that you have read',
      EXIT.refused,
    );
  }
  if (pull.fork && commit === '') {
    throw new WorkflowError(
      `pull request ${wanted} is from a fork: what it configures decides where secrets are sent`,
      'review its commit, and start the preview by hand with --commit and the whole SHA',
      EXIT.refused,
    );
  }
  return { hub, pull };
}

/** What is previewed is what was reviewed. */
async function mustBeAt(application: string, commit: string): Promise<void> {
  const found = await checkedOut(application);
  if (found === commit) return;
  throw new WorkflowError(
    `${found} is checked out in ${application}, not ${commit}`,
    'check out the commit that was reviewed, named by its whole SHA',
    EXIT.refused,
  );
}

async function chosen(
  application: string,
  names: string,
  base: string,
): Promise<{ environments: readonly string[]; gone: readonly string[] }> {
  const known = environmentsOf(application);
  const wanted = names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const unknown = wanted.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new WorkflowError(
      `there is no environment ${unknown.map((name) => `"${name}"`).join(', ')} in ${application}`,
      known.length > 0 ? `choose among ${known.join(', ')}` : 'add Pulumi.<environment>.yaml (docs/configuration.md)',
    );
  }
  const among = wanted.length > 0 ? wanted : known;
  if (base === '') return { environments: among, gone: [] };
  const { environments, gone } = touchedBy(await changedFiles(application, base), among);
  return { environments, gone: wanted.length > 0 ? gone.filter((name) => wanted.includes(name)) : gone };
}

interface Head {
  readonly pull: PullRequest | undefined;
  readonly context: RunContext;
  readonly environments: readonly string[];
  readonly gone: readonly string[];
  /** Commits of the base that the change lacks. */
  readonly behind: number;
  readonly verdict: string;
}

function headOf({ pull, context, environments, gone, behind, verdict }: Head): string {
  const commit = pull?.headSha || context.sha;
  const run = context.runUrl ? ` in [this run](${context.runUrl})` : '';
  return [
    environments.length === 0
      ? 'No environment is touched.'
      : `What this change does to ${environments.map((name) => codeSpan(name)).join(', ')}${commit ? `, at ${codeSpan(commit.slice(0, 12))}` : ''}${run}. Nothing was changed.`,
    ...(gone.length > 0
      ? [
          `> [!WARNING]\n> Without its configuration, ${gone.map((name) => codeSpan(name)).join(', ')} stays as it is and is looked after by nobody: destroy it first.`,
        ]
      : []),
    ...(behind > 0 && environments.length > 0
      ? [
          `> [!NOTE]\n> The branch lacks ${behind} ${behind === 1 ? 'commit' : 'commits'} of its base. What they changed and was deployed shows below as taken back: bring the branch up to date.`,
        ]
      : []),
    ...(verdict === '' ? [] : [verdict]),
  ].join('\n\n');
}
