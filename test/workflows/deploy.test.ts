/** deploy.yml and the commands that it calls, on the local cluster, registry and PostgreSQL server. */

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { eventually } from '../e2e/support.ts';
import { type ActResult, runAct } from './support/act.ts';
import { type Application, createApplication } from './support/application.ts';
import { engineEnvironment } from './support/engine.ts';
import { type CommandResult, TestEnvironment } from './support/environment.ts';
import { dispatch } from './support/events.ts';

interface Deployment {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly replicas: number;
    readonly template: { readonly spec: { readonly containers: readonly { readonly image: string }[] } };
  };
}

describe('the workflow deploy', () => {
  let application: Application;
  let environment: TestEnvironment;

  before(async () => {
    application = await createApplication();
    environment = await TestEnvironment.create({ application: application.directory });
    // Its address is that of a load balancer, which this machine reaches.
    environment.config.applications.orders.service = { type: 'LoadBalancer' };
    await environment.save();
    await environment.publish('1');
    await environment.publish('2');
    await environment.publish('sick', (target, config) => {
      if (target === 'main') Object.assign(config, { Entrypoint: ['node', '-e', 'process.exit(7)'], Cmd: [] });
    });
    await application.commit('feat: an environment');
  });

  after(async () => {
    await environment?.remove();
    await application?.remove();
  });

  function options(version: string): Record<string, string> {
    return {
      application: environment.application,
      environment: environment.name,
      version,
      plan: join(environment.home, `plan-${version}.json`),
    };
  }

  const plan = (version: string, env: Record<string, string | undefined> = {}): Promise<CommandResult> =>
    environment.workflow('deploy-plan', options(version), env);

  const apply = (version: string, planned: CommandResult): Promise<CommandResult> =>
    environment.workflow('deploy-apply', { ...options(version), digest: planned.outputs.digest ?? '' });

  async function deployed(version: string): Promise<void> {
    const planned = await plan(version);
    assert.equal(planned.exitCode, 0, planned.output);
    if (planned.outputs.changes === 'false') return;
    const applied = await apply(version, planned);
    assert.equal(applied.exitCode, 0, applied.output);
  }

  const deployment = () => environment.object<Deployment>('deployment', 'orders');
  const image = async () => (await deployment()).spec.template.spec.containers[0]?.image ?? '';

  async function run(version: string): Promise<ActResult> {
    return await runAct({
      application,
      workflow: '.github/workflows/deploy.yml',
      event: dispatch({ environment: environment.name, version }),
      secrets: {
        GITHUB_TOKEN: 'token-of-the-run',
        ...environment.callerSecrets,
      },
      environment: { ...environment.machine, ...(await engineEnvironment()), GITHUB_RUN_ID: String(randomInt(1e9)) },
    });
  }

  it('applies the plan that it has shown, and tells where the environment is', async () => {
    const result = await run('1');
    assert.equal(result.exitCode, 0, result.output);
    const [shown = '', done = ''] = result.summaries;
    assert.match(shown, /Deployment of `1`[\s\S]*to create[\s\S]*CREATE DATABASE/);
    assert.match(shown, new RegExp(result.value('digest') ?? 'none'));
    assert.match(done, /`1` is deployed/);
    const url = result.value('url') ?? '';
    assert.ok(done.includes(`<${url}>`), done);
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
    for (const [name, secret] of Object.entries(environment.secrets)) {
      assert.ok(!result.output.includes(secret) && !result.summaries.join().includes(secret), `${name} was shown`);
    }
    await assertNoSecretIn(application.artifacts, Object.values(environment.secrets));
  });

  it('has nothing to do for the version that is deployed, and leaves the state alone', async () => {
    const before = await readFile(environment.stateFile, 'utf8');
    const planned = await plan('1');
    assert.equal(planned.exitCode, 0, planned.output);
    assert.equal(planned.outputs.changes, 'false', planned.output);
    assert.match(planned.summary, /nothing to do/);
    const applied = await apply('1', planned);
    assert.equal(applied.exitCode, 0, applied.output);
    assert.equal(applied.outputs.applied, 'false');
    assert.match(applied.output, /version 1 is deployed: nothing to do/);
    assert.equal(await readFile(environment.stateFile, 'utf8'), before);
    assert.ok(
      !(await readFile(environment.configFile, 'utf8')).includes('encryptionsalt'),
      'the checkout was written to',
    );
  });

  it('refuses when the environment has moved since, and says what', async () => {
    const planned = await plan('2');
    assert.match(planned.output, /Deployment/);
    const before = await image();
    await environment.kubectl('patch', 'configmap', 'orders-settings', '--patch', '{"data":{"ORDERS_PAGE_SIZE":"7"}}');
    const applied = await apply('2', planned);
    assert.equal(applied.exitCode, 1, applied.output);
    assert.match(applied.output, /has moved since the plan was made; nothing was applied/);
    assert.match(applied.output, /ConfigMap \S*orders-settings\S*: is (changed|replaced) now, and was not in the plan/);
    assert.match(applied.output, /review its new plan/);
    assert.equal(await image(), before);
  });

  it('puts back what was changed by hand, also what belongs to another field manager', async () => {
    await environment.kubectl('scale', 'deployment', 'orders', '--replicas=0');
    await takeOver(environment, { ORDERS_PAGE_SIZE: '9' });
    await environment.query(`ALTER ROLE ${environment.database}_readonly CONNECTION LIMIT 3`);
    const planned = await plan('1');
    assert.equal(planned.outputs.changes, 'true', planned.output);
    assert.match(planned.summary, /replicas: 0/);
    assert.match(planned.summary, /ORDERS_PAGE_SIZE/);
    assert.match(planned.summary, /CONNECTION LIMIT -1/);
    const applied = await apply('1', planned);
    assert.equal(applied.exitCode, 0, applied.output);
    assert.equal((await deployment()).spec.replicas, 1);
    const { data } = await environment.object<{ data: Record<string, string> }>('configmap', 'orders-settings');
    assert.equal(data.ORDERS_PAGE_SIZE, '20');
    const [role] = await environment.query<{ rolconnlimit: number }>(
      `SELECT rolconnlimit FROM pg_roles WHERE rolname = '${environment.database}_readonly'`,
    );
    assert.equal(role?.rolconnlimit, -1);
    assert.equal((await plan('1')).outputs.changes, 'false');
  });

  it('leaves the version before serving when the new one is sick, and refuses another run meanwhile', async () => {
    const url = await environment.url();
    const planned = await plan('sick');
    assert.equal(planned.exitCode, 0, planned.output);
    const requests = keepAsking(`${url}/readyz`);
    let running = true;
    const sick = apply('sick', planned).finally(() => {
      running = false;
    });
    try {
      await eventually('a pod of the sick version', 120, async () => {
        assert.ok(running, 'the run ended before a pod was started');
        const waiting = await environment.kubectl('get', 'pods', '--output', 'json');
        return /"exitCode":\s*7/.test(waiting) || undefined;
      });
      const other = await plan('1');
      assert.equal(other.exitCode, 0, other.output);
      const refused = await apply('1', other);
      assert.equal(refused.exitCode, 2, refused.output);
      assert.match(refused.output, /another run holds the lock of the environment/);
      assert.match(refused.output, /created by \S+@\S+ \(pid \d+\)/);
      assert.ok(running, 'the run of the sick version ended too early to be in the way');
    } finally {
      // The controller gives up at once, and with it the run.
      await environment.kubectl('patch', 'deployment', 'orders', '--patch', '{"spec":{"progressDeadlineSeconds":1}}');
    }
    const failed = await sick;
    const answers = await requests.stop();
    assert.equal(failed.exitCode, 1, failed.output);
    assert.match(failed.output, /version sick was not rolled out .*; version 1 goes on serving/);
    assert.ok(answers.length > 20, `${answers.length} requests`);
    assert.deepEqual(new Set(answers), new Set([200]));
    await environment.kubectl('patch', 'deployment', 'orders', '--patch', '{"spec":{"progressDeadlineSeconds":600}}');
    await deployed('1');
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
  });

  describe('says what to do about', () => {
    async function impossible(result: CommandResult, what: RegExp, cure: RegExp): Promise<void> {
      assert.equal(result.exitCode, 2, result.output);
      assert.match(result.output, what);
      assert.match(result.output, cure);
      for (const secret of Object.values(environment.secrets)) assert.ok(!result.output.includes(secret));
    }

    it('a version that is not in the registry', async () => {
      await impossible(
        await plan('77'),
        /orders(-migrations)?:77" does not exist/,
        /What to do: name a version that was pushed/,
      );
    });

    it('a cluster that does not answer', async () => {
      const file = join(environment.home, 'kubeconfig');
      const kubeconfig = parse(await readFile(environment.env.DEVOPS_KUBECONFIG ?? '', 'utf8')) as {
        clusters: { cluster: { server: string } }[];
      };
      for (const { cluster } of kubeconfig.clusters) cluster.server = 'https://127.0.0.1:9';
      await writeFile(file, stringify(kubeconfig));
      await impossible(
        await plan('1', { DEVOPS_KUBECONFIG: file }),
        /the Kubernetes cluster of the environment .* cannot be used/,
        /What to do: see whether it runs/,
      );
    });

    it('no passphrase', async () => {
      await impossible(
        await plan('1', { PULUMI_CONFIG_PASSPHRASE: undefined }),
        /the passphrase of the stack's secrets is missing/,
        /What to do: set PULUMI_CONFIG_PASSPHRASE/,
      );
    });

    it('a wrong passphrase', async () => {
      await impossible(
        await plan('1', { PULUMI_CONFIG_PASSPHRASE: 'not the passphrase' }),
        /the passphrase is not that of the environment/,
        /What to do: hand over the passphrase/,
      );
    });

    it('an environment without a configuration', async () => {
      const result = await environment.workflow('deploy-plan', { ...options('1'), environment: 'moon' });
      await impossible(result, /there is no environment "moon"/, new RegExp(`choose one of .*${environment.name}`));
    });
  });
});

