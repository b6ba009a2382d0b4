import * as pulumi from '@pulumi/pulumi';

/** One thing that is wrong with an argument: which one, what is wrong, and what to do about it. */
export interface Finding {
  /** Key path of the argument, for example `ports.http`. */
  readonly path: string;
  /** What is wrong and what is expected, without the value where it may be a secret. */
  readonly problem: string;
}

/**
 * Throws one error with every finding, or returns when there is none.
 *
 * @param subject what was validated, for example `PostgresDatabase "orders"`.
 * @throws pulumi.RunError so that the CLI shows the text alone, without a stack.
 */
export function refuse(subject: string, findings: readonly Finding[]): void {
  if (findings.length === 0) return;
  const count = findings.length === 1 ? '1 problem' : `${findings.length} problems`;
  throw new pulumi.RunError(`${subject}: ${count}:\n${findings.map(line).join('\n')}`);
}

function line(finding: Finding): string {
  return `  - ${finding.path}: ${finding.problem}`;
}
