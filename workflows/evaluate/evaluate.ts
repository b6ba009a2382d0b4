/** What a pull request that nobody has reviewed would change, as far as its configuration says: without secrets, state, cluster. */

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environmentsOf } from '../engine/target.ts';
import { EXIT } from '../failure.ts';
import { eventPullRequest, readContext } from '../github/context.ts';
import { complain, output, summary } from '../github/report.ts';
import type { GraphResource } from '../graph/model.ts';
import { flow } from '../options.ts';
import { diagram, writePictures } from '../preview/graph.ts';
import { verdictOf } from '../preview/policy.ts';
import { digestOf } from '../report/digest.ts';
import { LONGEST_SUMMARY, type Plan, plansMarkdown } from '../report/markdown.ts';
import { codeSpan } from '../report/text.ts';
import { compare } from './compare.ts';
import { type Evaluation, evaluate as evaluateEnvironment } from './evaluation.ts';
import { commonCommit, type Tree, writeTree } from './tree.ts';

export const evaluate = flow({
  name: 'evaluate',
  description: 'compares what the configurations of two commits say, without secrets, state, cluster and registry',
  options: {
    application: { description: "folder of the application's repository, with its history", default: '.' },
    base: { description: 'commit or branch that the change starts from' },
    head: { description: 'commit that is looked at', default: 'HEAD' },
    environments: { description: 'names, parted by commas; otherwise all', default: '' },
    pictures: { description: 'folder for the pictures of the graphs (SVG)', default: '' },
  },
  async run({ application, base, head, environments, pictures }) {
    const directory = await mkdtemp(join(tmpdir(), 'evaluate-'));
    try {
      const sides = {
        base: await sideOf(application, await commonCommit(application, base, head), join(directory, 'base')),
        head: await sideOf(application, head, join(directory, 'head')),
      };
      const wanted = environments
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== '');
      const names = [...new Set([...sides.base.environments, ...sides.head.environments])].sort();
      const chosen = wanted.length === 0 ? names : names.filter((name) => wanted.includes(name));
      const results: Result[] = [];
      for (const name of chosen) results.push(await compared(name, sides));
      return await report(results, sides, pictures);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
});

interface Side {
  readonly tree: Tree;
  readonly folder: string;
  readonly environments: readonly string[];
}

interface Sides {
  readonly base: Side;
  readonly head: Side;
}

async function sideOf(repository: string, revision: string, folder: string): Promise<Side> {
  await mkdir(folder);
  const tree = await writeTree(repository, revision, folder);
  return { tree, folder, environments: environmentsOf(folder) };
}

interface Result {
  readonly name: string;
  readonly plan: Plan;
  readonly digest: string;
  readonly resources: readonly GraphResource[];
  readonly variables: readonly string[];
}

const NOTHING: Evaluation = { resources: [], variables: [] };

async function compared(name: string, { base, head }: Sides): Promise<Result> {
  const of = async ({ environments, folder, tree }: Side): Promise<Evaluation> =>
    environments.includes(name) ? await evaluateEnvironment(folder, name, tree.content) : NOTHING;
  const notes: string[] = [];
  const [after, before] = await Promise.all([
    of(head),
    of(base).catch((error: Error) => {
      const what = codeSpan(error.message, 300);
      notes.push(`The configuration of the base is not valid, so that everything shows as new: ${what}`);
      return NOTHING;
    }),
  ]);
  const { steps, counts, resources } = compare(before.resources, after.resources);
  const drawn = diagram(resources, steps);
  if (!base.environments.includes(name)) notes.push('The environment is new.');
  if (!head.environments.includes(name)) {
    notes.push('The configuration is gone. Nobody deletes the environment for that: it would have to be destroyed.');
  }
  const title = `Configuration of ${codeSpan(name)}`;
  const plan: Plan = {
    title,
    steps,
    counts,
    warnings: [],
    basis: 'configuration',
    notes,
    ...(drawn !== undefined && { picture: drawn }),
  };
  return { name, plan, digest: digestOf(steps), resources, variables: after.variables };
}

async function report(results: readonly Result[], sides: Sides, pictures: string): Promise<number> {
  const pull = eventPullRequest(readContext());
  const verdict = verdictOf(
    Object.fromEntries(results.map(({ name, plan }) => [name, plan.steps])),
    pull?.labels ?? [],
  );
  const head = headOf(sides, verdict.text);
  await summary(
    plansMarkdown(
      results.map(({ plan }) => plan),
      { head, limit: LONGEST_SUMMARY },
    ),
  );
  const variables = [...new Set(results.flatMap((result) => result.variables))].sort();
  console.log(`evaluated ${results.map(({ name }) => name).join(', ')} with no variables but ${variables.join(', ')}`);
  output('digests', JSON.stringify(Object.fromEntries(results.map(({ name, digest }) => [name, digest]))));
  if (pictures) {
    await writePictures(
      pictures,
      results.map(({ name, resources, plan: { steps } }) => ({ environment: name, resources, steps })),
    );
  }
  if (verdict.allowed) return 0;
  complain('data would be deleted: a maintainer adds the label allow-data-loss to the pull request if that is meant');
  return EXIT.refused;
}

function headOf({ base, head }: Sides, verdict: string): string {
  const from = `${codeSpan(base.tree.commit.slice(0, 12))} to ${codeSpan(head.tree.commit.slice(0, 12))}`;
  const links =
    head.tree.links.length > 0
      ? [`Links and submodules were not followed: ${codeSpan(head.tree.links.join(', '), 300)}`]
      : [];
  return [
    `What the configuration changes from ${from}.`,
    [
      '> [!NOTE]',
      '> From the configuration alone: this run had no secret, no state, and asked no cluster, database or registry. Secrets and',
      '> variables are assumed. Not known: what is live, which images there are, whether a change is made in place or by',
      '> replacing. For that a maintainer reviews the commit and starts the preview by hand, with its SHA.',
    ].join('\n'),
    ...links,
    ...(verdict === '' ? [] : [verdict]),
  ].join('\n\n');
}
