/** The tag that says which commit was published: the next version is counted from it. */

import { WorkflowError } from '../failure.ts';
import { github } from '../github/client.ts';
import { readContext } from '../github/context.ts';
import { tagOf } from './history.ts';
import type { Release } from './release.ts';

/**
 * Sets the tag through GitHub's API. Without the right to, the package stays published.
 *
 * @returns what is left for a person to do; undefined when the tag is set
 */
export async function tagRelease({ name, version, commit }: Release): Promise<string | undefined> {
  const tag = tagOf(name, version);
  const byHand = `git tag '${tag}' ${commit} && git push origin 'refs/tags/${tag}'`;
  if (!process.env.GITHUB_REPOSITORY || !process.env.GITHUB_TOKEN) {
    return `The commit is not tagged, and the next version is counted from the tag. Set it: ${byHand}`;
  }
  try {
    const hub = github(readContext());
    const ref = `tags/${tag}`;
    const known = await hub.call('look for the tag', 'contents: read', async () => {
      const { data } = await hub.octokit.git.listMatchingRefs({ ...hub.repo, ref });
      return data.find((one) => one.ref === `refs/${ref}`)?.object.sha;
    });
    if (known === commit) return undefined;
    if (known !== undefined)
      return `The tag ${tag} is on another commit, ${known}: see which of the two was published.`;
    await hub.call('set the tag', 'contents: write', () =>
      hub.octokit.git.createRef({ ...hub.repo, ref: `refs/${ref}`, sha: commit }),
    );
    return undefined;
  } catch (error) {
    if (!(error instanceof WorkflowError)) throw error;
    return `The commit is not tagged (${error.message}), and the next version is counted from the tag. Set it: ${byHand}, or ${error.cure}.`;
  }
}
