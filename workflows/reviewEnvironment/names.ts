/** How the stack of a pull request is called. Pure. */

/** Longest part of the repository's name that is in it: a stack's name has at most 100 characters. */
const LONGEST = 60;

/**
 * `pr-12-orders`: the backend may hold the stacks of several repositories, which count their pull requests alike.
 *
 * @param repository without its owner
 */
export function stackName(pullRequest: number, repository: string): string {
  return `pr-${pullRequest}-${slug(repository)}`;
}

/** The number in the name of a stack of this repository, or of one that is called the same; undefined for others. */
export function pullRequestOfStack(stack: string, repository: string): number | undefined {
  const [, number, rest] = /^pr-([1-9]\d{0,9})-(.+)$/.exec(stack) ?? [];
  return rest === slug(repository) ? Number(number) : undefined;
}

function slug(repository: string): string {
  return (
    repository
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .slice(0, LONGEST)
      .replace(/^-+|-+$/g, '') || 'repository'
  );
}
