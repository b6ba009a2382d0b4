/** What is wrong with a build that failed, and the cure. Pure. */

import { EXIT, WorkflowError } from '../failure.ts';
import type { Registry } from './settings.ts';

interface Rule {
  readonly text: RegExp;
  readonly what: string;
  readonly cure: string;
}

/** In the order in which they are asked: npm's texts name the registry of packages, docker's that of images. */
function rules({ server }: Pick<Registry, 'server'>): readonly Rule[] {
  return [
    {
      text: /npm (error|ERR!) code E40[13]|npm (error|ERR!) 40[13] /,
      what: 'the registry of the private packages refuses the token',
      cure: 'hand over a token that may read the packages (NODE_AUTH_TOKEN, the secret install-token), and name the registry that it is for (the option packages-registry)',
    },
    {
      text: /npm (error|ERR!) code E404/,
      what: 'a package that the build installs is not in the registry',
      cure: 'publish the package first (npm-package.yml), or correct its name and version; GitHub answers so, too, where the token may not see it',
    },
    {
      text: /The registry refuses the credentials|The registry denies access/,
      what: `the registry ${server} does not take the images`,
      cure: 'hand over a user and a password that may push there (registry.username and registry.password in the configuration); in a workflow, give the job the permission "packages: write"',
    },
    {
      text: /docker daemon|buildx plugin is missing|cannot run (docker|\S*buildx)/,
      what: 'docker cannot build here',
      cure: 'start docker, with its buildx plugin; DOCKER_HOST names another daemon',
    },
  ];
}

/** @param errors of the engine, scrubbed */
export function buildFailure(errors: readonly string[], registry: Pick<Registry, 'server'>): WorkflowError {
  const all = errors.join('\n');
  const rule = rules(registry).find(({ text }) => text.test(all));
  return rule
    ? new WorkflowError(`${rule.what}:\n${all}`, rule.cure, EXIT.refused)
    : new WorkflowError(`the images were not built:\n${all}`, 'mend what the build says', EXIT.refused);
}
