/** What the stand-in of GitHub remembers. */

export type Area = 'issues' | 'pull-requests' | 'contents' | 'actions' | 'deployments' | 'metadata';

/** Rights of a token by area, as `permissions` of a job name them. */
export type Grants = 'everything' | Readonly<Partial<Record<Area, 'read' | 'write'>>>;

export interface Recorded {
  readonly method: string;
  /** With its query, decoded. */
  readonly path: string;
  readonly body: unknown;
  readonly token: string;
}

export interface IssueRecord {
  readonly number: number;
  title: string;
  body: string;
  state: 'open' | 'closed';
  labels: string[];
  readonly pullRequest: boolean;
}

export interface CommentRecord {
  readonly id: number;
  /** Of the issue or pull request. */
  readonly issue: number;
  body: string;
  /** Login of who wrote it. */
  readonly user: string;
  /** How often it was edited. */
  edits: number;
}

export interface PullRecord {
  readonly number: number;
  state: 'open' | 'closed';
  readonly head: { readonly ref: string; readonly sha: string; readonly repository: string };
  readonly base: { readonly ref: string; readonly sha: string };
  /** Names of files that it changes. */
  readonly files: readonly string[];
}

export interface DeploymentRecord {
  readonly id: number;
  readonly environment: string;
  readonly ref: string;
  readonly payload: unknown;
  readonly statuses: { readonly state: string; readonly description: string; readonly environment_url: string }[];
}

export interface GitHubState {
  url: string;
  repository: string;
  /** Issues and, with the same numbers, the conversations of pull requests. */
  readonly issues: Map<number, IssueRecord>;
  readonly comments: Map<number, CommentRecord>;
  readonly pulls: Map<number, PullRecord>;
  /** Labels of the repository. */
  readonly labels: Set<string>;
  /** `admin`, `write`, `read` or `none` by login; `write` for who is not named. */
  readonly permissions: Map<string, string>;
  /** `refs/tags/NAME` to the commit. */
  readonly refs: Map<string, string>;
  /** Files by path, as `contents` gives them. */
  readonly contents: Map<string, string>;
  readonly deployments: Map<number, DeploymentRecord>;
  /** Runs by id, as `actions/runs` gives them. */
  readonly runs: Map<number, Readonly<Record<string, unknown>>>;
  /** Counts up for every issue, comment and deployment. */
  next: number;
}

export function emptyState(): GitHubState {
  return {
    url: '',
    repository: '',
    issues: new Map(),
    comments: new Map(),
    pulls: new Map(),
    labels: new Set(),
    permissions: new Map(),
    refs: new Map(),
    contents: new Map(),
    deployments: new Map(),
    runs: new Map(),
    next: 100,
  };
}

/** Adds an open pull request with its conversation; for tests. */
export function addPull(
  state: GitHubState,
  pull: Pick<PullRecord, 'number' | 'head' | 'base'> & {
    readonly labels?: readonly string[];
    readonly files?: readonly string[];
  },
): void {
  const { number, head, base, labels = [], files = [] } = pull;
  state.pulls.set(number, { number, state: 'open', head, base, files });
  state.issues.set(number, {
    number,
    title: 'A change',
    body: '',
    state: 'open',
    labels: [...labels],
    pullRequest: true,
  });
}
