import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Step } from '../../engineEvents/model.ts';
import { changedByHand } from '../../workflows/drift/byHand.ts';
import { issueBody, issueTitle } from '../../workflows/drift/issue.ts';
import { runAct } from './support/act.ts';
import { type Application, createApplication } from './support/application.ts';
import { engineEnvironment } from './support/engine.ts';
import { type CommandResult, TestEnvironment } from './support/environment.ts';
import { schedule } from './support/events.ts';
import { type GitHubStandIn, startGitHub, TOKEN } from './support/github.ts';

describe('the workflow drift', function () {
  this.timeout(600_000);
  let application: Application;
  let environment: TestEnvironment;
  let github: GitHubStandIn;

  before(async () => {
    application = await createApplication();
    environment = await TestEnvironment.create({ application: application.directory });
    await environment.publish('1');
    await environment.deploy('1');
    // As a repository has it: with the salt that belongs to the passphrase.
    await application.commit('chore: configure an environment');
    github = await startGitHub();
  });

  after(async () => {
    await github?.stop();
    await environment?.remove();
    await application?.remove();
  });

  const look = (options: Readonly<Record<string, string>> = {}, name = environment.name): Promise<CommandResult> =>
    environment.workflow(
      'drift',
      { application: environment.application, environment: name, ...options },
      { GITHUB_TOKEN: TOKEN, GITHUB_API_URL: github.url, GITHUB_RUN_ID: '7' },
    );
  const issues = () => [...github.state.issues.values()];
  const writes = () => github.requests.filter(({ method }) => method !== 'GET');

  it('finds what was changed in the cluster and on the server, writes one issue, and nothing else', async () => {
    const lock = await lockState(environment);
    const before = await filesOf(join(environment.home, 'state'));
    await environment.kubectl('scale', 'deployment', 'orders', '--replicas=2');
    await environment.kubectl('delete', 'configmap', 'orders-settings');
    await environment.query(`ALTER ROLE "${environment.database}_readonly" CONNECTION LIMIT 7`);

    const run = await runAct({
      application,
      workflow: '.github/workflows/drift.yml',
      event: schedule(),
      secrets: {
        GITHUB_TOKEN: TOKEN,
        ...environment.callerSecrets,
      },
      variables: { WATCHED_ENVIRONMENT: environment.name },
      environment: { ...environment.machine, ...(await engineEnvironment()), GITHUB_API_URL: github.url },
    });

    assert.equal(run.exitCode, 0, run.output);
    assert.equal(run.value('drift'), '3');
    assert.deepEqual(run.leaked, []);
    const [issue, ...others] = issues();
    assert.ok(issue);
    assert.deepEqual(others, []);
    assert.deepEqual([issue.state, issue.labels], ['open', ['drift']]);
    assert.equal(issue.title, `Drift in ${environment.name}: 3 resources changed by hand`);
    assert.match(issue.body, /🟡 changed <code>Deployment<\/code>[\s\S]*?- spec\.replicas: 1\n\+ spec\.replicas: 2\n/);
    assert.match(issue.body, /🔴 deleted <code>ConfigMap<\/code> <code>[^<]*orders-settings<\/code>/);
    assert.match(issue.body, /🟡 changed <code>Role<\/code>[\s\S]*?- connectionLimit: -1\n\+ connectionLimit: 7\n/);
    assert.doesNotMatch(issue.body, /Not deployed/);
    assert.match(issue.body, new RegExp((await application.git('rev-parse', 'HEAD')).slice(0, 12)));
    assert.deepEqual(
      writes().map(({ method, path }) => `${method} ${path}`),
      ['POST /repos/example/orders/issues'],
    );
    // Nor did it take the lock, which somebody else has.
    assert.deepEqual(await filesOf(join(environment.home, 'state')), before);
    await rm(lock, { recursive: true });
    const { spec } = await environment.object<{ spec: { replicas: number } }>('deployment', 'orders');
    assert.equal(spec.replicas, 2, 'what was changed by hand is left to a deployment');
  });

  it('tells apart what was changed by hand and what was not deployed, in the same issue', async () => {
    const { orders } = environment.config.applications;
    orders.replicas = 3;
    orders.service = { type: 'ClusterIP', annotations: { 'example.com/greeting': 'good morning' } };
    await environment.save();

    const { exitCode, output, outputs } = await look({ 'fail-on-drift': 'true' });

    assert.equal(exitCode, 1, output);
    // The Deployment is one resource, though it differs in both ways.
    assert.equal(outputs.drift, '4');
    const [issue, ...others] = issues();
    assert.ok(issue);
    assert.deepEqual(others, []);
    assert.equal(outputs.issue, `https://github.com/example/orders/issues/${issue.number}`);
    assert.equal(issue.title, `Drift in ${environment.name}: 3 resources changed by hand, 2 not deployed`);
    const [hands = '', deployments = ''] = issue.body.split('### Not deployed: 2 resources');
    assert.match(hands, /### Changed by hand: 3 resources/);
    assert.match(hands, /\+ spec\.replicas: 2/);
    assert.doesNotMatch(hands, /good morning/);
    assert.match(deployments, /🟡 change <code>Deployment<\/code>[\s\S]*?- spec\.replicas: 1\n\+ spec\.replicas: 3\n/);
    assert.match(deployments, /🟡 change <code>Service<\/code>[\s\S]*?good morning/);
    assert.doesNotMatch(deployments, /connectionLimit/);
  });

  it('closes the issue when a deployment has put everything back', async () => {
    await environment.pulumi(['up', '--refresh', '--yes', '--skip-preview', '--suppress-outputs']);

    const { exitCode, output, outputs, summary } = await look({ 'fail-on-drift': 'true' });

    assert.equal(exitCode, 0, output);
    assert.equal(outputs.drift, '0');
    assert.match(summary, /Nothing differs in/);
    const [issue, ...others] = issues();
    assert.ok(issue);
    assert.deepEqual(others, []);
    assert.equal(issue.state, 'closed');
    const comments = [...github.state.comments.values()];
    assert.deepEqual(
      comments.map(({ issue: number }) => number),
      [issue.number],
    );
    assert.match(comments[0]?.body ?? '', /Nothing differs in `w[0-9a-f]{6}` any more/);
    // Once: a second look has nothing to say.
    const count = writes().length;
    assert.equal((await look()).exitCode, 0);
    assert.equal(writes().length, count);
  });

  it('says what to do about an environment that was never deployed', async () => {
    const never = `${environment.name}-never`;
    const file = join(environment.application, `Pulumi.${never}.yaml`);
    await writeFile(file, await readFile(environment.configFile, 'utf8'));
    try {
      const count = writes().length;
      const { exitCode, output } = await look({}, never);
      assert.equal(exitCode, 2, output);
      assert.match(output, new RegExp(`the environment "${never}" was never deployed`));
      assert.match(output, /What to do: deploy it first/);
      assert.equal(writes().length, count, 'no issue for what is not there');
    } finally {
      await rm(file);
    }
  });

  it('says what to do about a token that may not write issues', async () => {
    github.fail('GET', /\/issues\?/, 403, 1);
    const { exitCode, output } = await look();
    assert.equal(exitCode, 2, output);
    assert.match(output, /What to do: give the job the permission "issues: write"/);
  });
});

describe('the issue of the workflow drift', () => {
  const urn = 'urn:pulumi:staging::development-operations::kubernetes:apps/v1:Deployment::orders-deployment';
  const step = (changes: Step['changes']): Step => ({
    urn,
    type: 'kubernetes:apps/v1:Deployment',
    name: 'orders-deployment',
    operation: 'update',
    changes,
    sql: [],
  });
  const drift = { environment: 'staging', byHand: [], notDeployed: [], pending: [], warnings: [] };
  const looked = { at: new Date(0), commit: 'c0ffee', runUrl: undefined };

  it('shows values of what is live, and no secret', () => {
    const found = changedByHand({
      op: 'update',
      urn,
      type: 'kubernetes:apps/v1:Deployment',
      old: { inputs: { metadata: { labels: { 'a.b/c': 'x' } } }, outputs: { token: 'old', read: 1 } },
      new: {
        inputs: { metadata: { labels: { 'a.b/c': 'y' } } },
        outputs: { token: { '4dabf18193072939515e22adb298388d': '1b47', ciphertext: 'v1:secret' }, read: 2 },
      },
      detailedDiff: {
        'metadata.labels["a.b/c"]': { diffKind: 'update', inputDiff: false },
        token: { diffKind: 'update', inputDiff: false },
        read: { diffKind: 'update', inputDiff: false },
      },
    });
    assert.deepEqual(found?.changes, [
      { path: 'metadata.labels["a.b/c"]', from: 'x', to: 'y' },
      { path: 'read', from: 1, to: 2 },
      { path: 'token', from: 'old', to: '[secret]' },
    ]);
  });

  it('knows neither components nor what is as it was left', () => {
    assert.equal(changedByHand({ op: 'same', urn, type: 'kubernetes:apps/v1:Deployment' }), undefined);
    assert.equal(changedByHand({ op: 'update', urn, type: 'pulumi:providers:kubernetes' }), undefined);
    assert.equal(
      changedByHand({ op: 'update', urn, type: 'kubernetes:apps/v1:Deployment', detailedDiff: {} }),
      undefined,
    );
  });

  it('mentions nobody, and fits what GitHub takes', () => {
    const long = Array.from({ length: 200 }, (_, index) => ({
      path: `spec.data[${index}]`,
      from: '@somebody </details> ``` '.repeat(50),
      to: `<img src=x> ${index}`.repeat(50),
    }));
    const body = issueBody({ ...drift, byHand: [step(long)], pending: ['@pending'] }, looked);
    assert.ok(Buffer.byteLength(body) <= 65_536 - 200);
    assert.match(body, /Shortened to what GitHub takes/);
    const outside = body.replace(/(`{3,})[\s\S]*?\n\1/g, '').replace(/(`+)[^`][\s\S]*?\1/g, '');
    assert.doesNotMatch(outside, /@|<img/);
  });

  it('says what of the two it is in its title', () => {
    const one = step([]);
    assert.equal(issueTitle({ ...drift, byHand: [one] }), 'Drift in staging: 1 resource changed by hand');
    assert.equal(issueTitle({ ...drift, notDeployed: [one] }), 'Drift in staging: 1 resource not deployed');
  });
});

/** Takes the state's lock as another run would, and proves that the engine minds it; returns its folder. */
async function lockState(environment: TestEnvironment): Promise<string> {
  const locks = join(environment.home, 'state', '.pulumi', 'locks');
  const folder = join(locks, 'organization', 'development-operations', environment.name);
  await mkdir(folder, { recursive: true });
  const holder = { pid: 1, username: 'somebody', hostname: 'elsewhere', timestamp: new Date().toISOString() };
  await writeFile(join(folder, '00000000-0000-4000-8000-000000000000.json'), JSON.stringify(holder));
  await assert.rejects(environment.pulumi(['refresh', '--yes', '--skip-preview']), /locked by/);
  return folder;
}

/** Every file below a folder with the digest of its bytes. */
async function filesOf(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const digests = files.sort().map(async (file) => {
    const digest = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    return [file, digest] as const;
  });
  return Object.fromEntries(await Promise.all(digests));
}
