import assert from 'node:assert/strict';
import * as pulumi from '@pulumi/pulumi';
import * as fc from 'fast-check';
import { DatabaseAdministrator } from '../../components/operationsApi/administrator.ts';
import { networkRules } from '../../components/operationsApi/network.ts';
import { OperationsApi, type OperationsApiArguments } from '../../components/operationsApi/operationsApi.ts';
import { holds } from '../holds.ts';
import { findingsOf, record, resolved } from './mocks.ts';

const IMAGE = `r.example.com/operations-api@sha256:${'b'.repeat(64)}`;
const BYTES = Buffer.alloc(32, 7).toString('base64');

function valid(): OperationsApiArguments {
  return {
    namespace: 'dev',
    image: IMAGE,
    settings: {
      publicUrl: 'https://operations.example.com',
      environments: {
        dev: {
          host: '10.0.0.7',
          port: 5432,
          sslmode: 'verify-full',
          adminDatabase: 'postgres',
          superuser: false,
          usernameVariable: 'DATABASE_ADMIN_USERNAME',
          passwordVariable: 'DATABASE_ADMIN_PASSWORD',
        },
      },
      issuers: [{ issuer: 'https://issuer.example.com', audience: 'operations', caFile: '/etc/operations-api/i.crt' }],
      namespaces: ['dev', 'tenants'],
    },
    administrators: { dev: { username: 'admin', password: 'canary-password' } },
    connection: { name: pulumi.output('connection'), checksum: pulumi.output('digest-of-connection') },
    certificateConfigMapName: 'authority',
    certificates: { 'i.crt': 'PEM' },
    clients: { app: 'gateway' },
  };
}

/** Records the component, with what the random provider would have made. */
async function make(args: OperationsApiArguments = valid(), preview = false) {
  const outputs = { 'random:index/randomBytes:RandomBytes': () => ({ base64: BYTES }) };
  const recording = await record({ outputs, preview });
  return { recording, api: new OperationsApi('operations-api', args) };
}

// biome-ignore lint/suspicious/noExplicitAny: the inputs are what was sent over the wire.
type Wire = Record<string, any>;

async function podOf(args?: OperationsApiArguments): Promise<Wire> {
  const { recording } = await make(args);
  const { spec } = (await recording.find('operations-api-deployment')).inputs as Wire;
  return spec.template;
}

