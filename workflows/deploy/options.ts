/** What both halves of a deployment are called with. */

import { tagProblem } from '../../components/image/reference.ts';
import { WorkflowError } from '../failure.ts';

export const deploymentOptions = {
  application: { description: "folder of the application's repository", default: '.' },
  environment: { description: 'environment: Pulumi.<environment>.yaml' },
  version: { description: 'version: the tag of the images, as { env: OPERATIONS_VERSION } in the configuration' },
} as const;

/** @throws WorkflowError for what cannot be a tag of an image */
export function versionOf(text: string): string {
  const problem = tagProblem(text);
  if (problem === undefined) return text;
  throw new WorkflowError(`the version cannot be the tag of an image: ${problem}`, 'name a version that was pushed');
}
