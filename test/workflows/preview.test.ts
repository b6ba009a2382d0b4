/** preview.yml and the command that it calls, on the local cluster and PostgreSQL server; a fork gets nothing of it. */

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { kubectl } from '../e2e/support.ts';
import { type ActResult, runAct } from './support/act.ts';
import { type Application, createApplication } from './support/application.ts';
import { engineEnvironment } from './support/engine.ts';
import { type CommandResult, dotenv, TestEnvironment } from './support/environment.ts';
import { dispatch, type Event, pullRequest } from './support/events.ts';
import { addPull, type CommentRecord } from './support/github/state.ts';
import { type GitHubStandIn, startGitHub, TOKEN } from './support/github.ts';

const PULL = 12;

describe('the workflow preview', () => {
  let application: Application;
  let environment: TestEnvironment;
  let github: GitHubStandIn;
  let base: string;
  let stateBefore: string;

  before(async () => {
    application = await createApplication();
    environment = await TestEnvironment.create({ application: application.directory });
    await environment.publish('1');
    await environment.deploy('1');
    // What the CLI has added.
    await rm(environment.configFile);
    await environment.save();
    base = await application.commit('feat: an environment');
    stateBefore = await readFile(environment.stateFile, 'utf8');
  });

  after(async () => {
    await environment?.remove();
    await application?.remove();
  });

  beforeEach(async () => {
    github = await startGitHub({ artifacts: application.artifacts });
    await application.git('checkout', '--quiet', '--force', '-B', 'change', base);
  });

  afterEach(async () => {
    await github.stop();
    assert.equal(await readFile(environment.stateFile, 'utf8'), stateBefore, 'a preview has changed the state');
  });

  /** A pull request of the branch that is checked out. */
  async function open({ fork = false, labels = [] as string[] } = {}): Promise<{ head: string; event: Event }> {
    const head = await application.git('rev-parse', 'HEAD');
    const repository = fork ? 'somebody/orders' : 'example/orders';
    addPull(github.state, {
      number: PULL,
      head: { ref: 'change', sha: head, repository },
      base: { ref: 'main', sha: base },
      labels,
    });
    return { head, event: pullRequest({ number: PULL, head, base, fork, labels }) };
  }

  const comments = (): CommentRecord[] => [...github.state.comments.values()];

  async function command(
    options: Readonly<Record<string, string>> = {},
    env: Readonly<Record<string, string | undefined>> = {},
    event?: Event,
  ): Promise<CommandResult> {
    const file = join(environment.home, 'event.json');
    await writeFile(file, JSON.stringify(event?.payload ?? {}));
    const all = { application: application.directory, environments: environment.name, ...options };
    return await environment.workflow('preview', all, {
      GITHUB_TOKEN: TOKEN,
      GITHUB_API_URL: github.url,
      GITHUB_EVENT_NAME: event?.name ?? '',
      GITHUB_EVENT_PATH: file,
      ...env,
    });
  }

  /** @param path folder that is looked through for programs first */
  async function act(event: Event, path = ''): Promise<ActResult> {
    const engine = await engineEnvironment();
    return await runAct({
      application,
      workflow: '.github/workflows/preview.yml',
      event,
      secrets: {
        GITHUB_TOKEN: TOKEN,
        ...environment.callerSecrets,
      },
      environment: {
        ...environment.machine,
        ...engine,
        ...(path && { PATH: `${path}:${engine.PATH ?? environment.machine.PATH ?? ''}` }),
        GITHUB_API_URL: github.url,
        GITHUB_RUN_ID: String(randomInt(1e9)),
      },
    });
  }

  function assertNothingSecret(texts: readonly string[]): void {
    for (const [name, secret] of Object.entries(environment.secrets)) {
      assert.ok(!texts.join('\n').includes(secret), `${name} was shown`);
    }
  }

  it('comments what a pull request changes, and shows it in the page of the run', async () => {
    environment.config.applications.orders.replicas = 2;
    await environment.save();
    await application.edit('kubernetes/settings.yaml', (text) => `${text}  PREVIEW_OF: a change\n`);
    await application.commit('feat: two replicas');
    environment.config.applications.orders.replicas = 1;
    const { event } = await open();
    // Somebody else's comment that looks like it is left alone.
    github.state.comments.set(1, { id: 1, issue: PULL, body: '<!-- preview -->\nmine', user: 'somebody', edits: 0 });
    const result = await act(event);
    assert.equal(result.exitCode, 0, result.output);
    const [foreign, comment, ...more] = comments();
    assert.deepEqual(more, []);
    assert.equal(foreign?.edits, 0);
    const body = comment?.body ?? '';
    assert.match(body, /^<!-- preview -->\n/);
    assert.match(
      body,
      new RegExp(`### Preview of \`${environment.name}\`\n\n\\*\\*\\d+\\*\\* to change.* unchanged · verified live`),
    );
    assert.match(body, /- spec\.replicas: 1\n\+ spec\.replicas: 2/);
    assert.match(body, /<code>ConfigMap<\/code> <code>orders-configmap\/orders-settings<\/code>/);
    assert.match(body, /PREVIEW_OF: a change/);
    assert.match(body, /```mermaid\nflowchart LR[\s\S]*Application orders<br>[^"]*changed"\]:::update/);
    assert.match(body, /With the version that is deployed: `1`/);
    assert.match(result.summaries.join('\n'), /\+ spec\.replicas: 2/);
    const { [environment.name]: digest = 'none' } = JSON.parse(result.value('digests') ?? '{}') as Record<
      string,
      string
    >;
    assert.ok(body.includes(digest), body);
    assert.deepEqual(result.leaked, []);
    assertNothingSecret([result.output, ...result.summaries, body]);
    const [run = ''] = await readdir(application.artifacts);
    const picture = await readFile(
      join(application.artifacts, run, 'graphs-preview', `${environment.name}.svg`),
      'utf8',
    );
    assert.match(picture, /<svg [\s\S]*#ffe8a3/);

    // Again, on a laptop: the comment is edited in place, and the same plan has the same digest.
    const again = await command({ 'pull-request': String(PULL) });
    assert.equal(again.exitCode, 0, again.output);
    assert.equal(comments().length, 2);
    assert.equal(comment?.edits, 1);
    assert.ok((comment?.body ?? '').includes(digest), again.output);
  });

  it('asks for a label where data would be deleted, in the same comment; with it, it passes with the same digest', async () => {
    const { database, migrations } = environment.config.applications.orders;
    delete environment.config.applications.orders.database;
    delete environment.config.applications.orders.migrations;
    await environment.save();
    Object.assign(environment.config.applications.orders, { database, migrations });
    await application.commit('feat: no database');
    const { event } = await open();
    const refused = await command({}, {}, event);
    assert.equal(refused.exitCode, 1, refused.output);
    assert.match(refused.output, /add the label allow-data-loss/);
    const body = comments()[0]?.body ?? '';
    assert.match(body, /Data would be deleted in `\w+`\. If that is meant, add the label `allow-data-loss`/);
    assert.match(body, /`Database orders-database-database is deleted: every table in the database`/);
    assert.match(body, new RegExp(`DROP DATABASE "${environment.database}"`));

    const pull = github.state.issues.get(PULL);
    assert.ok(pull);
    pull.labels.push('allow-data-loss');
    // The event is the one of before: labels are asked for.
    const allowed = await command({}, {}, event);
    assert.equal(allowed.exitCode, 0, allowed.output);
    assert.deepEqual(allowed.outputs, refused.outputs);
    assert.equal(comments().length, 1);
    assert.match(comments()[0]?.body ?? '', /The label `allow-data-loss` allows it/);
    assert.equal(
      (await environment.query(`SELECT 1 FROM pg_database WHERE datname = '${environment.database}'`)).length,
      1,
    );
  });

  it('shows an environment that is not there as to be created, and makes nothing', async () => {
    const name = `${environment.name}n`;
    const text = await readFile(environment.configFile, 'utf8');
    await application.write(
      `Pulumi.${name}.yaml`,
      text.replaceAll(`namespace: ${environment.name}`, `namespace: ${name}`),
    );
    await application.commit('feat: another environment');
    const { event } = await open();
    // Only what the pull request touches is looked at, and its images need not be there.
    const result = await command({ environments: '' }, {}, event);
    assert.equal(result.exitCode, 0, result.output);
    const body = comments()[0]?.body ?? '';
    assert.match(body, new RegExp(`### Preview of \`${name}\`\n\n\\*\\*\\d+\\*\\* to create\n`));
    assert.match(body, /The environment is not there yet/);
    assert.match(body, new RegExp(`CREATE DATABASE "orders_${name}"`));
    assert.match(body, /image: \[unknown\]/);
    assert.ok(!body.includes(`Preview of \`${environment.name}\``), 'the other environment is not touched');
    assert.ok(!existsSync(environment.stateFile.replace(environment.name, name)));
    assert.equal((await kubectl(['get', 'namespace', name, '--ignore-not-found', '--output', 'name'])).trim(), '');
    assert.deepEqual(
      await environment.query(`SELECT 1 FROM pg_database WHERE datname = 'orders_${name}'`, 'postgres'),
      [],
    );
    const salted = await readFile(join(application.directory, `Pulumi.${name}.yaml`), 'utf8');
    assert.ok(!salted.includes('encryptionsalt'), 'the checkout was written to');
  });

  it('says nothing of a change that touches no environment', async () => {
    await application.write('docs/thoughts.md', '# Thoughts\n');
    await application.commit('docs: thoughts');
    const { event } = await open();
    const result = await command({}, {}, event);
    assert.equal(result.exitCode, 0, result.output);
    assert.match(result.summary, /No environment is touched/);
    assert.deepEqual(comments(), []);
  });

  it('says what to do when the cluster cannot be reached', async () => {
    const kubeconfig = join(environment.home, 'kubeconfig');
    const text = await readFile(environment.env.DEVOPS_KUBECONFIG ?? '', 'utf8');
    await writeFile(kubeconfig, text.replace(/server: .*/, 'server: https://127.0.0.1:1'), { mode: 0o600 });
    const result = await command({}, { DEVOPS_KUBECONFIG: kubeconfig });
    assert.equal(result.exitCode, 2, result.output);
    assert.match(result.summary, /the Kubernetes cluster of the environment "\w+" cannot be used/);
    assert.match(result.summary, /What to do: see whether it runs and whether this machine may reach it/);
  });

  it('says what to do when a secret is missing, in the comment as well', async () => {
    await application.write('src/more.ts', 'export {};\n');
    await application.commit('feat: more');
    const { event } = await open();
    const { DEVOPS_REGISTRY_PASSWORD: _, ...rest } = environment.secrets;
    const result = await command({}, { OPERATIONS_VARIABLES: dotenv(rest) }, event);
    assert.equal(result.exitCode, 2, result.output);
    const body = comments()[0]?.body ?? '';
    assert.match(body, /the secret is missing: set the environment variable DEVOPS_REGISTRY_PASSWORD/);
    assert.match(body, /What to do: mend the configuration, or hand over what it refers to \(the secret variables\)/);
    const without = await command({}, { PULUMI_CONFIG_PASSPHRASE: '' }, event);
    assert.equal(without.exitCode, 2, without.output);
    assert.match(without.output, /the passphrase of the stack's secrets is missing[\s\S]*PULUMI_CONFIG_PASSPHRASE/);
  });

  it('gives a fork nothing: no secret, no comment, only what its configuration says', async () => {
    environment.config.applications.orders.replicas = 3;
    await environment.save();
    environment.config.applications.orders.replicas = 1;
    await application.write(
      'package.json',
      '{ "scripts": { "preinstall": "touch /tmp/never", "workflow": "exit 3" } }\n',
    );
    await application.commit('feat: three replicas');
    const { event } = await open({ fork: true });
    const { folder, recorded } = await recordingNpm();
    // The repository has secrets; this job must not name one.
    const result = await act(event, folder);
    assert.equal(result.exitCode, 0, result.output);
    const jobs = Object.entries(result.jobs).map(([name, outcome]) => `${name.split('/').at(-1)}: ${outcome}`);
    assert.deepEqual(
      jobs.filter((job) => !job.endsWith(': skipped')),
      ['evaluate: success'],
    );
    const summary = result.summaries.join('\n');
    assert.match(summary, /\*\*1\*\* to change, \d+ unchanged · from the configuration alone/);
    assert.match(summary, /- spec\.replicas: 1\n\+ spec\.replicas: 3/);
    assert.deepEqual(comments(), []);
    assert.deepEqual(github.requests, []);
    const seen = await recorded();
    assert.match(seen, /^HEAD=/m, 'the environment of the step was recorded');
    const secrets = { ...environment.secrets, TOKEN, BACKEND: environment.env.PULUMI_BACKEND_URL ?? '' };
    for (const [name, secret] of Object.entries(secrets)) assert.ok(!seen.includes(secret), `the job has ${name}`);
    assert.doesNotMatch(seen, /^(GITHUB_TOKEN|PULUMI_BACKEND_URL|PULUMI_CONFIG_PASSPHRASE|OPERATIONS_VARIABLES)=/m);
    // The live preview of a fork is refused, whoever calls it.
    const live = await command({}, {}, event);
    assert.equal(live.exitCode, 1, live.output);
    assert.match(live.output, /pull request 12 is from a fork[\s\S]*review its commit/);
  });

  it('takes a fork by hand, at the commit that was reviewed and no other', async () => {
    environment.config.applications.orders.replicas = 3;
    await environment.save();
    environment.config.applications.orders.replicas = 1;
    const reviewed = await application.commit('feat: three replicas');
    await open({ fork: true });
    const result = await act(dispatch({ 'pull-request': String(PULL), commit: reviewed }));
    assert.equal(result.exitCode, 0, result.output);
    assert.match(comments()[0]?.body ?? '', /verified live[\s\S]*\+ spec\.replicas: 3/);
    assert.deepEqual(result.leaked, []);

    await application.write('src/unseen.ts', 'export {};\n');
    const moved = await application.commit('feat: something that nobody has seen');
    await open({ fork: true });
    const options = { 'pull-request': String(PULL), commit: reviewed };
    const refused = await command(options);
    assert.equal(refused.exitCode, 1, refused.output);
    assert.match(
      refused.output,
      new RegExp(`pull request 12 is at ${moved} now, not at ${reviewed}, which was reviewed`),
    );
    const unreviewed = await command({ ...options, commit: base });
    assert.equal(unreviewed.exitCode, 1, unreviewed.output);
    assert.equal(comments().length, 1);
    assert.equal(comments()[0]?.edits, 0);
    // What is checked out is what was reviewed, too.
    await application.git('checkout', '--quiet', '--force', base);
    const other = await command({ 'pull-request': String(PULL), commit: moved });
    assert.equal(other.exitCode, 1, other.output);
    assert.match(other.output, /is checked out in .*, not /);
  });

  /** An `npm` that writes down the environment of each call, and goes on with the real one. */
  async function recordingNpm(): Promise<{ folder: string; recorded: () => Promise<string> }> {
    const folder = join(environment.home, 'bin');
    const file = join(environment.home, 'recorded');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'npm'), `#!/bin/bash\nenv >> '${file}'\nPATH="\${PATH#${folder}:}"\nexec npm "$@"\n`);
    await chmod(join(folder, 'npm'), 0o755);
    return { folder, recorded: () => readFile(file, 'utf8') };
  }
});