describe('OperationsApi', () => {
  it('writes the settings and the certificates, without secrets', async () => {
    const { recording, api } = await make();
    const { data } = (await recording.find('operations-api-settings')).inputs as Wire;
    assert.deepEqual(JSON.parse(data['settings.json']), valid().settings);
    assert.equal(data['i.crt'], 'PEM');
    assert.ok(!JSON.stringify(data).includes('canary'));
    assert.deepEqual(await resolved(api.serviceName), { value: 'operations-api', secret: false });
  });

  it('generates the keys once, keeps them, and hands out secrets only as secrets', async () => {
    const { recording } = await make();
    for (const name of ['operations-api-encryption-key', 'operations-api-passphrase']) {
      assert.equal((await recording.find(name)).protect, true, name);
    }
    assert.deepEqual((await recording.find('operations-api-encryption-key')).inputs, { length: 32 });
    const { data } = (await recording.find('operations-api-keys')).inputs as Wire;
    const encoded = (text: string) => ({ secret: Buffer.from(text).toString('base64') });
    assert.deepEqual(data, {
      secret: {
        API_ENCRYPTION_KEY: Buffer.from(BYTES).toString('base64'),
        API_STATE_PASSPHRASE: encoded('p'.repeat(48)).secret,
        DATABASE_ADMIN_PASSWORD: encoded('canary-password').secret,
        DATABASE_ADMIN_USERNAME: encoded('admin').secret,
      },
    });
  });

  it('sends spans where it is told to, and else nowhere', async () => {
    const endpointOf = async (args?: OperationsApiArguments) =>
      (await podOf(args)).spec.containers[0].env.find(({ name }: Wire) => name === 'OTEL_EXPORTER_OTLP_ENDPOINT')
        ?.value;
    assert.equal(await endpointOf(), undefined);
    const tracesEndpoint = 'http://collector.monitoring:4318';
    assert.equal(await endpointOf({ ...valid(), tracesEndpoint }), tracesEndpoint);
    await assert.rejects(make({ ...valid(), tracesEndpoint: 'collector' }), /tracesEndpoint: "collector" is not a URL/);
  });

  it('lets the keys go where nothing is protected', async () => {
    const { recording } = await make({ ...valid(), protect: false });
    assert.equal((await recording.registrations()).filter((one) => one.protect).length, 0);
  });

  it('runs two replicas that are never both away, unprivileged, with the token of their account', async () => {
    const { recording } = await make();
    const deployment = await recording.find('operations-api-deployment');
    const { spec } = deployment.inputs as Wire;
    assert.equal(spec.replicas, 2);
    assert.deepEqual(spec.strategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
    const pod = spec.template.spec;
    assert.equal(pod.automountServiceAccountToken, true);
    assert.equal(pod.serviceAccountName, 'operations-api');
    assert.equal(pod.securityContext.runAsNonRoot, true);
    assert.equal(pod.terminationGracePeriodSeconds, 60);
    assert.equal(pod.topologySpreadConstraints[0].topologyKey, 'kubernetes.io/hostname');
    const [server] = pod.containers;
    assert.equal(server.image, IMAGE);
    assert.deepEqual(server.lifecycle, { preStop: { sleep: { seconds: 5 } } });
    assert.equal(server.securityContext.readOnlyRootFilesystem, true);
    assert.equal(server.readinessProbe.httpGet.path, '/readyz');
    assert.equal(server.livenessProbe.httpGet.path, '/healthz');
    assert.deepEqual(
      server.envFrom.map((one: Wire) => one.secretRef.name),
      ['connection', 'operations-api-keys'],
    );
    const variables = Object.fromEntries(server.env.map(({ name, value }: Wire) => [name, value]));
    assert.equal(variables.API_SETTINGS_FILE, '/etc/operations-api/settings.json');
    assert.match(variables.PULUMI_HOME, /^\/tmp\//);
    const mounts = Object.fromEntries(server.volumeMounts.map((one: Wire) => [one.name, one.mountPath]));
    assert.deepEqual(mounts, { tmp: '/tmp', settings: '/etc/operations-api', postgres: '/etc/postgres' });
    assert.deepEqual(pod.volumes[0], { name: 'tmp', emptyDir: { medium: 'Memory', sizeLimit: '256Mi' } });
    assert.ok(deployment.dependencies.includes('operations-api-tenants'), 'waits for its rights');
    const budget = (await recording.find('operations-api', 'PodDisruptionBudget')).inputs as Wire;
    assert.equal(budget.spec.maxUnavailable, 1);
  });

  it('rolls out when settings, certificates or the administrator change, and only then', async () => {
    const digest = async (args: OperationsApiArguments) => {
      const { annotations } = (await podOf(args)).metadata;
      return annotations['development-operations/configuration-checksum'];
    };
    const first = await digest(valid());
    assert.equal(await digest(valid()), first);
    const { settings } = valid();
    const changed: OperationsApiArguments[] = [
      { ...valid(), settings: { ...settings, concurrency: 3 } },
      { ...valid(), certificates: { 'i.crt': 'another' } },
      { ...valid(), administrators: { dev: { username: 'admin', password: 'another' } } },
    ];
    for (const args of changed) assert.notEqual(await digest(args), first);
  });

  it('may write Secrets in the namespaces of the settings, and neither list them nor do anything else', async () => {
    const { recording } = await make();
    const roles = (await recording.registrations()).filter((one) => one.type.endsWith(':Role'));
    assert.deepEqual(
      roles.map(({ inputs }) => (inputs as Wire).metadata.namespace),
      ['dev', 'tenants'],
    );
    for (const { inputs } of roles) {
      assert.deepEqual((inputs as Wire).rules, [
        { apiGroups: [''], resources: ['secrets'], verbs: ['create', 'delete', 'get', 'patch'] },
      ]);
    }
    const bindings = (await recording.registrations()).filter((one) => one.type.endsWith(':RoleBinding'));
    assert.equal(bindings.length, 2);
    for (const { inputs } of bindings) {
      assert.deepEqual((inputs as Wire).subjects, [
        { kind: 'ServiceAccount', name: 'operations-api', namespace: 'dev' },
      ]);
    }
  });

  it('names every invalid argument at once', () => {
    const { settings } = valid();
    const environment = settings.environments.dev as NonNullable<(typeof settings.environments)['dev']>;
    const found = findingsOf(
      () =>
        new OperationsApi('Operations', {
          ...valid(),
          image: 'r.example.com/operations-api:latest',
          replicas: 1,
          clients: {},
          temporaryMemory: '1.5 GB',
          administrators: { other: { username: 'a', password: 'b' } },
          certificates: { 'settings.json': 'x' },
          settings: {
            ...settings,
            namespaces: ['dev', 'dev'],
            environments: { dev: { ...environment, passwordVariable: 'PGPASSWORD' } },
            issuers: [
              {
                issuer: 'http://issuer.example.com',
                audience: '',
                rules: [{ claims: {}, scopes: ['prod:read', 'dev:write'], namespaces: [] }],
              },
            ],
          },
        }),
    );
    const paths = found.map((line) => line.slice(0, line.indexOf(': ')));
    assert.deepEqual(paths, [
      'name',
      'replicas',
      'image',
      'temporaryMemory',
      'settings.namespaces[1]',
      'administrators.dev',
      'settings.environments.dev.passwordVariable',
      'administrators.other',
      'settings.issuers[0].issuer',
      'settings.issuers[0].audience',
      'settings.issuers[0].rules[0].claims',
      'settings.issuers[0].rules[0].scopes',
      'settings.issuers[0].rules[0].scopes',
      'certificates.settings.json',
      'clients',
    ]);
  });
});

describe('networkRules', () => {
  const input = { clients: { app: 'gateway' }, port: 8080, metricsPort: 9464, destinations: [] };

  it('lets in the gateway and, for metrics alone, the monitoring namespace', () => {
    const { ingress } = networkRules(input) as Wire;
    assert.deepEqual(ingress, [
      { from: [{ podSelector: { matchLabels: { app: 'gateway' } } }], ports: [{ port: 8080, protocol: 'TCP' }] },
      {
        from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
        ports: [{ port: 9464, protocol: 'TCP' }],
      },
    ]);
  });

  it('lets out to each address at its ports only, and for names to any address', () => {
    const destinations = [
      { host: '10.0.0.7', port: 5432 },
      { host: 'fd00::1', port: 443 },
      { host: 'issuer.example.com', port: 8443 },
      { host: '10.0.0.7', port: 443 },
    ];
    const { egress } = networkRules({ ...input, destinations }) as Wire;
    assert.deepEqual(egress.slice(2), [
      { ports: [{ port: 8443, protocol: 'TCP' }] },
      {
        to: [{ ipBlock: { cidr: '10.0.0.7/32' } }],
        ports: [
          { port: 443, protocol: 'TCP' },
          { port: 5432, protocol: 'TCP' },
        ],
      },
      { to: [{ ipBlock: { cidr: 'fd00::1/128' } }], ports: [{ port: 443, protocol: 'TCP' }] },
    ]);
  });

  it('does not depend on the order of the destinations', () => {
    const destination = fc.record({ host: fc.ipV4(), port: fc.integer({ min: 1, max: 65535 }) });
    holds(
      fc.property(fc.array(destination, { maxLength: 8 }), (destinations) => {
        const reversed = [...destinations].reverse();
        assert.deepEqual(networkRules({ ...input, destinations: reversed }), networkRules({ ...input, destinations }));
      }),
    );
  });
});

describe('DatabaseAdministrator', () => {
  it('may make databases and roles, and is no superuser', async () => {
    const recording = await record();
    const administrator = new DatabaseAdministrator('admin', { role: 'operations_dev_admin' });
    const { inputs } = await recording.find('admin-role');
    assert.equal(inputs.name, 'operations_dev_admin');
    assert.equal(inputs.createRole, true);
    assert.equal(inputs.createDatabase, true);
    assert.notEqual(inputs.superuser, true);
    assert.deepEqual(inputs.password, { secret: 'p'.repeat(32) });
    assert.deepEqual(await resolved(administrator.password), { value: 'p'.repeat(32), secret: true });
    assert.deepEqual(await resolved(administrator.username), { value: 'operations_dev_admin', secret: false });
  });
});
