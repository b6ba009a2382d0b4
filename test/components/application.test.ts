import assert from 'node:assert/strict';
import { ServiceAccount } from '@pulumi/kubernetes/core/v1/serviceAccount.js';
import * as pulumi from '@pulumi/pulumi';
import { Application, type ApplicationArguments } from '../../components/application/application.ts';
import { serviceUrl } from '../../components/application/url.ts';
import { ImageBuild } from '../../components/image/imageBuild.ts';
import { DIGEST, findingsOf, type RecordOptions, record, resolved, UNKNOWN } from './mocks.ts';

const image = (name: string) => `registry.example.com/${name}@${DIGEST}`;
const secret = (name: string, checksum: string) => ({ name: pulumi.output(name), checksum: pulumi.output(checksum) });

const args: ApplicationArguments = {
  namespace: 'dev',
  image: image('orders'),
  migrations: { image: image('orders-migrations'), secrets: [secret('database-migrations', 'm1')] },
  environment: { LOG_LEVEL: 'info' },
  secrets: [secret('database-application', 'a1'), secret('orders-secrets', 's1')],
  mounts: [{ name: 'postgres', configMapName: 'certificate', path: '/etc/postgres' }],
  imagePullSecrets: [pulumi.output('pull')],
  configMaps: [{ name: 'settings', checksum: 'c1' }, { name: 'unknown' }],
  serviceAccountName: 'orders',
  replicas: 2,
  service: { type: 'LoadBalancer' },
};

const withAddress: RecordOptions = {
  outputs: {
    'kubernetes:core/v1:Service': () => ({ status: { loadBalancer: { ingress: [{ ip: '172.31.241.1' }] } } }),
  },
};

/** The value at a path of nested records and lists. */
function at(value: unknown, ...path: (string | number)[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown>)?.[key], value);
}

async function jobName(changed: Partial<ApplicationArguments>): Promise<unknown> {
  await record();
  return (await resolved(new Application('orders', { ...args, ...changed }).migrationsJobName)).value;
}

