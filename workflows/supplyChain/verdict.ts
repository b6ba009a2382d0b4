/** What `npm audit signatures` has found. Pure. */

import { EXIT, WorkflowError } from '../failure.ts';

export interface AuditResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * @returns what was verified, as a sentence for a person
 * @throws WorkflowError when a signature is wrong or missing, when nothing was verified, or it could not be tried
 */
export function verdictOf({ exitCode, stdout, stderr }: AuditResult, registry: string): string {
  const signed = /(\d+) packages? ha(?:s|ve) (?:a )?verified registry signatures?/.exec(stdout)?.[1];
  const attested = /(\d+) packages? ha(?:s|ve) (?:a |an )?verified attestations?/.exec(stdout)?.[1] ?? '0';
  if (exitCode === 0 && signed !== undefined && signed !== '0') {
    return `${signed} packages have verified signatures of ${registry}; ${attested} have a verified statement of where they were built.`;
  }
  const said = (stderr.trim() || stdout.trim()).split('\n').slice(0, 20).join('\n');
  if (exitCode === 0 || /no dependencies to audit/i.test(said)) {
    throw new WorkflowError(
      `"npm audit signatures" has verified nothing of ${registry}: ${said}`,
      'install the dependencies with "npm ci", from a registry that signs',
    );
  }
  if (/E(NOTFOUND|CONNREFUSED|TIMEDOUT|AI_AGAIN|CONNRESET)/.test(said)) {
    throw new WorkflowError(
      `"npm audit signatures" cannot reach what it needs:\n${said}`,
      'let this machine reach the registry, and tuf-repo-cdn.sigstore.dev for the keys of statements',
    );
  }
  throw new WorkflowError(
    `dependencies are not what ${registry} has signed:\n${said}`,
    'do not use what is installed: remove node_modules, find out where the named packages came from, and install them anew',
    EXIT.refused,
  );
}
