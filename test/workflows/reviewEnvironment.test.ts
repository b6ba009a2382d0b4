import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { addressesOf } from '../../workflows/reviewEnvironment/addresses.ts';
import { pullRequestOfStack, stackName } from '../../workflows/reviewEnvironment/names.ts';
import { readRendered, renderTemplate, templateProblems } from '../../workflows/reviewEnvironment/template.ts';
import { kubectl, query, root } from '../e2e/support.ts';
import { holds } from '../holds.ts';
import { runAct } from './support/act.ts';
import { type Application, createApplication } from './support/application.ts';
import { engineEnvironment } from './support/engine.ts';
import { TestEnvironment } from './support/environment.ts';
import { type Event, pullRequest } from './support/events.ts';
import { addPull } from './support/github/state.ts';
import { type GitHubStandIn, startGitHub, TOKEN } from './support/github.ts';

describe('the workflow review-environment', function () {
  this.timeout(900_000);
  let application: Application;
  /** Its names, its registry and its state; the environment itself is never deployed. */
  let environment: TestEnvironment;
  let github: GitHubStandIn;
  let base: string;
  let first: string;
  let second: string;

  before(async () => {
    application = await createApplication();
    environment = await TestEnvironment.create({ application: application.directory });
    await application.write('Pulumi.review.yaml', template(environment));
    base = await application.commit('chore: make environments for pull requests');
    await application.git('checkout', '-q', '-b', 'change');
    first = await application.commit('feat: change something');
    await environment.publish(first);
    github = await startGitHub();
  });

  after(async () => {
    for (const stack of (await stacks()).filter((name) => name.startsWith('pr-'))) {
      await onStack(stack, 'destroy', '--yes', '--skip-preview');
      await onStack(stack, 'stack', 'rm', '--yes');
    }
    await github?.stop();
    // Sees that nothing with its name is left on the server.
    await environment?.remove();
    await application?.remove();
  });

  const names = (number: number) => ({
    namespace: `${environment.name}-pr-${number}`,
    database: `orders_${environment.name}_pr_${number}`,
  });
  const open = (number: number, sha: string, repository = 'example/orders') =>
    addPull(github.state, { number, head: { ref: 'change', sha, repository }, base: { ref: 'main', sha: base } });
  const comments = () => [...github.state.comments.values()];

  /** The command as the event of a pull request starts it. */
  const run = async (event: Event | undefined, options: Readonly<Record<string, string>> = {}) => {
    const file = join(environment.home, 'event.json');
    await writeFile(file, JSON.stringify(event?.payload ?? {}));
    return await environment.workflow(
      'review-environment',
      { application: environment.application, ...options },
      {
        ...{ GITHUB_EVENT_NAME: event?.name ?? 'schedule', GITHUB_EVENT_PATH: file },
        ...{ GITHUB_TOKEN: TOKEN, GITHUB_API_URL: github.url, GITHUB_RUN_ID: '7' },
      },
    );
  };
  /** The workflow, as the event starts it. */
  const act = async (event: Event) =>
    await runAct({
      application,
      workflow: '.github/workflows/review-environment.yml',
      event,
      secrets: {
        GITHUB_TOKEN: TOKEN,
        ...environment.callerSecrets,
      },
      environment: { ...environment.machine, ...(await engineEnvironment()), GITHUB_API_URL: github.url },
    });

  /** What is in the cluster and on the server of one pull request's environment. */
  const left = async (number: number): Promise<string[]> => {
    const { namespace, database } = names(number);
    const rows = await query<{ name: string }>(
      `SELECT datname AS name FROM pg_database WHERE datname = '${database}'
       UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE '${database}%' ORDER BY 1`,
    );
    const found = await kubectl(['get', 'namespace', namespace, '--ignore-not-found', '--output', 'name']);
    return [...rows.map(({ name }) => name), ...found.split('\n').filter((line) => line !== '')];
  };
  const stacks = async (): Promise<string[]> => {
    if (!environment) return [];
    const all = JSON.parse(await environment.pulumi(['stack', 'ls', '--json'])) as { name: string }[];
    return all.map(({ name }) => name);
  };
  const onStack = (stack: string, ...args: readonly string[]): Promise<string> => inProject(environment, stack, args);

  it('makes an environment of its own for a pull request, and says in it where', async () => {
    open(12, first);

    const made = await act(pullRequest({ action: 'opened', head: first, base }));

    assert.equal(made.exitCode, 0, made.output);
    assert.deepEqual(Object.values(made.jobs), ['success']);
    assert.deepEqual(made.leaked, []);
    assert.equal(made.value('environment'), 'pr-12-orders');
    const url = made.value('url') ?? '';
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
    const { namespace, database } = names(12);
    assert.deepEqual(await left(12), [
      database,
      ...['application', 'migrations', 'owner', 'readonly'].map((role) => `${database}_${role}`),
      `namespace/${namespace}`,
    ]);
    const [comment, ...others] = comments();
    assert.deepEqual(others, []);
    assert.equal(comment?.issue, 12);
    for (const told of [`<${url}>`, first, namespace, database, 'when the pull request closes, and at 20']) {
      assert.ok(comment?.body.includes(told), `${told} is not in\n${comment?.body}`);
    }
    // What a checkout holds is never written to.
    assert.equal(await application.git('status', '--porcelain', '--', 'Pulumi.review.yaml'), '');
  });

  it('updates it, and the one comment, with the next commit', async () => {
    second = await application.commit('fix: change it again');
    await environment.publish(second);
    github.state.pulls.delete(12);
    open(12, second);

    const updated = await run(pullRequest({ action: 'synchronize', head: second, base }));

    assert.equal(updated.exitCode, 0, updated.output);
    const [comment, ...others] = comments();
    assert.deepEqual(others, []);
    assert.equal(comment?.edits, 1);
    assert.ok(comment?.body.includes(second));
    assert.equal(comment?.body.includes(first), false);
    assert.equal(await deployedCommit(names(12).namespace), second);

    // A run that was late: of a commit that is not the newest any more.
    const late = await run(pullRequest({ action: 'synchronize', head: first, base }));
    assert.equal(late.exitCode, 0, late.output);
    assert.match(late.summary, new RegExp(`it has a newer commit, ${second}`));
    assert.equal(await deployedCommit(names(12).namespace), second);
    assert.equal(comments()[0]?.edits, 1);
  });

  it('gives a fork none', async () => {
    open(13, first, 'somebody/orders');
    const event = pullRequest({ number: 13, action: 'opened', head: first, base, fork: true });

    const skipped = await act(event);
    assert.equal(skipped.exitCode, 0, skipped.output);
    assert.deepEqual(skipped.jobs, {}, 'no job has begun');
    // Nor does the command, whoever starts it.
    const refused = await run(event);
    assert.equal(refused.exitCode, 0, refused.output);
    assert.match(refused.summary, /it comes from a fork/);

    assert.deepEqual(await stacks(), ['pr-12-orders']);
    assert.deepEqual(await left(13), []);
    assert.equal(comments().length, 1);
  });

  it('fails loudly when something is left, and keeps the stack until it is gone', async () => {
    const { database } = names(12);
    const role = `${database}_readonly`;
    await forgetRole(environment, 'pr-12-orders', role);
    const closed = pullRequest({ action: 'closed', head: second, base });
    close(github, 12);

    const failed = await run(closed);

    assert.equal(failed.exitCode, 1, failed.output);
    assert.match(failed.output, new RegExp(`stack is kept; left: database "${database}", role "${role}"`));
    assert.deepEqual(await stacks(), ['pr-12-orders']);
    // The database as well: it came after the role, and went from the state with it.
    assert.deepEqual(await left(12), [database, role]);
    assert.match(comments()[0]?.body ?? '', new RegExp(`- \`database "${database}"\`\n- \`role "${role}"\``));
    // As often as it is tried.
    await query(`DROP DATABASE "${database}"`);
    const again = await run(closed);
    assert.equal(again.exitCode, 1, again.output);
    assert.match(again.output, new RegExp(`left: role "${role}"`));
    assert.deepEqual(await stacks(), ['pr-12-orders']);
    await query(`DROP ROLE "${role}"`);
  });

  it('removes it when the pull request closes', async () => {
    const removed = await act(pullRequest({ action: 'closed', head: second, base }));

    assert.equal(removed.exitCode, 0, removed.output);
    assert.deepEqual(removed.leaked, []);
    assert.deepEqual(await stacks(), []);
    assert.deepEqual(await left(12), []);
    const [comment, ...others] = comments();
    assert.deepEqual(others, []);
    assert.match(comment?.body ?? '', /Removed at .* because the pull request is closed/);
    // A run that was late brings nothing back.
    const late = await run(pullRequest({ action: 'synchronize', head: second, base }));
    assert.equal(late.exitCode, 0, late.output);
    assert.match(late.summary, /it is closed/);
    assert.deepEqual(await stacks(), []);
  });

  it('sweeps what was missed, leaves what is open, and what is of another repository', async () => {
    const soon = new Date(Date.now() + 86_400_000);
    for (const number of [21, 22, 23, 24]) open(number, second);
    const made = await run(undefined, { action: 'update', 'pull-request': '21' });
    assert.equal(made.exitCode, 0, made.output);
    await record(environment, 'pr-22-orders', 'example/orders', soon);
    await record(environment, 'pr-23-orders', 'example/orders', new Date(Date.now() - 1000));
    await record(environment, 'pr-24-orders', 'other/orders', new Date(0));
    await record(environment, 'pr-25-warehouse', 'example/warehouse', new Date(0));
    close(github, 21);
    close(github, 24);

    const swept = await run(undefined);

    assert.equal(swept.exitCode, 0, swept.output);
    assert.equal(swept.outputs.removed, '2');
    assert.deepEqual(await stacks(), ['pr-22-orders', 'pr-24-orders', 'pr-25-warehouse']);
    assert.deepEqual(await left(21), []);
    assert.match(swept.summary, /`pr-21-orders` \| removed \| `the pull request is closed`/);
    assert.match(swept.summary, /`pr-22-orders` \| left \| `its pull request is open`/);
    assert.match(swept.summary, /`pr-23-orders` \| removed \| `no commit came for long/);
    assert.match(swept.summary, /`pr-24-orders` \| left \| `it is of other\/orders`/);
    assert.doesNotMatch(swept.summary, /warehouse/);
  });

  it('refuses a stack of another repository, and a template of which something would stay', async () => {
    const taken = await run(undefined, { action: 'update', 'pull-request': '24' });
    // Closed: nothing is made, whoever it belongs to.
    assert.equal(taken.exitCode, 0, taken.output);
    open(26, second);
    await record(environment, 'pr-26-orders', 'other/orders', new Date(0));
    const refused = await run(undefined, { action: 'update', 'pull-request': '26' });
    assert.equal(refused.exitCode, 1, refused.output);
    assert.match(refused.output, /belongs to the repository other\/orders/);

    const text = await readFile(join(application.directory, 'Pulumi.review.yaml'), 'utf8');
    await application.write(
      'Pulumi.bad.yaml',
      text.replaceAll('pr-<number>', 'pr').replace('protect: false', 'protect: true'),
    );
    open(27, second);
    const bad = await run(undefined, { action: 'update', 'pull-request': '27', template: 'Pulumi.bad.yaml' });
    assert.equal(bad.exitCode, 1, bad.output);
    assert.match(bad.output, new RegExp(`the namespace "${environment.name}-pr" is the same for every pull request`));
    assert.match(bad.output, /the database of "orders" is protected/);
    assert.equal((await stacks()).includes('pr-27-orders'), false);
  });
});

describe('templates and names of review environments', () => {
  it('know the number in the name of a stack, and only of the same repository', () => {
    const repository = fc.stringMatching(/^[A-Za-z0-9._-]{1,100}$/);
    holds(
      fc.property(fc.integer({ min: 1, max: 999_999_999 }), repository, (number, name) => {
        const stack = stackName(number, name);
        assert.match(stack, /^[a-z0-9-]{1,100}$/);
        assert.equal(pullRequestOfStack(stack, name), number);
      }),
    );
    assert.equal(pullRequestOfStack('pr-1-orders', 'warehouse'), undefined);
    assert.equal(pullRequestOfStack('pr-1-orders-old', 'orders'), undefined);
    assert.equal(pullRequestOfStack('prod', 'orders'), undefined);
  });

  it('put the number into values, whatever they are in, and nothing else', () => {
    const rendered = renderTemplate('a: [x-<number>, {b: <number>/<number>, c: 3, d: <other>}]\n', 7);
    assert.deepEqual(parse(rendered), { a: ['x-7', { b: '7/7', c: 3, d: '<other>' }] });
  });

  it("accept the example's own template", async () => {
    const text = await readFile(join(root, 'examples/orders/Pulumi.review.yaml'), 'utf8');
    const variables = new Proxy({}, { get: () => 'value' });
    const read = (number: number) => readRendered(renderTemplate(text, number), `pr-${number}-orders`, variables);
    const [one, two] = [read(1), read(2)];
    assert.ok(one && two);
    assert.deepEqual(templateProblems(one, two), []);
    // Twice the same: everything is shared.
    assert.equal(templateProblems(one, one).length, 6);
  });

  it('tell addresses from outside, from inside, and by the gateway', () => {
    const outputs = {
      applications: { shop: { url: 'http://192.0.2.7' }, stock: { url: 'http://stock.n.svc:8080' }, none: {} },
    };
    assert.deepEqual(addressesOf({ outputs }, { routes: [] }), [
      { application: 'shop', url: 'http://192.0.2.7', reach: 'anywhere' },
      { application: 'stock', url: 'http://stock.n.svc:8080', reach: 'cluster' },
    ]);
    const routes = [{ application: 'stock', host: 'pr-1.example.com', path: '/' }];
    assert.deepEqual(addressesOf({ outputs }, { routes }), [
      { application: 'stock', url: 'https://pr-1.example.com/', reach: 'gateway' },
      { application: 'shop', url: 'http://192.0.2.7', reach: 'anywhere' },
    ]);
  });
});

/** The environment's configuration with the number in its names, and an address of its own for each. */
function template({ name, config }: TestEnvironment): string {
  const { orders } = config.applications;
  const values = {
    ...config,
    environment: `${name}-pr-<number>`,
    kubernetes: { ...config.kubernetes, namespace: `${name}-pr-<number>` },
    applications: {
      orders: {
        ...orders,
        service: { type: 'LoadBalancer' },
        environment: { COMMIT: { env: 'OPERATIONS_VERSION' } },
      },
    },
  };
  const entries = Object.entries(values).map(([key, value]) => [`development-operations:${key}`, value]);
  return stringify({ config: Object.fromEntries(entries) });
}

function close({ state }: GitHubStandIn, number: number): void {
  const pull = state.pulls.get(number);
  assert.ok(pull);
  pull.state = 'closed';
}

async function deployedCommit(namespace: string): Promise<string> {
  const path = 'jsonpath={.spec.template.spec.containers[0].env[?(@.name=="COMMIT")].value}';
  return await kubectl(['--namespace', namespace, 'get', 'deployment', 'orders', '--output', path]);
}

/** The CLI on any stack of the environment's backend. */
async function inProject(environment: TestEnvironment, stack: string, args: readonly string[]): Promise<string> {
  return await environment.pulumi(args, '1', stack);
}

/** A stack without anything in it, as a review environment's. */
async function record(environment: TestEnvironment, stack: string, repository: string, expires: Date): Promise<void> {
  await inProject(environment, stack, ['stack', 'init', '--no-select']);
  await inProject(environment, stack, ['stack', 'tag', 'set', 'review:repository', repository]);
  await inProject(environment, stack, ['stack', 'tag', 'set', 'review:commit', 'c0ffee']);
  await inProject(environment, stack, ['stack', 'tag', 'set', 'review:expires', expires.toISOString()]);
}

/** Takes a role out of the state, as by hand: it is then nobody's. */
async function forgetRole(environment: TestEnvironment, stack: string, role: string): Promise<void> {
  const { deployment } = JSON.parse(await inProject(environment, stack, ['stack', 'export'])) as {
    deployment: { resources: { urn: string; type: string; id?: string }[] };
  };
  const urn = deployment.resources.find(({ type, id }) => type === 'postgresql:index/role:Role' && id === role)?.urn;
  assert.ok(urn, `${role} is not in the state`);
  await inProject(environment, stack, ['state', 'delete', urn, '--target-dependents', '--force', '--yes']);
}
