import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as pulumi from '@pulumi/pulumi';
import { parse } from 'yaml';
import { issue } from '../../local/pki.ts';
import { DIGEST, type Recording, record, resolved } from '../components/mocks.ts';
import { texts } from './source.ts';

/** What is to be exported before each sample is deployed. */
const SAMPLES: Record<string, string[]> = {
  local: [
    'DEVOPS_REGISTRY_USERNAME',
    'DEVOPS_REGISTRY_PASSWORD',
    'DEVOPS_DATABASE_ADMIN_USERNAME',
    'DEVOPS_DATABASE_ADMIN_PASSWORD',
  ],
  dev: ['REGISTRY_USERNAME', 'REGISTRY_PASSWORD', 'DATABASE_ADMIN_USERNAME', 'DATABASE_ADMIN_PASSWORD'],
  staging: ['REGISTRY_USERNAME', 'REGISTRY_PASSWORD', 'DATABASE_ADMIN_USERNAME', 'DATABASE_ADMIN_PASSWORD'],
  prod: ['REGISTRY_USERNAME', 'REGISTRY_PASSWORD', 'DATABASE_ADMIN_USERNAME', 'DATABASE_ADMIN_PASSWORD'],
};
const FILES = ['DEVOPS_KUBECONFIG', 'DEVOPS_DATABASE_CA_FILE', 'DEVOPS_NPMRC_FILE', 'NPMRC_FILE'];

