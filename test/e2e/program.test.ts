import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, kubectl, type Outputs, orderOf, query, TestStack } from './support.ts';

interface Order {
  readonly id: string;
  readonly customer: string;
}

async function placeOrder(url: string, customer: string): Promise<Order> {
  const response = await fetch(`${url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: orderOf(customer),
  });
  const text = await response.text();
  assert.equal(response.status, 201, text);
  return JSON.parse(text) as Order;
}

async function readOrder(url: string, id: string): Promise<Order> {
  const response = await fetch(`${url}/orders/${id}`);
  assert.equal(response.status, 200);
  return (await response.json()) as Order;
}

/** A pod of an image that is pulled anew, with or without the pull secret. */
function pod(name: string, namespace: string, image: string, pullSecret?: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      imagePullSecrets: pullSecret === undefined ? [] : [{ name: pullSecret }],
      containers: [{ name: 'main', image, imagePullPolicy: 'Always', command: ['node', '--version'] }],
    },
  });
}

describe('the whole program, through the engine', function () {
  this.timeout(300_000);
  let stack: TestStack;
  let outputs: Outputs;
  let order: Order;

  before(async () => {
    stack = await TestStack.create();
  });

  after(async () => {
    await stack?.remove();
  });

  it('deploys the application, which stores and reads back', async () => {
    await stack.up();
    outputs = await stack.outputs();
    const { url, images } = outputs.applications.orders;
    for (const image of Object.values(images))
      assert.match(image, /^127\.0\.0\.1:15000\/[a-z0-9/-]+@sha256:[0-9a-f]{64}$/);
    order = await placeOrder(url, 'Ada');
    assert.equal((await readOrder(url, order.id)).customer, 'Ada');
  });

  it('has nothing to change the second time', async () => {
    assert.deepEqual(await stack.changes(), []);
    assert.match(await stack.up(), /unchanged/);
    assert.deepEqual(await stack.changes('--refresh'), []);
  });

  it('cannot pull the image without the registry secret', async () => {
    const { namespace } = outputs;
    const image = outputs.applications.orders.images.main ?? '';
    const secrets = JSON.parse(await kubectl(['-n', namespace, 'get', 'secrets', '-o', 'json'])) as {
      items: { type: string; metadata: { name: string } }[];
    };
    const pullSecret = secrets.items.find(({ type }) => type === 'kubernetes.io/dockerconfigjson')?.metadata.name;
    assert.ok(pullSecret, 'no pull secret in the namespace');
    await kubectl(['apply', '-f', '-'], pod('without-secret', namespace, image));
    await kubectl(['apply', '-f', '-'], pod('with-secret', namespace, image, pullSecret));
    const reason = (name: string, path: string): Promise<string> =>
      kubectl(['-n', namespace, 'get', 'pod', name, '-o', `jsonpath={${path}}`]);
    await eventually('the pod with the secret runs', 60, async () =>
      (await reason('with-secret', '.status.phase')) === 'Succeeded' ? true : undefined,
    );
    const message = await eventually('the pod without the secret fails to pull', 60, async () => {
      const waiting = '.status.containerStatuses[0].state.waiting';
      const text = await reason('without-secret', `${waiting}.message`);
      return (await reason('without-secret', `${waiting}.reason`)) === 'ErrImagePull' ? text : undefined;
    });
    assert.match(message, /authorization failed|401 Unauthorized|no basic auth credentials/);
    await kubectl(['-n', namespace, 'delete', 'pod', 'with-secret', 'without-secret', '--grace-period=0', '--force']);
  });

  it('previews a configuration change as exactly the resource that it changes', async () => {
    stack.application.replicas = 2;
    await stack.save();
    assert.deepEqual(await stack.changes(), ['kubernetes:apps/v1:Deployment orders-deployment: update']);
    await stack.up();
    assert.deepEqual(await stack.changes(), []);
    const ready = ['-n', outputs.namespace, 'get', 'deployment', 'orders', '-o', 'jsonpath={.status.readyReplicas}'];
    assert.equal(await kubectl(ready), '2');
  });

  it('stops the rollout when a migration fails, keeps serving, and recovers when it is repaired', async () => {
    const image = outputs.applications.orders.images.main;
    const broken = join(stack.directory, 'orders', 'migrations', '9998_broken.sql');
    await writeFile(broken, '-- Up Migration\nALTER TABLE no_such_table ADD COLUMN broken integer;\n');
    const failed = await stack.pulumi('up', '--yes', '--skip-preview');
    assert.notEqual(failed.exitCode, 0);
    assert.match(failed.output, /no_such_table/, 'the error has the log of the migration');
    assert.equal((await readOrder(outputs.applications.orders.url, order.id)).customer, 'Ada');
    const deployed = await kubectl([
      ...['-n', outputs.namespace, 'get', 'deployment', 'orders'],
      ...['-o', 'jsonpath={.spec.template.spec.containers[0].image}'],
    ]);
    assert.equal(deployed, image, 'the deployment still has the image from before');
    await rm(broken);
    await writeFile(
      join(stack.directory, 'orders', 'migrations', '9999_repaired.sql'),
      '-- Up Migration\nALTER TABLE orders ADD COLUMN repaired integer;\n',
    );
    await stack.up();
    assert.deepEqual(await stack.changes(), []);
    assert.equal((await readOrder(outputs.applications.orders.url, order.id)).customer, 'Ada');
  });

  it('shows drift that was made by hand, and the next update repairs it', async () => {
    const { namespace } = outputs;
    const { owner, name } = outputs.applications.orders.database;
    await kubectl(['-n', namespace, 'scale', 'deployment', 'orders', '--replicas=1']);
    await kubectl(['-n', namespace, 'delete', 'configmap', 'orders-settings']);
    await query(`ALTER ROLE "${owner}" CREATEROLE`);
    const drift = await stack.changes('--refresh');
    assert.deepEqual(
      drift,
      [
        'kubernetes:apps/v1:Deployment orders-deployment: update',
        'kubernetes:core/v1:ConfigMap orders-configmap/orders-settings: create',
        `postgresql:index/role:Role ${await ownerResource()}: update`,
      ].toSorted(),
    );
    await stack.up('--refresh');
    assert.deepEqual(await stack.changes('--refresh'), []);
    const roles = await query<{ rolcreaterole: boolean }>(
      `SELECT rolcreaterole FROM pg_roles WHERE rolname = '${owner}'`,
    );
    assert.deepEqual(roles, [{ rolcreaterole: false }]);
    assert.ok(name);

    async function ownerResource(): Promise<string> {
      const { deployment } = JSON.parse(await stack.must('stack export')) as {
        deployment: { resources: { urn: string; type: string; id?: string }[] };
      };
      const urn = deployment.resources.find(
        ({ type, id }) => type === 'postgresql:index/role:Role' && id === owner,
      )?.urn;
      return urn?.slice(urn.lastIndexOf('::') + 2) ?? '';
    }
  });

  it('destroys everything', async () => {
    const { name } = outputs.applications.orders.database;
    await stack.must('destroy', '--yes', '--skip-preview');
    assert.equal(await kubectl(['get', 'namespace', outputs.namespace, '--ignore-not-found', '-o', 'name']), '');
    assert.deepEqual(await query(`SELECT datname FROM pg_database WHERE datname = '${name}'`), []);
    const roles = await query(`SELECT rolname FROM pg_roles WHERE rolname LIKE '%${stack.name}%'`);
    assert.deepEqual(roles, []);
    const { deployment } = JSON.parse(await stack.must('stack export')) as { deployment: { resources?: unknown[] } };
    assert.deepEqual(deployment.resources ?? [], []);
  });
});
