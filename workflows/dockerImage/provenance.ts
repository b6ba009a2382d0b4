/** How an image came to be: SLSA provenance 1.0 (https://slsa.dev/spec/v1.0/provenance). Pure. */

import type { Source } from './source.ts';

export interface Build {
  readonly source: Source;
  /** Name of the application, and of its image. */
  readonly application: string;
  readonly target: string;
  /** Times of the whole run of the engine, as ISO 8601. */
  readonly startedOn: string;
  readonly finishedOn: string;
}

/** What this flow does, where no workflow of GitHub runs it. */
const BUILD_TYPE = 'urn:development-operations:docker-image:v1';
/** https://actions.github.io/buildtypes/workflow/v1 */
const GITHUB_BUILD_TYPE = 'https://actions.github.io/buildtypes/workflow/v1';

/** The predicate of the statement. */
export function provenance(build: Build, environment: NodeJS.ProcessEnv): Record<string, unknown> {
  const { source, startedOn, finishedOn } = build;
  const onGitHub = environment.GITHUB_ACTIONS === 'true';
  const uri = source.repository === '' ? '' : `git+${source.repository}${source.ref === '' ? '' : `@${source.ref}`}`;
  return {
    buildDefinition: {
      ...(onGitHub ? githubBuild(source, environment) : localBuild(build)),
      resolvedDependencies: [{ ...(uri !== '' && { uri }), digest: { gitCommit: source.commit } }],
    },
    runDetails: {
      builder: { id: builder(environment, onGitHub) },
      metadata: { ...invocation(source, environment), startedOn, finishedOn },
    },
  };
}

function localBuild({ source, application, target }: Build): Record<string, unknown> {
  return {
    buildType: BUILD_TYPE,
    externalParameters: { source: source.repository, ref: source.ref, application, target },
    internalParameters: {},
  };
}

/** `owner/name/.github/workflows/images.yml@refs/heads/main` names the workflow of the caller. */
function githubBuild(source: Source, environment: NodeJS.ProcessEnv): Record<string, unknown> {
  const [path = '', ref = ''] = (environment.GITHUB_WORKFLOW_REF ?? '').split('@');
  const repository = `${environment.GITHUB_REPOSITORY ?? ''}/`;
  return {
    buildType: GITHUB_BUILD_TYPE,
    externalParameters: {
      workflow: {
        ref: ref || source.ref,
        repository: source.repository,
        path: path.startsWith(repository) ? path.slice(repository.length) : path,
      },
    },
    internalParameters: {
      github: {
        event_name: environment.GITHUB_EVENT_NAME ?? '',
        repository_id: environment.GITHUB_REPOSITORY_ID ?? '',
        repository_owner_id: environment.GITHUB_REPOSITORY_OWNER_ID ?? '',
        runner_environment: environment.RUNNER_ENVIRONMENT ?? '',
      },
    },
  };
}

function builder(environment: NodeJS.ProcessEnv, onGitHub: boolean): string {
  if (!onGitHub) return 'urn:development-operations:laptop';
  const server = environment.GITHUB_SERVER_URL || 'https://github.com';
  return `${server}/actions/runner/${environment.RUNNER_ENVIRONMENT || 'github-hosted'}`;
}

function invocation({ repository }: Source, environment: NodeJS.ProcessEnv): { readonly invocationId?: string } {
  const { GITHUB_RUN_ID: run, GITHUB_RUN_ATTEMPT: attempt } = environment;
  return run ? { invocationId: `${repository}/actions/runs/${run}/attempts/${attempt || '1'}` } : {};
}
