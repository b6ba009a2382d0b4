/** What GitHub Actions tells a run of a workflow: default environment variables and the event's payload. */

import { existsSync, readFileSync } from 'node:fs';
import { needed, WorkflowError } from '../failure.ts';

export interface PullRequest {
  readonly number: number;
  readonly state: 'open' | 'closed';
  readonly headSha: string;
  readonly headRef: string;
  readonly baseSha: string;
  readonly baseRef: string;
  /** Whether the branch is in another repository: its code is not trusted. */
  readonly fork: boolean;
  readonly labels: readonly string[];
}

export interface RunContext {
  readonly owner: string;
  readonly repository: string;
  /** Such as `pull_request`; empty on a laptop. */
  readonly eventName: string;
  readonly event: Readonly<Record<string, unknown>>;
  readonly sha: string;
  readonly ref: string;
  readonly actor: string;
  /** Page of the run; undefined on a laptop. */
  readonly runUrl: string | undefined;
  readonly serverUrl: string;
  readonly apiUrl: string;
}

/** @throws WorkflowError when the repository is not named, or the event cannot be read */
export function readContext(environment: NodeJS.ProcessEnv = process.env): RunContext {
  const full = needed(environment, 'GITHUB_REPOSITORY', 'the repository (owner/name)');
  const [owner = '', repository = ''] = full.split('/');
  const serverUrl = environment.GITHUB_SERVER_URL || 'https://github.com';
  const run = environment.GITHUB_RUN_ID;
  return {
    owner,
    repository,
    eventName: environment.GITHUB_EVENT_NAME ?? '',
    event: readEvent(environment.GITHUB_EVENT_PATH),
    sha: environment.GITHUB_SHA ?? '',
    ref: environment.GITHUB_REF ?? '',
    actor: environment.GITHUB_ACTOR ?? '',
    runUrl: run ? `${serverUrl}/${full}/actions/runs/${run}` : undefined,
    serverUrl,
    apiUrl: environment.GITHUB_API_URL || 'https://api.github.com',
  };
}

function readEvent(path: string | undefined): Record<string, unknown> {
  if (!path || !existsSync(path)) return {};
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch {
    throw new WorkflowError(
      `the event in GITHUB_EVENT_PATH (${path}) is not JSON`,
      'hand over the payload as GitHub sends it',
    );
  }
}

/** The pull request as GitHub's API and events describe it. */
export interface PullRequestPayload {
  readonly number: number;
  readonly state: string;
  readonly head: { readonly sha: string; readonly ref: string; readonly repo: { readonly full_name: string } | null };
  readonly base: { readonly sha: string; readonly ref: string; readonly repo: { readonly full_name: string } };
  readonly labels?: readonly { readonly name?: string }[];
}

export function pullRequestOf(payload: PullRequestPayload): PullRequest {
  const { number, state, head, base, labels = [] } = payload;
  return {
    number,
    state: state === 'closed' ? 'closed' : 'open',
    headSha: head.sha,
    headRef: head.ref,
    baseSha: base.sha,
    baseRef: base.ref,
    // A fork that was deleted has no repository any more.
    fork: head.repo?.full_name !== base.repo.full_name,
    labels: labels.flatMap(({ name }) => (name ? [name] : [])),
  };
}

/** The pull request of the event that started the run. */
export function eventPullRequest({ event }: Pick<RunContext, 'event'>): PullRequest | undefined {
  const payload = event.pull_request as PullRequestPayload | undefined;
  return payload && pullRequestOf(payload);
}
