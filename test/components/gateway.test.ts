import assert from 'node:assert/strict';
import * as pulumi from '@pulumi/pulumi';
import { Gateway, type GatewayArguments, type GatewayRoute } from '../../components/gateway/gateway.ts';
import { findingsOf, type Recording, record, resolved } from './mocks.ts';

/** A self-signed certificate for nothing: what the checks need is that it can be read. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBdjCCARugAwIBAgIUdLF7jD7jyqXJnYmsipjZ1KLEy5gwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjQyMzEwMzdaGA8yMTI2MTAzMTIzMTAz
N1owDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPfG
OM/NzVqPbwWRIlpR2WkVMlhkq9rjdzcCEwdQsL1iKPRCbvqUcgu19WJqqCGcPV8W
Gf9qVY6Hn16XPXGsabejUzBRMB0GA1UdDgQWBBQrlqz7nJX+7SaBS0RyScklbdzG
LzAfBgNVHSMEGDAWgBQrlqz7nJX+7SaBS0RyScklbdzGLzAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0kAMEYCIQDZ1VeTugnVo5lyxf98Cum6IVx4k6wdZ74A
yG2RpGSzBgIhAK6/SM7V3wLanKDhVLOAvD8lM6x8IK3cBCi+ih0kFWSJ
-----END CERTIFICATE-----
`;
const USERS = `someone:$2y$10$${'a'.repeat(53)}\n`;

const open: GatewayRoute = {
  name: 'api',
  host: 'api.example.com',
  service: { name: 'api', port: 80 },
  authentication: { type: 'none' },
};

const args: GatewayArguments = {
  namespace: pulumi.output('edge'),
  image: 'registry.example.com/nginx:1',
  routes: [open],
  tls: { certificate: CERTIFICATE, privateKey: pulumi.secret('private') },
};

const full: GatewayArguments = {
  ...args,
  routes: [
    { ...open, authentication: { type: 'oidc', scopes: ['dev:read'] } },
    { ...open, name: 'files', path: '/files', authentication: { type: 'basic', users: pulumi.output(USERS) } },
    {
      ...open,
      name: 'backup',
      path: '/backup',
      authentication: { type: 'mutualTls', certificateAuthority: pulumi.output(CERTIFICATE) },
    },
    {
      ...open,
      name: 'kubernetes',
      host: 'kubernetes.example.com',
      service: {
        name: 'kubernetes',
        namespace: 'default',
        port: 443,
        scheme: 'https',
        certificateAuthority: 'cluster',
      },
      streaming: true,
    },
  ],
  authenticator: { image: 'registry.example.com/api@sha256:1', settings: '{}', files: { 'ca.crt': CERTIFICATE } },
  imagePullSecrets: ['pull'],
  trustedProxies: ['10.0.0.0/8'],
  replicas: 3,
};

/** The value at a path of nested records and lists. */
function at(value: unknown, ...path: (string | number)[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown>)?.[key], value);
}

async function started(changed: Partial<GatewayArguments> = {}): Promise<Recording> {
  const recording = await record();
  new Gateway('gateway', { ...args, ...changed });
  return recording;
}

