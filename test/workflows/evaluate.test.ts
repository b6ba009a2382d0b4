/** What a pull request of a fork is told: the command on its own. Under act it is in preview.test.ts. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { repositoryRoot } from '../../local/context.ts';
import { differences } from '../../workflows/evaluate/compare.ts';
import { touchedBy } from '../../workflows/preview/touched.ts';
import { type Application, createApplication } from './support/application.ts';

const root = repositoryRoot();
/** In the environment of the command, and nowhere else. */
const CANARY = 'canary-3f1a';

interface Result {
  readonly exitCode: number;
  readonly output: string;
  readonly summary: string;
}

describe('workflows: evaluate', () => {
  let application: Application;
  let scratch: string;
  let base: string;

  before(async () => {
    application = await createApplication();
    scratch = await mkdtemp(join(tmpdir(), 'evaluate-test-'));
    for (const name of ['local', 'dev', 'staging', 'prod']) {
      const sample = await readFile(join(root, `Pulumi.${name}.yaml`), 'utf8');
      await application.write(`Pulumi.${name}.yaml`, sample.replaceAll('path: examples/orders', 'path: .'));
    }
    base = await application.commit('feat: environments');
  });

  after(async () => {
    await application?.remove();
    if (scratch) await rm(scratch, { recursive: true, force: true });
  });

  beforeEach(async () => {
    await application.git('checkout', '--quiet', '--force', '-B', 'change', base);
  });

  /** @param before what comes before the command: another namespace of the network */
  async function evaluate(
    before: readonly string[] = [],
    options: Readonly<Record<string, string>> = {},
  ): Promise<Result> {
    const folder = await mkdtemp(join(scratch, 'run-'));
    const file = join(folder, 'summary.md');
    await writeFile(file, '');
    const all = { application: application.directory, base, head: 'HEAD', ...options };
    const args = Object.entries(all).flatMap(([option, value]) => [`--${option}`, value]);
    const command = [...before, process.execPath, '--import', 'tsx', 'scripts/workflow.ts', 'evaluate', ...args];
    const [program = '', ...rest] = command;
    const { exitCode, all: text } = await execa(program, rest, {
      cwd: root,
      extendEnv: false,
      env: {
        PATH: process.env.PATH ?? '',
        HOME: folder,
        GITHUB_REPOSITORY: 'example/orders',
        GITHUB_STEP_SUMMARY: file,
        GITHUB_TOKEN: `${CANARY}-token`,
        PULUMI_CONFIG_PASSPHRASE: `${CANARY}-passphrase`,
        DEVOPS_REGISTRY_PASSWORD: `${CANARY}-password`,
        SOME_OTHER_CREDENTIAL: `${CANARY}-other`,
      },
      stdin: 'ignore',
      all: true,
      reject: false,
      timeout: 300_000,
    });
    return { exitCode: exitCode ?? 1, output: text ?? '', summary: await readFile(file, 'utf8') };
  }

  it('compares every environment of the example, without a network, and says what it is from', async () => {
    // What has come to the base since is no change of the pull request.
    await application.git('checkout', '--quiet', '-B', 'ahead', base);
    await application.edit('Pulumi.prod.yaml', (text) => text.replace('replicas: 3', 'replicas: 4'));
    await application.commit('feat: more for prod');
    await application.git('checkout', '--quiet', 'change');
    await application.edit('Pulumi.staging.yaml', (text) => text.replace('replicas: 2', 'replicas: 5'));
    await application.edit('kubernetes/settings.yaml', (text) => `${text}  EXTRA: 'yes'\n`);
    await application.commit('feat: more');
    const { exitCode, output, summary } = await evaluate(['unshare', '--net'], { base: 'ahead' });
    assert.equal(exitCode, 0, output);
    for (const name of ['dev', 'local', 'prod', 'staging']) {
      const part = sectionOf(summary, name);
      assert.match(part, /\*\*\d+\*\* to change, \d+ unchanged · from the configuration alone/);
      assert.match(part, /<code>ConfigMap<\/code> <code>orders-configmap\/orders-settings<\/code>/);
      assert.match(part, /\+ data\.EXTRA: yes/);
      assert.match(part, /```mermaid\nflowchart LR[\s\S]*:::update/);
    }
    assert.match(sectionOf(summary, 'staging'), /- spec\.replicas: 2\n\+ spec\.replicas: 5/);
    assert.doesNotMatch(sectionOf(summary, 'prod'), /spec\.replicas/);
    assert.match(summary, /From the configuration alone: this run had no secret, no state/);
  });

  it('knows neither secrets nor what a registry would answer, and tells so', async () => {
    await application.edit('src/main.ts', (text) => `${text}\n// Another image.\n`);
    await application.edit('Pulumi.local.yaml', (text) =>
      text.replace('ORDERS_SIGNING_KEY: { generate: 48 }', 'ORDERS_SIGNING_KEY: { env: DEVOPS_REGISTRY_PASSWORD }'),
    );
    await application.commit('feat: another image and another secret');
    const { exitCode, output, summary } = await evaluate([], { environments: 'local,staging' });
    assert.equal(exitCode, 0, output);
    const local = sectionOf(summary, 'local');
    assert.match(local, /! spec\.template\.spec\.containers\[0\]\.image: \S+@sha256:\[unknown\]/);
    assert.match(local, /! data: \[secret\]|[-+] data: \[secret\]|\[secret\]/);
    assert.doesNotMatch(summary, /sha256:[0-9a-f]{64}/);
    assert.match(summary, /Not known: what is live, which images there are/);
    assert.match(sectionOf(summary, 'staging'), /\*\*No changes\*\*/, 'images that exist are named by their tag alone');
    assert.ok(!summary.includes(CANARY) && !output.includes(CANARY));
  });

  it('runs in a process that has no credential', async () => {
    const { exitCode, output, summary } = await evaluate([], { environments: 'local' });
    assert.equal(exitCode, 0, output);
    const variables = /with no variables but (.*)/.exec(output)?.[1]?.split(', ') ?? [];
    assert.ok(variables.includes('DEVELOPMENT_OPERATIONS_ROOT'), output);
    for (const name of ['PATH', 'HOME', 'GITHUB_TOKEN', 'PULUMI_CONFIG_PASSPHRASE', 'SOME_OTHER_CREDENTIAL']) {
      assert.ok(!variables.includes(name), name);
    }
    // The variables that the configuration refers to are there, with values that were made up.
    assert.ok(variables.includes('DEVOPS_REGISTRY_PASSWORD'));
    assert.ok(!summary.includes(CANARY) && !output.includes(CANARY));
    // Outside of its limits the same process refuses to run.
    const bare = await execa(process.execPath, [join(root, 'workflows/evaluate/child.mjs')], {
      input: JSON.stringify({ root: scratch }),
      reject: false,
    });
    assert.notEqual(bare.exitCode, 0);
    assert.match(bare.stderr, /runs without its limits/);
  });

  it('counts an environment that is new as made, and one that is gone as deleted', async () => {
    const dev = await readFile(join(application.directory, 'Pulumi.dev.yaml'), 'utf8');
    await application.write('Pulumi.fresh.yaml', dev.replaceAll('orders-dev', 'orders-fresh'));
    await application.git('rm', '--quiet', 'Pulumi.prod.yaml');
    await application.commit('feat: a fresh environment instead of prod');
    const { exitCode, output, summary } = await evaluate([], { environments: 'dev,fresh,prod' });
    assert.equal(exitCode, 1, output);
    assert.match(sectionOf(summary, 'fresh'), /\*\*\d+\*\* to create · from the configuration alone/);
    assert.match(sectionOf(summary, 'fresh'), /The environment is new\./);
    const prod = sectionOf(summary, 'prod');
    assert.match(prod, /\*\*\d+\*\* to delete/);
    assert.match(prod, /`Database orders-database-database is deleted: every table in the database`/);
    assert.match(prod, /DROP DATABASE "orders_prod"/);
    assert.match(summary, /Data would be deleted in `prod`\. If that is meant, add the label `allow-data-loss`/);
    assert.match(output, /allow-data-loss/);
    assert.match(sectionOf(summary, 'dev'), /\*\*No changes\*\*/);
  });

  it('refuses a configuration that is not valid, with all that is wrong', async () => {
    await application.edit('Pulumi.staging.yaml', (text) =>
      text.replace('replicas: 2', 'replicas: many').replace('namespace: orders-staging', 'namespace: Orders_Staging'),
    );
    await application.edit('kubernetes/settings.yaml', (text) => text.replace('kind: ConfigMap', 'kind: ""'));
    await application.commit('feat: mistakes');
    const { exitCode, output } = await evaluate([], { environments: 'staging' });
    assert.equal(exitCode, 2, output);
    assert.match(output, /the configuration of stack "staging" has \d+ problems/);
    for (const problem of [
      /replicas: is a text/,
      /namespace: "Orders_Staging" is not/,
      /resourceFiles: kubernetes\/settings\.yaml/,
    ]) {
      assert.match(output, problem);
    }
    assert.match(output, /What to do: mend the configuration/);
  });

  it('says so when the base is not valid, and shows the head as new', async () => {
    await application.edit('Pulumi.dev.yaml', (text) => text.replace('namespace: orders-dev', 'namespace: ORDERS'));
    const broken = await application.commit('feat: a mistake');
    await application.git('checkout', '--quiet', 'HEAD~1', '--', 'Pulumi.dev.yaml');
    await application.commit('fix: the mistake');
    const { exitCode, output, summary } = await evaluate([], { environments: 'dev', base: broken });
    assert.equal(exitCode, 0, output);
    assert.match(summary, /The configuration of the base is not valid, so that everything shows as new/);
    assert.match(summary, /\*\*\d+\*\* to create/);
  });

  it('reads nothing outside of the checkout, and follows no link', async () => {
    const outside = join(scratch, 'outside.yaml');
    await application.write(
      'Pulumi.local.yaml',
      await readFile(join(application.directory, 'Pulumi.local.yaml'), 'utf8'),
    );
    await symlink('/etc/hostname', join(application.directory, 'kubernetes', 'linked.yaml'));
    await application.commit('feat: a link');
    const linked = await evaluate([], { environments: 'staging' });
    assert.equal(linked.exitCode, 0, linked.output);
    assert.match(linked.summary, /Links and submodules were not followed: `[^`]*kubernetes\/linked\.yaml/);
    assert.match(sectionOf(linked.summary, 'staging'), /\*\*No changes\*\*/);

    const database = /rootCertificateFile: .*/;
    await application.edit('Pulumi.local.yaml', (text) => text.replace(database, 'rootCertificateFile: /etc/passwd'));
    await application.edit('Pulumi.dev.yaml', (text) => text.replace('path: .', `path: ${scratch}`));
    await application.edit('Pulumi.staging.yaml', (text) => text.replace('path: .', 'path: ../..'));
    await application.commit('feat: files of the machine');
    for (const [name, key] of [
      ['local', 'database.rootCertificateFile'],
      ['dev', 'applications.orders.path'],
      ['staging', 'applications.orders.path'],
    ] as const) {
      const { exitCode, output, summary } = await evaluate([], { environments: name });
      assert.equal(exitCode, 2, output);
      assert.match(
        output,
        new RegExp(`development-operations:${key.replaceAll('.', '\\.')}: ".*" is outside of the repository`),
      );
      assert.ok(!`${output}${summary}`.includes('root:x:0'), 'a file of the machine was shown');
    }
    // The pattern of resource files starts in the application's folder as well.
    await application.git('checkout', '--quiet', 'HEAD~1', '--', 'Pulumi.staging.yaml');
    await application.edit('Pulumi.staging.yaml', (text) => text.replace('- kubernetes/*.yaml', `- ${outside}`));
    await application.commit('feat: a pattern');
    const pattern = await evaluate([], { environments: 'staging' });
    assert.equal(pattern.exitCode, 2, pattern.output);
    assert.match(pattern.output, /matches no file/);
  });

  it('names each property that differs as deep as it goes, and of a secret its name alone', () => {
    const secret = (value: string) => ({
      '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270',
      value,
    });
    assert.deepEqual(
      differences(
        { a: { 'b.c': [1, { d: 2 }], same: 1 }, s: secret('x'), t: secret('x'), gone: true },
        { a: { 'b.c': [1, { d: 3 }], same: 1 }, s: secret('y'), t: secret('x'), list: [1] },
      ),
      [
        { path: 'a["b.c"][1].d', from: 2, to: 3 },
        { path: 'gone', from: true },
        { path: 'list', to: [1] },
        { path: 's', from: '[secret]', to: '[secret]' },
      ],
    );
  });

  it('knows which environments a change of files touches', () => {
    const all = ['dev', 'prod'];
    const of = (...files: string[]) => touchedBy(files, all);
    assert.deepEqual(of('Pulumi.dev.yaml'), { environments: ['dev'], gone: [] });
    assert.deepEqual(of('Pulumi.staging.yaml', 'Pulumi.images.yaml'), { environments: [], gone: ['staging'] });
    assert.deepEqual(of('README.md', 'docs/x.md', '.github/workflows/x.yml', 'LICENSE'), {
      environments: [],
      gone: [],
    });
    for (const file of ['src/main.ts', 'kubernetes/a.yaml', 'migrations/1.sql', 'Pulumi.yaml', 'Dockerfile']) {
      assert.deepEqual(of(file).environments, all, file);
    }
  });
});

/** The part of the summary about one environment. */
function sectionOf(summary: string, environment: string): string {
  const start = summary.indexOf(`### Configuration of \`${environment}\``);
  assert.notEqual(start, -1, `nothing about ${environment} in:\n${summary.slice(0, 3000)}`);
  const end = summary.indexOf('\n### ', start + 1);
  return summary.slice(start, end === -1 ? undefined : end);
}
