/** The events that start workflows, with the part of their payload that workflows read. */

/** For `ActOptions.event`. */
export interface Event {
  readonly name: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

const REPOSITORY = {
  full_name: 'example/orders',
  name: 'orders',
  owner: { login: 'example' },
  default_branch: 'main',
  fork: false,
};

/** A merge to main. */
export function push(): Event {
  return { name: 'push', payload: { ref: 'refs/heads/main', repository: REPOSITORY } };
}

export interface PullRequestOptions {
  /** @default 12 */
  readonly number?: number;
  /** `opened`, `synchronize`, `closed`, `labeled` … @default synchronize */
  readonly action?: string;
  /** From a repository of somebody else. @default false */
  readonly fork?: boolean;
  /** Names. @default none */
  readonly labels?: readonly string[];
  /** The commit of the pull request's branch. */
  readonly head: string;
  /** The commit of main. */
  readonly base: string;
  /** More of the payload, beside `pull_request`. @default none */
  readonly payload?: Readonly<Record<string, unknown>>;
}

/** A pull request to main, from the branch `change`. */
export function pullRequest(options: PullRequestOptions): Event {
  const number = options.number ?? 12;
  const fork = options.fork ?? false;
  const head = fork ? { ...REPOSITORY, full_name: 'somebody/orders', owner: { login: 'somebody' }, fork } : REPOSITORY;
  return {
    name: 'pull_request',
    payload: {
      action: options.action ?? 'synchronize',
      number,
      repository: REPOSITORY,
      ...options.payload,
      pull_request: {
        number,
        labels: (options.labels ?? []).map((name) => ({ name })),
        head: { ref: 'change', sha: options.head, repo: head },
        base: { ref: 'main', sha: options.base, repo: REPOSITORY },
      },
    },
  };
}

/** Started by hand, with inputs. */
export function dispatch(inputs: Readonly<Record<string, string>> = {}): Event {
  return { name: 'workflow_dispatch', payload: { ref: 'refs/heads/main', inputs, repository: REPOSITORY } };
}

/** By the clock. */
export function schedule(): Event {
  return { name: 'schedule', payload: { schedule: '0 5 * * *', repository: REPOSITORY } };
}