describe('the program', () => {
  const before_ = { ...process.env };
  const { stackTraceLimit, prepareStackTrace } = Error;
  let directory: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'program-'));
    const { certFile, keyFile, caFile } = await issue(
      { directory },
      { name: 'x', commonName: 'x', usages: ['server'] },
    );
    Object.assign(process.env, {
      DEVOPS_GATEWAY_CERTIFICATE_FILE: certFile,
      DEVOPS_GATEWAY_KEY_FILE: keyFile,
      DEVOPS_CA_FILE: caFile,
    });
    for (const name of FILES) {
      process.env[name] = join(directory, name);
      writeFileSync(join(directory, name), `canary of ${name}`);
    }
  });

  afterEach(() => {
    // The program switches stacks off; the other tests want them.
    Object.assign(Error, { stackTraceLimit, prepareStackTrace });
  });

  after(() => {
    rmSync(directory, { recursive: true });
    for (const name of Object.keys(process.env)) if (!(name in before_)) delete process.env[name];
    Object.assign(process.env, before_);
    pulumi.runtime.setAllConfig({});
  });

  /** Runs index.ts as the engine does, with the configuration of a sample, changed. */
  async function run(
    stack: string,
    change: Record<string, string> = {},
  ): Promise<{ recording: Recording; outputs: Outputs }> {
    const recording = await record({ stack });
    const file = parse(readFileSync(`Pulumi.${stack}.yaml`, 'utf8')) as { config: Record<string, unknown> };
    const changed = Object.entries(change).map(([key, value]) => [`development-operations:${key}`, value]);
    pulumi.runtime.setAllConfig({ ...texts(file.config), ...Object.fromEntries(changed) });
    // A query makes it another module: the program runs when it is loaded.
    const module = (await import(`../../index.ts?${stack}-${JSON.stringify(change)}`)) as { default: Outputs };
    await recording.registrations();
    return { recording, outputs: module.default };
  }

  for (const [stack, variables] of Object.entries(SAMPLES)) {
    it(`deploys ${stack}`, async () => {
      for (const name of variables) process.env[name] = `canary of ${name}`;
      const { recording, outputs } = await run(stack);
      const all = await recording.registrations();
      const names = new Set(all.map((one) => `${one.type} ${one.name}`));
      assert.equal(names.size, all.length, 'each resource has a name of its own');
      const deployment = await recording.find('orders-deployment');
      assert.deepEqual(
        deployment.dependencies.filter((name) => name === 'orders-migrations'),
        ['orders-migrations'],
      );
      assert.equal(deployment.provider, 'kubernetes');
      assert.equal((await recording.find('orders-database-database')).provider, 'postgresql');
      const builds = all.filter((one) => one.type === 'docker-build:index:Image').map((one) => one.name);
      const built = stack === 'local' || stack === 'dev';
      const api = stack === 'local' ? ['operations-api-main'] : [];
      assert.deepEqual(builds.sort(), built ? [...api, 'orders-main', 'orders-migrations'] : []);
      assert.equal(recording.calls.length, built ? 0 : 2);
      const isProtected = all.some((one) => one.protect);
      assert.equal(isProtected, stack === 'staging' || stack === 'prod');

      const { value, secret } = await resolved(outputs);
      assert.equal(secret, false, 'the outputs are not secret');
      const { applications, namespace } = value as {
        namespace: string;
        applications: { orders: Record<string, unknown> };
      };
      assert.equal(namespace, stack === 'local' ? 'local' : `orders-${stack}`);
      const { orders } = applications;
      assert.equal(orders.healthPath, '/healthz');
      const image = String((orders.images as Record<string, string>).main);
      assert.ok(image.endsWith(`/orders@${DIGEST}`), image);
      assert.equal((orders.database as { name: string }).name, `orders_${stack}`);
    });

    it(`keeps the secrets of ${stack} marked`, async () => {
      for (const name of variables) process.env[name] = `canary of ${name}`;
      const { recording } = await run(stack, { environment: `${stack}-x` });
      for (const registration of await recording.registrations()) {
        const plain = JSON.stringify(withoutSecrets(registration.inputs));
        // Paths of files are no secrets; that one of them is handed to the pods is what it is for.
        const shown = plain.replaceAll('canary of DEVOPS_DATABASE_CA_FILE', '');
        assert.ok(!shown.includes('canary'), `${registration.name}: ${shown}`);
        assert.ok(!shown.includes(Buffer.from('canary').toString('base64').slice(0, 7)), registration.name);
      }
    });
  }

  it('deploys the operations API behind the gateway', async () => {
    for (const name of SAMPLES.local ?? []) process.env[name] = 'x';
    const { recording, outputs } = await run('local', { environment: 'blue' });
    const all = await recording.registrations();
    const settings = JSON.parse(
      ((await recording.find('operations-api-settings')).inputs.data as Record<string, string>)['settings.json'] ?? '',
    );
    assert.equal(settings.publicUrl, 'https://localhost:18443');
    assert.deepEqual(settings.namespaces, ['tenants']);
    assert.deepEqual(Object.keys(settings.environments), ['blue']);
    assert.equal(settings.environments.blue.superuser, false);
    assert.equal(settings.environments.blue.host, '172.31.240.1', 'as pods reach it');
    assert.equal(settings.issuers[0].caFile, '/etc/operations-api/issuer-0.crt');
    assert.match(settings.issuers[1].tokenFile, /serviceaccount\/token$/);
    assert.deepEqual(settings.issuers[1].rules[1].scopes, ['blue:apply']);
    assert.equal((await recording.find('operations-api-database-database')).inputs.name, 'operations_blue');
    assert.equal((await recording.find('operations-api-administrator-role')).inputs.name, 'operations_blue_admin');
    const balancer = await recording.find('load-balancer-service');
    assert.equal((balancer.inputs.spec as { type: string }).type, 'LoadBalancer');
    const nginx = all.find((one) => one.name === 'gateway-configuration')?.inputs.data as Record<string, string>;
    for (const text of ['server_name localhost', 'server_name orders.localhost', 'location ^~ /v1', 'auth_request']) {
      assert.ok(nginx['nginx.conf']?.includes(text), text);
    }
    const { value } = await resolved({ operationsApi: outputs.operationsApi, gateway: outputs.gateway });
    const made = value as { operationsApi: Record<string, string>; gateway: Record<string, string> };
    assert.deepEqual(made.operationsApi, { url: 'https://localhost:18443', database: 'operations_blue' });
    assert.equal(made.gateway.url, 'https://localhost:18443');
  });

  it('builds the images alone for the stack "images"', async () => {
    for (const name of SAMPLES.dev ?? []) process.env[name] = 'x';
    const { recording, outputs } = await run('dev', { stack: 'images' });
    const types = new Set((await recording.registrations()).map((one) => one.type));
    assert.deepEqual([...types].sort(), [
      'development-operations:image:ImageBuild',
      'docker-build:index:Image',
      'pulumi:providers:docker-build',
    ]);
    const { value } = await resolved(outputs);
    assert.deepEqual(value, {
      applications: {
        orders: {
          images: {
            main: `registry.example.com/orders-team/orders@${DIGEST}`,
            migrations: `registry.example.com/orders-team/orders-migrations@${DIGEST}`,
          },
        },
      },
    });
  });

  it("labels images with the applications' repository, as the configuration or the environment names it", async () => {
    for (const name of SAMPLES.dev ?? []) process.env[name] = 'x';
    const labelsOf = async (values: Readonly<Record<string, string>>) => {
      const { recording } = await run('dev', { stack: 'images', ...values });
      return (await recording.find('orders-main')).inputs.labels as Record<string, string>;
    };
    const label = 'org.opencontainers.image.source';
    assert.equal((await labelsOf({ environment: 'blue' }))[label], undefined);
    assert.equal((await labelsOf({ source: 'https://example.com/shop' }))[label], 'https://example.com/shop');
    process.env.DEVELOPMENT_OPERATIONS_SOURCE = 'https://github.com/example/orders';
    try {
      assert.equal((await labelsOf({ environment: 'green' }))[label], 'https://github.com/example/orders');
    } finally {
      delete process.env.DEVELOPMENT_OPERATIONS_SOURCE;
    }
  });

  it('registers nothing when the configuration is wrong', async () => {
    const recording = await record({ stack: 'dev' });
    await assert.rejects(run('dev', { registry: '{}' }), (error: Error) => {
      assert.ok(pulumi.RunError.isInstance(error));
      assert.match(error.message, /^the configuration of stack "dev" has 3 problems; nothing was changed:\n/);
      return true;
    });
    assert.deepEqual(await recording.registrations(), []);
  });
});

type Outputs = Record<string, unknown>;

function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]?.[0] === 'secret') return null;
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutSecrets(item)]));
}
