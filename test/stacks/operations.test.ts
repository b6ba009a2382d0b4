import assert from 'node:assert/strict';
import { findingsOf } from '../components/mocks.ts';
import { type Configuration, project, read, valid } from './source.ts';

/** A configuration with the gateway, the load balancer and the operations API. */
function whole(): Configuration {
  return {
    ...valid(),
    gateway: {
      host: 'operations.example.com',
      certificateFile: 'tls.crt',
      keyFile: 'tls.key',
      routes: {
        orders: { host: 'orders.example.com', application: 'orders', authentication: { type: 'none' } },
        staff: {
          host: 'staff.example.com',
          application: 'orders',
          authentication: { type: 'basic', usersFile: 'users' },
        },
      },
    },
    loadBalancer: { profile: 'cloud', outer: { listenAddress: '192.0.2.1' } },
    operationsApi: {
      issuers: [
        {
          issuer: 'https://issuer.example.com',
          audience: 'operations',
          certificateAuthorityFile: 'ca.pem',
          rules: [{ claims: { sub: 'ci' }, actions: ['plan'] }],
        },
      ],
    },
  };
}

describe('the configuration of gateway, load balancer and operations API', () => {
  let folder: ReturnType<typeof project>;
  before(() => {
    const files = { 'tls.crt': 'CERTIFICATE', 'tls.key': 'canary-key', users: 'canary-users', 'ca.pem': 'AUTHORITY' };
    folder = project({ ...files, 'orders/x': '' });
  });
  after(() => folder.remove());

  const findings = (change: (configuration: Configuration) => void): string[] => {
    const configuration = whole();
    change(configuration);
    return findingsOf(() => read(configuration, folder.root)).map((line) =>
      line.replace(/^development-operations:/, ''),
    );
  };

  it('is completed with its defaults', () => {
    const { gateway, loadBalancer, operationsApi } = read(whole(), folder.root).configuration;
    assert.equal(gateway?.image, 'docker.io/nginxinc/nginx-unprivileged:stable');
    assert.equal(gateway?.replicas, 2);
    assert.equal(gateway?.kubernetesApi, undefined, 'off by default');
    assert.deepEqual(loadBalancer?.outer, { listenAddress: '192.0.2.1', httpsPort: 443, httpPort: 80 });
    assert.equal(operationsApi?.replicas, 2);
    assert.equal(operationsApi?.protect, true);
    assert.deepEqual(operationsApi?.issuers[0]?.rules[0]?.namespaces, []);
  });

  it('is off without the sections', () => {
    const { configuration, files } = read(valid(), folder.root);
    assert.equal(configuration.operationsApi, undefined);
    assert.deepEqual(files.operations, { tls: undefined, routes: {}, issuers: {} });
  });

  it('reads the files that it names', () => {
    const { operations } = read(whole(), folder.root).files;
    assert.deepEqual(operations, {
      tls: { certificate: 'CERTIFICATE', privateKey: 'canary-key' },
      routes: { staff: 'canary-users' },
      issuers: { 0: 'AUTHORITY' },
    });
  });

  it('names what is missing beside a section', () => {
    const without = (key: string) => findings((configuration) => delete configuration[key]);
    assert.deepEqual(without('gateway'), [
      'gateway: is missing, and the load balancer leads to it: expected a mapping',
      'gateway: is missing: only through it is the operations API reached',
    ]);
    const found = findings((configuration) => {
      delete configuration.database;
      configuration.operationsApi.issuers = [];
      configuration.loadBalancer.profile = 'nodePort';
    });
    assert.deepEqual(
      found.map((line) => line.slice(0, line.indexOf(': '))),
      ['operationsApi.issuers', 'database', 'loadBalancer.nodeAddress'],
    );
  });

  it('reports every wrong value, and none of their contents', () => {
    const found = findings(({ gateway, loadBalancer, operationsApi }) => {
      gateway.routes.orders.application = 'order';
      gateway.routes.staff.authentication = { type: 'password', usersFile: 'users' };
      gateway.keyFile = 'nowhere';
      loadBalancer.profile = 'aws';
      operationsApi.replicas = 1;
      operationsApi.tracesEndpoint = 'collector:4318';
      operationsApi.issuers[0].issuer = 'http://issuer.example.com';
      operationsApi.issuers[0].rules[0].actions = ['write'];
    });
    const expected = [
      /^gateway\.routes\.staff\.authentication\.type: expected a mapping with "type": one of "none", "basic", "oidc", "mutualTls"/,
      /^loadBalancer\.profile: /,
      /^operationsApi\.replicas: .*from 2 to 100/,
      /^operationsApi\.tracesEndpoint: .*http:\/\//,
      /^operationsApi\.issuers\[0\]\.issuer: .*https:\/\//,
      /^operationsApi\.issuers\[0\]\.rules\[0\]\.actions\[0\]: .*"read", "plan", "apply", "admin"/,
      /^gateway\.routes\.orders\.application: names no application "order": expected one of orders/,
      /^gateway\.keyFile: cannot read "nowhere"/,
    ];
    for (const pattern of expected)
      assert.ok(
        found.some((line) => pattern.test(line)),
        `${pattern} in\n${found.join('\n')}`,
      );
    assert.equal(found.length, expected.length, found.join('\n'));
    assert.ok(!found.join().includes('canary'));
  });

  it('refuses names that two would have', () => {
    const found = findings((configuration) => {
      configuration.applications['operations-api'] = { path: 'orders', database: { name: 'operations_dev' } };
      configuration.gateway.routes.orders.host = 'operations.example.com';
    });
    assert.ok(found.some((line) => /application "operations-api" is already that of .*operationsApi/.test(line)));
    assert.ok(found.some((line) => /database "operations_dev" is already that of .*operationsApi/.test(line)));
    assert.ok(found.some((line) => /^gateway\.routes\.orders\.host: .*is the host of the operations API/.test(line)));
  });

  it('wants the authenticator where a route asks for tokens', () => {
    const found = findings((configuration) => {
      delete configuration.operationsApi;
      configuration.gateway.routes.orders.authentication = { type: 'oidc' };
    });
    assert.match(found.join('\n'), /^gateway\.routes\.orders\.authentication: needs "operationsApi"/);
  });
});