/** Makes somebody else the manager of fields of a ConfigMap. */
async function takeOver(environment: TestEnvironment, data: Readonly<Record<string, string>>): Promise<void> {
  const file = join(environment.home, 'taken.yaml');
  const metadata = { name: 'orders-settings', namespace: environment.name };
  await writeFile(file, stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data }));
  await environment.kubectl(
    'apply',
    '--server-side',
    '--force-conflicts',
    '--field-manager=somebody',
    '--filename',
    file,
  );
}

/** Requests one after the other, until they are stopped; their status, 0 for no answer. */
function keepAsking(url: string): { stop(): Promise<number[]> } {
  const answers: number[] = [];
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      answers.push(
        await fetch(url, { signal: AbortSignal.timeout(10_000) }).then(
          ({ status }) => status,
          () => 0,
        ),
      );
      await sleep(100);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await loop;
      return answers;
    },
  };
}

async function assertNoSecretIn(folder: string, secrets: readonly string[]): Promise<void> {
  assert.ok(existsSync(folder));
  const { readdir } = await import('node:fs/promises');
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const texts = await Promise.all(
    files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), 'utf8')),
  );
  assert.ok(texts.length > 0, 'there is no artifact');
  for (const text of texts)
    for (const secret of secrets) assert.ok(!text.includes(secret), 'a secret is in an artifact');
}