describe('Application', () => {
  it('rolls out by digest, as an unprivileged user, after the migrations', async () => {
    const recording = await record(withAddress);
    new Application('orders', args);
    const deployment = await recording.find('orders-deployment');
    assert.equal(deployment.type, 'kubernetes:apps/v1:Deployment');
    assert.deepEqual(deployment.dependencies, ['orders-migrations']);
    assert.equal(deployment.parent, 'orders');
    assert.equal(deployment.createTimeout, '300s');
    const spec = deployment.inputs.spec;
    assert.equal(at(spec, 'replicas'), 2);
    assert.deepEqual(at(spec, 'selector', 'matchLabels'), {
      'app.kubernetes.io/component': 'server',
      'app.kubernetes.io/instance': 'orders',
      'app.kubernetes.io/name': 'orders',
    });
    assert.deepEqual(at(spec, 'template', 'metadata', 'annotations'), {
      'development-operations/configuration-checksum': 'c1.a1.s1',
    });
    const pod = at(spec, 'template', 'spec');
    assert.deepEqual(at(pod, 'imagePullSecrets'), [{ name: 'pull' }]);
    assert.equal(at(pod, 'securityContext', 'runAsNonRoot'), true);
    assert.equal(at(pod, 'securityContext', 'runAsUser'), 10001);
    assert.equal(at(pod, 'automountServiceAccountToken'), false);
    assert.equal(at(pod, 'serviceAccountName'), 'orders');
    const container = at(pod, 'containers', 0);
    assert.equal(at(container, 'image'), image('orders'));
    assert.equal(at(container, 'securityContext', 'readOnlyRootFilesystem'), true);
    assert.deepEqual(at(container, 'securityContext', 'capabilities'), { drop: ['ALL'] });
    assert.deepEqual(at(container, 'env'), [
      { name: 'LOG_LEVEL', value: 'info' },
      { name: 'PORT', value: '8080' },
    ]);
    assert.deepEqual(at(container, 'envFrom'), [
      { configMapRef: { name: 'settings' } },
      { configMapRef: { name: 'unknown' } },
      { secretRef: { name: 'database-application' } },
      { secretRef: { name: 'orders-secrets' } },
    ]);
    assert.deepEqual(at(container, 'volumeMounts', 1), {
      name: 'postgres',
      mountPath: '/etc/postgres',
      readOnly: true,
    });
    assert.deepEqual(at(container, 'readinessProbe', 'httpGet'), { path: '/healthz', port: 'http' });
    assert.deepEqual(at(container, 'ports'), [{ name: 'http', containerPort: 8080, protocol: 'TCP' }]);
  });

  it('runs the migrations in a Job of their own name that is replaced when it failed', async () => {
    const recording = await record(withAddress);
    const application = new Application('orders', {
      ...args,
      migrations: { ...args.migrations, image: image('m'), command: ['migrate'], backoffLimit: 0, timeoutSeconds: 60 },
    });
    const job = await recording.find('orders-migrations');
    assert.equal(job.type, 'kubernetes:batch/v1:Job');
    assert.match(String(at(job.inputs, 'metadata', 'name')), /^orders-migrations-[0-9a-f]{10}$/);
    assert.equal((await resolved(application.migrationsJobName)).value, at(job.inputs, 'metadata', 'name'));
    assert.deepEqual(at(job.inputs, 'metadata', 'annotations'), { 'pulumi.com/replaceUnready': 'true' });
    assert.equal(at(job.inputs, 'spec', 'backoffLimit'), 0);
    assert.equal(at(job.inputs, 'spec', 'activeDeadlineSeconds'), 60);
    assert.equal(job.createTimeout, '120s');
    const pod = at(job.inputs, 'spec', 'template', 'spec');
    assert.equal(at(pod, 'restartPolicy'), 'Never');
    assert.deepEqual(at(pod, 'containers', 0, 'command'), ['migrate']);
    assert.deepEqual(at(pod, 'containers', 0, 'envFrom'), [{ secretRef: { name: 'database-migrations' } }]);
    assert.equal(at(pod, 'containers', 0, 'readinessProbe'), undefined);
    const label = at(job.inputs, 'spec', 'template', 'metadata', 'labels', 'app.kubernetes.io/component');
    assert.equal(label, 'migrations', 'the Service must not select the pods of the Job');
  });

  it('names the Job anew for another image, configuration or run, and only then', async () => {
    const name = await jobName({});
    assert.equal(await jobName({}), name);
    assert.equal(await jobName({ replicas: 5 }), name);
    assert.equal(await jobName({ image: image('other') }), name);
    const migrations = { image: image('orders-migrations'), secrets: [secret('database-migrations', 'm1')] };
    assert.equal(await jobName({ migrations }), name);
    const others = [
      await jobName({ migrations: { ...migrations, image: image('orders-migrations').replace(/a$/, 'b') } }),
      await jobName({ migrations: { ...migrations, run: '2' } }),
      await jobName({ migrations: { ...migrations, secrets: [secret('database-migrations', 'm2')] } }),
      await jobName({ environment: { LOG_LEVEL: 'debug' } }),
    ];
    assert.equal(new Set([name, ...others]).size, 5);
  });

  it('gives the address of the load balancer, and the name of the Service', async () => {
    const recording = await record(withAddress);
    const application = new Application('orders', args);
    assert.deepEqual(await resolved(application.url), { value: 'http://172.31.241.1', secret: false });
    assert.deepEqual(await resolved(application.serviceName), { value: 'orders', secret: false });
    const { inputs } = await recording.find('orders-service');
    assert.deepEqual(inputs.spec, {
      type: 'LoadBalancer',
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 'http' }],
      selector: {
        'app.kubernetes.io/component': 'server',
        'app.kubernetes.io/instance': 'orders',
        'app.kubernetes.io/name': 'orders',
      },
    });
  });

  it('waits for what must be there before the first pod', async () => {
    const recording = await record();
    const account = new ServiceAccount('account', {});
    new Application('orders', { ...args, after: [account] });
    assert.deepEqual((await recording.find('orders-migrations')).dependencies, ['account']);
    assert.deepEqual((await recording.find('orders-deployment')).dependencies, ['account', 'orders-migrations']);
  });

  it('has no Job and waits for none without migrations', async () => {
    const recording = await record();
    const application = new Application('plain', { namespace: 'dev', image: image('plain') });
    assert.deepEqual((await recording.find('plain-deployment')).dependencies, []);
    assert.equal((await recording.registrations()).length, 3);
    assert.equal(application.migrationsJobName, undefined);
    assert.equal((await resolved(application.url)).value, 'http://plain.dev.svc');
  });

  it('does not know the name of the Job before the image is built', async () => {
    const recording = await record({ preview: true });
    const targets = { main: { repository: 'registry.example.com/orders' } };
    const unbuilt = new ImageBuild('unbuilt', { mode: 'build', tag: 'x', context: '.', targets });
    new Application('orders', { ...args, migrations: { image: unbuilt.images.main ?? '' } });
    assert.equal(at((await recording.find('orders-migrations')).inputs, 'metadata', 'name'), UNKNOWN);
  });

  it('names every invalid argument at once', async () => {
    await record();
    const found = findingsOf(
      () =>
        new Application('Orders', {
          namespace: 'dev',
          image: 'registry.example.com/orders:latest',
          migrations: { image: 'registry.example.com/orders-migrations' },
          port: 0,
          service: { port: 70000 },
          replicas: -1,
          userId: 0,
          healthPath: 'healthz',
          environment: { 'NOT-GOOD': 'x', PORT: '1' },
        }),
    );
    assert.deepEqual(
      found.map((line) => line.split(': ')[0]),
      [
        'name',
        'port',
        'service.port',
        'replicas',
        'userId',
        'healthPath',
        'environment.NOT-GOOD',
        'environment.PORT',
        'image',
        'migrations.image',
      ],
    );
    const long = 'a'.repeat(41);
    assert.match(findingsOf(() => new Application(long, { namespace: 'n', image: image('a') }))[0] ?? '', /at most 40/);
  });
});

describe('serviceUrl', () => {
  const service = { name: 's', namespace: 'n', type: 'LoadBalancer', port: 80 } as const;
  it('uses what the load balancer says, with the port where it is not the default', () => {
    const status = (ingress: { ip?: string; hostname?: string }) => ({ loadBalancer: { ingress: [ingress] } });
    assert.equal(
      serviceUrl({ ...service, status: status({ hostname: 'lb.example.com', ip: '' }) }),
      'http://lb.example.com',
    );
    assert.equal(serviceUrl({ ...service, port: 81, status: status({ ip: 'fd00::1' }) }), 'http://[fd00::1]:81');
    assert.equal(serviceUrl({ ...service, status: { loadBalancer: {} } }), undefined);
    assert.equal(serviceUrl({ ...service, status: undefined }), undefined);
  });
  it('uses the name in the cluster otherwise', () => {
    assert.equal(serviceUrl({ ...service, type: 'ClusterIP', port: 8080, status: undefined }), 'http://s.n.svc:8080');
  });
});
