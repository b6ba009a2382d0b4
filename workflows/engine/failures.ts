/** Which failures of the engine mean that nothing could be tried, and what to do about each. */

import { WorkflowError } from '../failure.ts';
import type { EngineRun } from './run.ts';
import type { Target } from './target.ts';

interface Rule {
  readonly text: RegExp;
  readonly what: (target: Target) => string;
  readonly cure: (target: Target) => string;
  /** Whether the matching words alone are shown of the engine's message. Default false. */
  readonly brief?: boolean;
}

/** Texts of the engine (CLI 3.250), of our plugins and of our program. */
const RULES: readonly Rule[] = [
  {
    text: /incorrect passphrase|failed to decrypt|message authentication failed/i,
    what: ({ stack }) => `the passphrase is not that of the environment "${stack}"`,
    cure: () =>
      'hand over the passphrase that the stack was made with (PULUMI_CONFIG_PASSPHRASE, the secret passphrase)',
  },
  {
    text: /the image "[^"]+" does not exist/,
    what: ({ stack }) => `the environment "${stack}" needs an image that is not in the registry`,
    cure: () => 'name a version that was pushed, or push this one first',
    brief: true,
  },
  {
    text: /no stack named/i,
    what: ({ stack }) => `the environment "${stack}" was never deployed: its state is not in the backend`,
    cure: () => 'deploy it first, or correct the address of the state (PULUMI_BACKEND_URL, the secret backend)',
  },
  {
    text: /the stack is currently locked by/i,
    what: ({ stack }) => `another run holds the lock of the environment "${stack}"`,
    cure: () => 'wait until it has ended; when it died, "pulumi cancel" takes its lock away',
  },
  {
    text: /the configuration of stack "[^"]*" has \d+ problem/i,
    what: () => '',
    cure: () => 'mend the configuration, or hand over what it refers to (the secret variables)',
  },
  {
    text: /needs the Kubernetes cluster, which is|Kubernetes cluster is unreachable|There is no Kubernetes cluster|Kubernetes cluster refused the credentials/i,
    what: ({ stack }) => `the Kubernetes cluster of the environment "${stack}" cannot be used`,
    cure: () =>
      'see whether it runs and whether this machine may reach it; kubernetes.kubeconfig and kubernetes.context in the configuration name it',
  },
  {
    text: /PostgreSQL at \S+ (refuses connections|is not found|is not reachable|does not accept|does not let|did not answer)/i,
    what: ({ stack }) => `the PostgreSQL server of the environment "${stack}" cannot be used`,
    cure: () => 'see whether it runs and whether this machine may reach it; database.host and database.port name it',
  },
];

/** The failure with its cure; undefined when the change was tried and failed. */
export function failureOf({ errors, warnings }: EngineRun, target: Target): WorkflowError | undefined {
  const all = [...errors, ...warnings];
  for (const { text, what, cure, brief } of RULES) {
    const message = all.find((candidate) => text.test(candidate));
    if (message === undefined) continue;
    const found = brief ? (text.exec(message)?.[0] ?? message) : message;
    const said = what(target);
    return new WorkflowError(said === '' ? found : `${said}:\n${found}`, cure(target));
  }
  return undefined;
}
