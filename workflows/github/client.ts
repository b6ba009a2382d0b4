/** GitHub's API, as far as the flows use it: one comment, one issue, pull requests and their labels. */

import { Octokit } from '@octokit/rest';
import { needed, WorkflowError } from '../failure.ts';
import { type PullRequest, pullRequestOf, type RunContext } from './context.ts';

/** The longest text that GitHub takes for a comment or an issue, in characters. */
export const LONGEST_BODY = 65_536;

export interface Issue {
  readonly number: number;
  readonly body: string;
  readonly url: string;
}

export interface Comment {
  readonly url: string;
  readonly created: boolean;
}

export class GitHub {
  readonly octokit: Octokit;

  constructor(
    private readonly context: Pick<RunContext, 'owner' | 'repository' | 'apiUrl'>,
    token: string,
  ) {
    const quiet = () => undefined;
    this.octokit = new Octokit({
      auth: token,
      baseUrl: context.apiUrl,
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    });
  }

  /** Parameters that name the repository. */
  get repo(): { owner: string; repo: string } {
    return { owner: this.context.owner, repo: this.context.repository };
  }

  /**
   * Writes the one comment with this mark: posts it the first time, edits it in place after.
   *
   * Somebody else's comment is never taken for it: its author could change what it says.
   *
   * @param mark text that only this comment has, kept in it as an HTML comment
   * @param onlyIfThere whether none is posted; undefined is the answer then. Default false.
   */
  async comment(pullRequest: number, mark: string, body: string): Promise<Comment>;
  async comment(
    pullRequest: number,
    mark: string,
    body: string,
    options: { onlyIfThere: boolean },
  ): Promise<Comment | undefined>;
  async comment(
    pullRequest: number,
    mark: string,
    body: string,
    { onlyIfThere = false } = {},
  ): Promise<Comment | undefined> {
    const marked = `${htmlMark(mark)}\n${body}`;
    return await this.call('write the comment', 'pull-requests: write', async () => {
      const all = await this.octokit.paginate(this.octokit.issues.listComments, {
        ...this.repo,
        issue_number: pullRequest,
        per_page: 100,
      });
      const own = ownOf(all.filter(({ body: text }) => text?.startsWith(htmlMark(mark))));
      if (!own && onlyIfThere) return undefined;
      const { data } = own
        ? await this.octokit.issues.updateComment({ ...this.repo, comment_id: own.id, body: marked })
        : await this.octokit.issues.createComment({ ...this.repo, issue_number: pullRequest, body: marked });
      return { url: data.html_url, created: !own };
    });
  }

  /** The open issue with this label and mark. */
  async findIssue(label: string, mark: string): Promise<Issue | undefined> {
    return await this.call('look for the issue', 'issues: write', async () => {
      const open = await this.octokit.paginate(this.octokit.issues.listForRepo, {
        ...this.repo,
        labels: label,
        state: 'open',
        per_page: 100,
      });
      const found = open.find(({ body, pull_request }) => !pull_request && body?.startsWith(htmlMark(mark)));
      return found && { number: found.number, body: found.body ?? '', url: found.html_url };
    });
  }

  /** Writes the one open issue with this mark: opens it, or edits it in place. */
  async writeIssue(label: string, mark: string, title: string, body: string): Promise<Issue> {
    const marked = `${htmlMark(mark)}\n${body}`;
    const known = await this.findIssue(label, mark);
    return await this.call('write the issue', 'issues: write', async () => {
      const { data } = known
        ? await this.octokit.issues.update({ ...this.repo, issue_number: known.number, title, body: marked })
        : await this.octokit.issues.create({ ...this.repo, title, body: marked, labels: [label] });
      return { number: data.number, body: data.body ?? '', url: data.html_url };
    });
  }

  /** Says why in a comment, and closes the issue as completed. */
  async closeIssue(number: number, why: string): Promise<void> {
    await this.call('close the issue', 'issues: write', async () => {
      await this.octokit.issues.createComment({ ...this.repo, issue_number: number, body: why });
      await this.octokit.issues.update({
        ...this.repo,
        issue_number: number,
        state: 'closed',
        state_reason: 'completed',
      });
    });
  }

  async pullRequest(number: number): Promise<PullRequest> {
    return await this.call(`read pull request ${number}`, 'pull-requests: read', async () => {
      const { data } = await this.octokit.pulls.get({ ...this.repo, pull_number: number });
      return pullRequestOf(data);
    });
  }

  async openPullRequests(): Promise<PullRequest[]> {
    return await this.call('list the open pull requests', 'pull-requests: read', async () => {
      const open = await this.octokit.paginate(this.octokit.pulls.list, { ...this.repo, state: 'open', per_page: 100 });
      return open.map(pullRequestOf);
    });
  }

  /** @throws WorkflowError for every refusal of GitHub, with the permission that it needs */
  async call<T>(what: string, permission: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { status, message } = error as { status?: number; message: string };
      const answer = status ? `GitHub answered ${status}: ${message}` : message;
      const cure =
        status === 401
          ? 'hand over a token that is valid (GITHUB_TOKEN)'
          : status === 403 || status === 404
            ? `give the job the permission "${permission}"`
            : `see whether ${this.context.apiUrl} can be reached, and run it again`;
      throw new WorkflowError(`cannot ${what} in ${this.context.owner}/${this.context.repository}: ${answer}`, cure);
    }
  }
}

/** On GitHub an app writes it, and only apps have a name with brackets; on a laptop it may be whoever has the token. */
function ownOf<T extends { readonly user: { readonly login: string } | null }>(comments: readonly T[]): T | undefined {
  const byApp = comments.find(({ user }) => user?.login.endsWith('[bot]'));
  return byApp ?? (process.env.GITHUB_ACTIONS === 'true' ? undefined : comments[0]);
}

function htmlMark(mark: string): string {
  return `<!-- ${mark} -->`;
}

/** @throws WorkflowError when there is no token */
export function github(context: RunContext, environment: NodeJS.ProcessEnv = process.env): GitHub {
  return new GitHub(context, needed(environment, 'GITHUB_TOKEN', "GitHub's token"));
}
