/** How a flow says that it did not do what it was asked to. */

/** Exit codes of `npm run workflow`. */
export const EXIT = {
  /** The change failed, or a policy refuses it. */
  refused: 1,
  /** It could not be tried: something is missing, or does not answer. */
  impossible: 2,
} as const;

/** What is wrong and where, and what to do about it. */
export class WorkflowError extends Error {
  /**
   * @param message what is wrong, and where
   * @param cure what to do about it
   * @param exitCode of the process. Default 2: it could not be tried.
   */
  constructor(
    message: string,
    readonly cure: string,
    readonly exitCode: number = EXIT.impossible,
  ) {
    super(message);
    this.name = 'WorkflowError';
  }
}

/**
 * The value of an environment variable.
 *
 * @throws WorkflowError when it is missing or empty
 */
export function needed(environment: NodeJS.ProcessEnv, name: string, what: string): string {
  const value = environment[name];
  if (value) return value;
  throw new WorkflowError(
    `${what} is missing: the environment variable ${name} is not set`,
    `set ${name}; in a workflow, hand it over as the secret or input that docs/workflows.md names`,
  );
}
