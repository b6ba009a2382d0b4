/** The workflows of this repository and of the example, as files and as what they say. */

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { parse } from 'yaml';
import { repositoryRoot } from '../../../local/context.ts';

type Rights = Readonly<Record<string, 'read' | 'write' | 'none'>>;

export interface Step {
  readonly uses?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

export interface Job {
  readonly permissions?: Rights;
  readonly uses?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly secrets?: Readonly<Record<string, unknown>> | 'inherit';
  readonly steps?: readonly Step[];
}

interface Parameter {
  readonly required?: boolean;
  readonly type?: string;
}

export interface Workflow {
  readonly on: Readonly<Record<string, unknown>> & {
    readonly workflow_call?: {
      readonly inputs?: Readonly<Record<string, Parameter>>;
      readonly secrets?: Readonly<Record<string, Parameter>>;
    };
  };
  readonly permissions?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

export interface WorkflowFile {
  /** From the repository's root. */
  readonly path: string;
  readonly text: string;
  readonly workflow: Workflow;
}

const root = repositoryRoot();

function filesIn(folder: string): WorkflowFile[] {
  const names = readdirSync(join(root, folder)).filter((name) => /\.ya?ml$/.test(name));
  return names.sort().map((name) => {
    const file = join(root, folder, name);
    const text = readFileSync(file, 'utf8');
    return { path: relative(root, file), text, workflow: parse(text) as Workflow };
  });
}

/** `.github/workflows`. */
export const ownWorkflows = (): WorkflowFile[] => filesIn('.github/workflows');

/** The example's, which call ours. */
export const callers = (): WorkflowFile[] => filesIn('examples/orders/.github/workflows');

/** The called workflow of this repository. */
export function calledBy({ uses = '' }: Job): WorkflowFile | undefined {
  const name = /^development-operations\/development-operations\/(\.github\/workflows\/[^@]+)@/.exec(uses)?.[1];
  return name === undefined ? undefined : ownWorkflows().find(({ path }) => basename(path) === basename(name));
}