describe('Gateway', () => {
  it('is a Deployment whose pods are checked before they serve, and drained before they end', async () => {
    const recording = await started();
    const { inputs, parent, createTimeout } = await recording.find('gateway-deployment');
    assert.deepEqual([parent, createTimeout], ['gateway', '300s']);
    assert.equal(at(inputs, 'spec', 'replicas'), 2);
    assert.deepEqual(at(inputs, 'spec', 'strategy', 'rollingUpdate'), { maxSurge: 1, maxUnavailable: 0 });
    const pod = at(inputs, 'spec', 'template', 'spec');
    const configuration = at((await recording.find('gateway-configuration')).inputs, 'metadata', 'name');
    assert.equal(at(pod, 'volumes', 1, 'configMap', 'name'), configuration);
    assert.equal(at(pod, 'automountServiceAccountToken'), false);
    assert.deepEqual(
      [at(pod, 'securityContext', 'runAsNonRoot'), at(pod, 'securityContext', 'runAsUser')],
      [true, 101],
    );
    assert.equal(at(pod, 'initContainers', 'length'), 1);
    assert.match(String(at(pod, 'initContainers', 0, 'command', 2)), /nginx -e stderr -c \S+nginx\.conf -t$/);
    assert.deepEqual(at(pod, 'initContainers', 0, 'volumeMounts'), at(pod, 'containers', 0, 'volumeMounts'));
    assert.equal(at(pod, 'initContainers', 0, 'image'), at(pod, 'containers', 0, 'image'));
    for (const container of [at(pod, 'initContainers', 0), at(pod, 'containers', 0)]) {
      assert.equal(at(container, 'securityContext', 'readOnlyRootFilesystem'), true);
      assert.deepEqual(at(container, 'securityContext', 'capabilities'), { drop: ['ALL'] });
    }
    const hook = String(at(pod, 'containers', 0, 'lifecycle', 'preStop', 'exec', 'command', 2));
    assert.match(hook, /^sleep 5; nginx .* -s quit; while \[ -f \S+nginx\.pid \]/);
    assert.ok(Number(at(pod, 'terminationGracePeriodSeconds')) >= 5 + 45);
    assert.equal(at(pod, 'topologySpreadConstraints', 0, 'topologyKey'), 'kubernetes.io/hostname');
  });

  it('has a Service, a budget, an account without token, and a policy', async () => {
    const recording = await record();
    const gateway = new Gateway('gateway', args);
    const labels = {
      'app.kubernetes.io/component': 'gateway',
      'app.kubernetes.io/instance': 'gateway',
      'app.kubernetes.io/name': 'gateway',
    };
    assert.deepEqual((await recording.find('gateway-service')).inputs.spec, {
      type: 'ClusterIP',
      selector: labels,
      ports: [
        { name: 'https', port: 443, protocol: 'TCP', targetPort: 'https' },
        { name: 'https-proxy', port: 8444, protocol: 'TCP', targetPort: 'https-proxy' },
      ],
    });
    assert.deepEqual((await recording.find('gateway-disruption')).inputs.spec, {
      maxUnavailable: 1,
      selector: { matchLabels: labels },
    });
    assert.equal((await recording.find('gateway-account')).inputs.automountServiceAccountToken, false);
    const { spec } = (await recording.find('gateway-network')).inputs;
    assert.deepEqual(at(spec, 'policyTypes'), ['Ingress', 'Egress']);
    assert.deepEqual(
      at(spec, 'egress', 1, 'to', 0, 'namespaceSelector', 'matchLabels', 'kubernetes.io/metadata.name'),
      'edge',
    );
    assert.deepEqual(await resolved(gateway.serviceName), { value: 'gateway', secret: false });
    assert.deepEqual(gateway.selectorLabels, labels);
    assert.deepEqual(gateway.hosts, ['api.example.com']);
    assert.equal((await recording.registrations()).filter(({ parent }) => parent === 'gateway').length, 7);
  });

  it('mounts for each container only what it needs', async () => {
    const recording = await started(full);
    const pod = at((await recording.find('gateway-deployment')).inputs, 'spec', 'template', 'spec');
    const mounted = (kind: string, index: number) =>
      (at(pod, kind, index, 'volumeMounts') as { name: string }[]).map(({ name }) => name);
    assert.deepEqual(mounted('containers', 0), ['temporary', 'configuration', 'tls', 'verified', 'users', 'cluster']);
    const volumes = at(pod, 'volumes') as { name: string; emptyDir?: object }[];
    const verified = volumes.find(({ name }) => name === 'verified');
    assert.deepEqual(verified?.emptyDir, { medium: 'Memory', sizeLimit: '32Mi' }, 'tokens reach no disk');
    assert.deepEqual(mounted('initContainers', 1), ['settings', 'authenticator-temporary']);
    assert.equal(at(pod, 'initContainers', 1, 'restartPolicy'), 'Always');
    assert.deepEqual(at(pod, 'initContainers', 1, 'env'), [
      { name: 'API_SETTINGS_FILE', value: '/etc/operations-api/settings.json' },
    ]);
    assert.deepEqual(at(pod, 'imagePullSecrets'), [{ name: 'pull' }]);
    const { data } = (await recording.find('gateway-configuration')).inputs;
    assert.deepEqual(Object.keys(data as object).sort(), ['clients-backup.crt', 'nginx.conf']);
    assert.match(String(at(data, 'nginx.conf')), /set \$gateway_service api\.edge\.svc\.cluster\.local;/);
    assert.match(String(at(data, 'nginx.conf')), /set_real_ip_from 10\.0\.0\.0\/8;/);
    const settings = (await recording.find('gateway-authenticator')).inputs.data;
    assert.deepEqual(settings, { 'ca.crt': CERTIFICATE, 'settings.json': '{}' });
    assert.deepEqual(at((await recording.find('gateway-network')).inputs, 'spec', 'policyTypes'), ['Ingress']);
    assert.equal((await recording.registrations()).filter(({ parent }) => parent === 'gateway').length, 9);
  });

  it('gives a token to the authenticator alone, and only when it is asked to', async () => {
    const authenticator = { image: 'x', settings: '{}', serviceAccountToken: true };
    const recording = await started({ authenticator });
    const pod = at((await recording.find('gateway-deployment')).inputs, 'spec', 'template', 'spec');
    const has = (container: unknown) => JSON.stringify(container).includes('/var/run/secrets/kubernetes.io');
    assert.deepEqual([has(at(pod, 'containers', 0)), has(at(pod, 'initContainers', 0))], [false, false]);
    assert.ok(has(at(pod, 'initContainers', 1)));
    const other = (await (await started(full)).find('gateway-deployment')).inputs;
    assert.ok(!has(other));
  });

  it('mounts immutable objects that the provider names, so that other content is another object', async () => {
    const named = (inputs: Record<string, unknown>) => ({
      ...inputs,
      metadata: { name: `n-${inputs.type ?? Object.keys(inputs.data as object)}` },
    });
    const outputs = { 'kubernetes:core/v1:ConfigMap': named, 'kubernetes:core/v1:Secret': named };
    const recording = await record({ outputs });
    new Gateway('gateway', full);
    for (const child of ['gateway-configuration', 'gateway-tls', 'gateway-users', 'gateway-authenticator']) {
      const { inputs } = await recording.find(child);
      assert.deepEqual([at(inputs, 'immutable'), at(inputs, 'metadata', 'name')], [true, undefined], child);
    }
    const { inputs, dependencies } = await recording.find('gateway-deployment');
    const volumes = at(inputs, 'spec', 'template', 'spec', 'volumes') as Record<string, unknown>[];
    const name = (volume: string) => JSON.stringify(volumes.find((one) => one.name === volume));
    assert.match(name('configuration'), /"n-clients-backup.crt,nginx.conf"/);
    assert.match(name('tls'), /"n-kubernetes.io\/tls"/);
    assert.match(name('users'), /"n-Opaque"/);
    assert.match(name('settings'), /"n-ca.crt,settings.json"/);
    for (const child of [
      'gateway-configuration',
      'gateway-tls',
      'gateway-users',
      'gateway-authenticator',
      'gateway-account',
    ])
      assert.ok(dependencies.includes(child), child);
  });

  it('keeps key and users secret, and nothing else', async () => {
    const recording = await started(full);
    const encoded = (text: string) => Buffer.from(text).toString('base64');
    const tls = await recording.find('gateway-tls');
    assert.equal(at(tls.inputs, 'type'), 'kubernetes.io/tls');
    // The SDK marks the whole of a Secret's data.
    const secret = { 'tls.crt': encoded(CERTIFICATE), 'tls.key': encoded('private') };
    assert.deepEqual(tls.inputs.data, { secret });
    const users = (await recording.find('gateway-users')).inputs.data;
    assert.deepEqual(users, { secret: { 'users-files': encoded(USERS) } });
    for (const { name, inputs } of await recording.registrations()) {
      if (!['gateway-tls', 'gateway-users'].includes(name))
        assert.ok(!/"secret":[{"]/.test(JSON.stringify(inputs).replaceAll('"secret":{"defaultMode"', '')), name);
    }
  });

  it('refuses every invalid argument at once', () => {
    const found = findingsOf(
      () =>
        new Gateway('Gateway', {
          ...args,
          routes: [{ ...open, host: 'a b', authentication: { type: 'basic', users: 'someone:plain-password' } }],
          tls: { certificate: 'none', privateKey: 'none' },
          trustedProxies: ['everyone'],
          replicas: 0,
          userId: 0,
          drainSeconds: -1,
          shutdownSeconds: 0.5,
          clusterDomain: 'a;b',
          authenticator: { image: 'x', settings: '{}', files: { '../x': '' } },
        }),
    );
    assert.deepEqual(
      found.map((line) => line.split(': ')[0]),
      [
        'name',
        'routes[0].host',
        'routes[0].authentication.users',
        'tls.certificate',
        'tls.privateKey',
        'trustedProxies[0]',
        'replicas',
        'userId',
        'drainSeconds',
        'shutdownSeconds',
        'clusterDomain',
        'authenticator.files',
      ],
    );
    assert.ok(!found.join().includes('plain-password'));
  });
});
