import * as z from 'zod';
import { repositoryPathProblem, tagProblem } from '../../components/image/reference.ts';
import { environmentVariableProblem, labelProblem, secretKeyProblem } from '../../components/kubernetes/names.ts';
import { type Environment, flag, list, named, oneOf, reference, section, text } from './leaves.ts';

/** How the images of an application, or of the operations API, are had. */
export function images(environment: Environment) {
  return section({
    mode: oneOf(['build', 'existing']).default('build'),
    /** Tag that is pushed or looked up. @default the environment's name */
    tag: reference(environment, 'a tag', tagProblem).optional(),
    targets: named(
      section({
        /** Stage of the Dockerfile. @default the target's name */
        target: text('a stage of the Dockerfile').optional(),
        /** Repository below the registry. @default prefix, application and, but for `main`, the target's name */
        repository: text('a repository below the registry', repositoryPathProblem).optional(),
        /** One of its own, with a `.dockerignore` of its own beside it. @default that of the application */
        dockerfile: text('a path below the folder of the application').optional(),
      }),
      labelProblem,
    ).default({ main: {} }),
    /** @default 'Dockerfile' in the application's folder */
    dockerfile: text('a path below the folder of the application').optional(),
    buildArguments: named(reference(environment, 'a text'), environmentVariableProblem).default({}),
    /** Files with secrets by the id of their mount, such as npmrc. */
    secretFiles: named(reference(environment, 'the path of a file'), secretKeyProblem).default({}),
    platforms: list(text('a platform such as "linux/amd64"'), 'a list of platforms').optional(),
    cache: oneOf(['none', 'inline', 'registry']).default('none'),
    labels: z.record(z.string(), text('a text')).optional(),
    buildOnPreview: flag().default(false),
  });
}
