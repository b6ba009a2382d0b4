/** `review-environment`: an environment for each pull request, from its first commit until it closes. */

import { WorkflowError } from '../failure.ts';
import { github } from '../github/client.ts';
import { eventPullRequest, type PullRequest, type RunContext, readContext } from '../github/context.ts';
import { summary } from '../github/report.ts';
import { flow } from '../options.ts';
import { parseAge } from '../rotate/age.ts';
import { removeEnvironment } from './remove.ts';
import type { ReviewContext } from './review.ts';
import { sweepEnvironments } from './sweep.ts';
import { updateEnvironment } from './update.ts';

export const reviewEnvironment = flow({
  name: 'review-environment',
  description: 'makes, updates and removes the environment of a pull request, and sweeps what was missed',
  options: {
    action: {
      description: 'update, remove or sweep; without it, what the event of GitHub asks for',
      default: '',
    },
    'pull-request': { description: "number; without it, that of the event's", default: '' },
    application: { description: "folder of the application's repository", default: '.' },
    template: { description: 'its configuration for review environments', default: 'Pulumi.review.yaml' },
    'time-to-live': { description: 'how long an environment lives without a commit, such as 7d', default: '7d' },
  },
  async run(options) {
    const run = readContext();
    const context: ReviewContext = {
      run,
      github: github(run),
      application: options.application,
      template: options.template,
      timeToLive: parseAge(options['time-to-live']),
    };
    switch (options.action || actionOf(run)) {
      case 'update':
        return await updateEnvironment(context, await pullRequestOf(context, options['pull-request']));
      case 'remove': {
        const { number, fork } = await pullRequestOf(context, options['pull-request']);
        if (!fork) return await removeEnvironment(context, number, 'the pull request is closed');
        await summary(`Pull request ${number} comes from a fork, and never had a review environment.\n`);
        return 0;
      }
      case 'sweep':
        return await sweepEnvironments(context);
      default:
        throw new WorkflowError(`there is no action ${JSON.stringify(options.action)}`, 'use update, remove or sweep');
    }
  },
});

function actionOf({ event, eventName }: RunContext): string {
  if (eventPullRequest({ event })) return event.action === 'closed' ? 'remove' : 'update';
  if (eventName === 'schedule' || eventName === 'workflow_dispatch') return 'sweep';
  throw new WorkflowError(
    eventName ? `the event ${eventName} says nothing of a pull request` : 'it is not said what to do',
    'call it on pull_request and schedule, or say --action and --pull-request',
  );
}

async function pullRequestOf({ run, github: client }: ReviewContext, number: string): Promise<PullRequest> {
  const known = eventPullRequest(run);
  if (known && (number === '' || Number(number) === known.number)) return known;
  if (!/^[1-9]\d{0,9}$/.test(number)) {
    throw new WorkflowError(
      number === '' ? 'the pull request is not named' : `"${number}" is not the number of a pull request`,
      'say --pull-request with its number',
    );
  }
  return await client.pullRequest(Number(number));
}
