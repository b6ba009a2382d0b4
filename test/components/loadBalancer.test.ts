import assert from 'node:assert/strict';
import { LoadBalancer, type LoadBalancerArguments } from '../../components/loadBalancer/loadBalancer.ts';
import { renderOuterNginx } from '../../components/loadBalancer/outerNginx.ts';
import { findingsOf, record, resolved } from './mocks.ts';

const OUTER = { listenAddress: '127.0.0.1', httpsPort: 18443, httpPort: 18080 };
const ARGS: LoadBalancerArguments = {
  profile: 'local',
  namespace: 'dev',
  selector: { app: 'gateway' },
  hosts: ['localhost'],
  outer: OUTER,
};
const SERVICE = 'kubernetes:core/v1:Service';
const balanced = (ingress: object) => ({ [SERVICE]: () => ({ status: { loadBalancer: { ingress: [ingress] } } }) });

describe('LoadBalancer', () => {
  it('is a Service for both ports, waited for only so long', async () => {
    const recording = await record({ outputs: balanced({ ip: '172.31.241.2' }) });
    const balancer = new LoadBalancer('gateway', { ...ARGS, annotations: { a: 'b' }, timeoutSeconds: 45 });
    const service = await recording.find('gateway-service');
    assert.equal(service.type, SERVICE);
    assert.equal(service.parent, 'gateway');
    assert.equal(service.createTimeout, '45s');
    assert.deepEqual(service.inputs.metadata, {
      name: 'gateway',
      namespace: 'dev',
      labels: {},
      annotations: { a: 'b' },
    });
    assert.deepEqual(service.inputs.spec, {
      type: 'LoadBalancer',
      selector: { app: 'gateway' },
      externalTrafficPolicy: 'Cluster',
      ports: [
        { name: 'https', port: 443, targetPort: 8443, protocol: 'TCP' },
        { name: 'https-proxy', port: 8444, targetPort: 8444, protocol: 'TCP' },
      ],
    });
    assert.equal((await recording.find('gateway')).type, 'development-operations:loadBalancer:LoadBalancer');
    assert.deepEqual(await resolved(balancer.address), { value: '172.31.241.2', secret: false });
    assert.equal((await resolved(balancer.proxiedPort)).value, 8444);
    assert.equal((await resolved(balancer.url)).value, 'https://localhost:18443');
    const route = { hosts: ['localhost'], address: '172.31.241.2', port: 8444 };
    assert.equal((await resolved(balancer.outerConfiguration)).value, renderOuterNginx(OUTER, [route]));
  });

  it('takes the DNS name that a cloud gives', async () => {
    await record({ outputs: balanced({ hostname: 'lb.example.test' }) });
    const { outer: _outer, ...without } = ARGS;
    const balancer = new LoadBalancer('gateway', { ...without, profile: 'cloud', hosts: ['*.api.test', 'api.test'] });
    assert.equal((await resolved(balancer.address)).value, 'lb.example.test');
    assert.equal((await resolved(balancer.url)).value, 'https://api.test');
    assert.equal((await resolved(balancer.outerConfiguration)).value, undefined);
  });

  it('limits who may connect, in a stable order', async () => {
    const recording = await record();
    new LoadBalancer('gateway', {
      ...ARGS,
      sourceRanges: ['10.2.0.0/16', '10.1.0.0/16'],
      externalTrafficPolicy: 'Local',
    });
    const spec = (await recording.find('gateway-service')).inputs.spec as Record<string, unknown>;
    assert.deepEqual(spec.loadBalancerSourceRanges, ['10.1.0.0/16', '10.2.0.0/16']);
    assert.equal(spec.externalTrafficPolicy, 'Local');
  });

  it('uses ports of the nodes where there is no load balancer', async () => {
    const ports = [
      { port: 443, nodePort: 30443 },
      { port: 8444, nodePort: 30444 },
    ];
    const recording = await record({ outputs: { [SERVICE]: () => ({ spec: { ports } }) } });
    const balancer = new LoadBalancer('gateway', { ...ARGS, profile: 'nodePort', nodeAddress: '192.168.49.2' });
    assert.equal(((await recording.find('gateway-service')).inputs.spec as { type: string }).type, 'NodePort');
    assert.equal((await resolved(balancer.address)).value, '192.168.49.2');
    assert.equal((await resolved(balancer.proxiedPort)).value, 30444);
    assert.match(String((await resolved(balancer.outerConfiguration)).value), /server 192\.168\.49\.2:30444;/);
  });

  it('has no address in the preview that makes it', async () => {
    await record({ preview: true });
    const balancer = new LoadBalancer('gateway', ARGS);
    for (const output of [balancer.address, balancer.outerConfiguration]) {
      const { value } = await resolved(output);
      assert.ok(value === undefined || value === '<unknown>', String(value));
    }
  });

  it('names every wrong argument at once', async () => {
    await record();
    const wrong = {
      ...ARGS,
      profile: 'gcp' as 'cloud',
      selector: {},
      hosts: ['a;b'],
      https: { port: 8444, targetPort: 0 },
      timeoutSeconds: 0,
      outer: { ...OUTER, httpPort: 18443 },
    };
    const found = findingsOf(() => new LoadBalancer('Gateway', wrong)).map((line) => line.split(':')[0]);
    assert.deepEqual(found, [
      'name',
      'profile',
      'selector',
      'https.targetPort',
      'proxied.port',
      'timeoutSeconds',
      'outer.httpPort',
      'hosts[0]',
    ]);
    const missing = findingsOf(() => new LoadBalancer('gateway', { ...ARGS, profile: 'nodePort' }));
    assert.match(missing[0] ?? '', /^nodeAddress: is missing/);
  });
});
