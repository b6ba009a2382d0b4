import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { buildFailure } from '../../../workflows/dockerImage/failures.ts';
import { imagesOf, references } from '../../../workflows/dockerImage/images.ts';
import { npmrc, withNpmrc } from '../../../workflows/dockerImage/packages.ts';
import { provenance } from '../../../workflows/dockerImage/provenance.ts';
import { webAddress } from '../../../workflows/dockerImage/source.ts';
import { WorkflowError } from '../../../workflows/failure.ts';

const DIGEST = `sha256:${'1'.repeat(64)}`;

describe('docker-image: parts', () => {
  it('writes an npmrc for one scope, or for all packages', () => {
    const registry = { url: 'https://npm.pkg.github.com', scope: '@example', token: 'canary' };
    assert.equal(
      npmrc(registry),
      '@example:registry=https://npm.pkg.github.com/\n//npm.pkg.github.com/:_authToken=canary\n',
    );
    assert.equal(
      npmrc({ ...registry, url: 'http://127.0.0.1:4873/npm/', scope: '*' }),
      'registry=http://127.0.0.1:4873/npm/\n//127.0.0.1:4873/npm/:_authToken=canary\n',
    );
    assert.match(npmrc({ ...registry, scope: 'example' }), /^@example:registry=/);
  });

  it('keeps the npmrc to this user, and removes it when the work fails', async () => {
    let path = '';
    const work = async (file: string): Promise<never> => {
      path = file;
      assert.equal(statSync(file).mode & 0o777, 0o600);
      assert.match(readFileSync(file, 'utf8'), /canary/);
      throw new Error('the build failed');
    };
    const registry = { url: 'https://npm.pkg.github.com', scope: '@example', token: 'canary' };
    await assert.rejects(withNpmrc(registry, work), /the build failed/);
    assert.ok(path !== '' && !existsSync(path));
  });

  it('says what is wrong with the registry of packages', async () => {
    const never = async (): Promise<void> => assert.fail('nothing may be done');
    const registry = { url: 'https://npm.pkg.github.com', scope: '@example', token: '' };
    await assert.rejects(withNpmrc(registry, never), /token of the private packages is missing/);
    await assert.rejects(withNpmrc({ ...registry, url: 'nowhere', token: 't' }, never), /"nowhere" is not the address/);
  });

  it('reads the page of a repository from its remote, without credentials', () => {
    for (const [remote, page] of [
      ['git@github.com:example/orders.git', 'https://github.com/example/orders'],
      ['ssh://git@github.com/example/orders.git', 'https://github.com/example/orders'],
      ['https://github.com/example/orders.git', 'https://github.com/example/orders'],
      ['https://user:canary@github.com/example/orders', 'https://github.com/example/orders'],
      ['/srv/git/orders.git', ''],
      ['', ''],
    ] as const) {
      assert.equal(webAddress(remote), page, remote);
    }
  });

  it('takes the images from the outputs of the stack', () => {
    const images = imagesOf(
      {
        applications: {
          orders: {
            images: { migrations: `r.example/orders-migrations@${DIGEST}`, main: `r.example/orders@${DIGEST}` },
          },
        },
      },
      'images',
    );
    assert.deepEqual(
      images.map(({ application, target, repository }) => [application, target, repository]),
      [
        ['orders', 'migrations', 'r.example/orders-migrations'],
        ['orders', 'main', 'r.example/orders'],
      ],
    );
    assert.deepEqual(references(images).orders?.main, `r.example/orders@${DIGEST}`);
    assert.throws(() => imagesOf({ namespace: 'dev' }, 'dev'), /the stack "dev" has no images/);
  });

  it('tells failures of builds apart', () => {
    const cases: [string, RegExp][] = [
      ['npm error code E401\nnpm error Incorrect or missing password.', /private packages refuses the token/],
      ['npm error code E404\nnpm error 404 Not Found', /is not in the registry/],
      ['ERROR: 401\nThe registry refuses the credentials: check', /r\.example does not take the images/],
      ['The docker daemon at unix:///x (DOCKER_HOST) does not answer', /docker cannot build here/],
      ['ERROR: process "/bin/sh -c false" did not complete', /the images were not built/],
    ];
    for (const [text, wanted] of cases) {
      const error = buildFailure([text], { server: 'r.example' });
      assert.ok(error instanceof WorkflowError);
      assert.match(error.message, wanted);
      assert.ok(error.message.includes(text), 'what the build said is shown');
      assert.equal(error.exitCode, 1);
    }
  });

  it("describes a build on GitHub in GitHub's own terms, and one on a laptop in ours", () => {
    const build = {
      source: { repository: 'https://github.com/example/orders', ref: 'refs/heads/main', commit: 'abc' },
      application: 'orders',
      target: 'main',
      startedOn: '2026-01-02T03:04:05.000Z',
      finishedOn: '2026-01-02T03:05:05.000Z',
    };
    assert.deepEqual(
      provenance(build, {
        GITHUB_ACTIONS: 'true',
        GITHUB_REPOSITORY: 'example/orders',
        GITHUB_WORKFLOW_REF: 'example/orders/.github/workflows/images.yml@refs/heads/main',
        GITHUB_EVENT_NAME: 'push',
        GITHUB_RUN_ID: '7',
        RUNNER_ENVIRONMENT: 'github-hosted',
      }),
      {
        buildDefinition: {
          buildType: 'https://actions.github.io/buildtypes/workflow/v1',
          externalParameters: {
            workflow: {
              ref: 'refs/heads/main',
              repository: 'https://github.com/example/orders',
              path: '.github/workflows/images.yml',
            },
          },
          internalParameters: {
            github: {
              event_name: 'push',
              repository_id: '',
              repository_owner_id: '',
              runner_environment: 'github-hosted',
            },
          },
          resolvedDependencies: [
            { uri: 'git+https://github.com/example/orders@refs/heads/main', digest: { gitCommit: 'abc' } },
          ],
        },
        runDetails: {
          builder: { id: 'https://github.com/actions/runner/github-hosted' },
          metadata: {
            invocationId: 'https://github.com/example/orders/actions/runs/7/attempts/1',
            startedOn: build.startedOn,
            finishedOn: build.finishedOn,
          },
        },
      },
    );
    const local = provenance(build, {}) as { buildDefinition: { externalParameters: unknown } };
    assert.deepEqual(local.buildDefinition.externalParameters, {
      source: 'https://github.com/example/orders',
      ref: 'refs/heads/main',
      application: 'orders',
      target: 'main',
    });
  });
});
