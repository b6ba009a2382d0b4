import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { isTunnel } from '../../components/loadBalancer/observe.ts';
import {
  CURES,
  explainLack,
  lacking,
  type Observation,
  type ObservedNode,
  PROFILES,
  type WantedService,
} from '../../components/loadBalancer/profiles.ts';
import { holds } from '../holds.ts';

const WANTED: WantedService = { namespace: 'local', name: 'gateway', ports: [443, 8444] };
const node = (providerId: string, more: Partial<ObservedNode> = {}): ObservedNode => ({
  name: 'one',
  providerId,
  labels: {},
  uninitialized: false,
  ...more,
});
const addressed = (namespace: string, name: string, ...ports: number[]) => ({
  namespace,
  name,
  ports,
  addressed: true,
});
const minikube = node('', { labels: { 'minikube.k8s.io/name': 'minikube' } });

describe('load balancer, preflight', () => {
  const reasons = (profile: (typeof PROFILES)[number], observed: Observation) =>
    lacking(profile, WANTED, observed).map(({ reason }) => reason);

  it('finds nothing where nothing could be seen', () => {
    for (const profile of PROFILES) assert.deepEqual(reasons(profile, {}), [], profile);
  });

  it('misses the tunnel of minikube', () => {
    const observed = { nodes: [minikube], services: [], tunnel: false };
    assert.match(reasons('minikube', observed)[0] ?? '', /"minikube tunnel" does not run/);
    assert.match(lacking('minikube', WANTED, observed)[0]?.cure ?? '', /run "minikube tunnel"/);
    assert.deepEqual(reasons('minikube', { ...observed, tunnel: true }), []);
    // It may run elsewhere: other Services have an address.
    assert.deepEqual(reasons('minikube', { ...observed, services: [addressed('a', 'b', 80)] }), []);
    // The Service itself does not count.
    assert.equal(reasons('minikube', { ...observed, services: [addressed('local', 'gateway', 443)] }).length, 1);
  });

  it('misses cloud-provider-kind', () => {
    const nodes = [node('kind://docker/kind/kind-control-plane')];
    assert.match(reasons('kind', { nodes, cloudProviderKind: false })[0] ?? '', /cloud-provider-kind does not run/);
    assert.deepEqual(reasons('kind', { nodes, cloudProviderKind: true }), []);
  });

  it('finds who has the ports on k3s', () => {
    const nodes = [node('k3s://one')];
    const traefik = lacking('k3s', WANTED, { nodes, services: [addressed('kube-system', 'traefik', 80, 443)] });
    assert.match(traefik[0]?.reason ?? '', /kube-system\/traefik has port 443/);
    assert.match(traefik[0]?.cure ?? '', /--disable=traefik/);
    assert.match(reasons('k3s', { nodes, services: [addressed('a', 'b', 443, 8444)] })[0] ?? '', /port 443 and 8444/);
    assert.deepEqual(
      reasons('k3s', { nodes, services: [addressed('a', 'b', 80), addressed('local', 'gateway', 443)] }),
      [],
    );
  });

  it('says what MetalLB lacks, one step at a time', () => {
    const metallb = (installed: boolean, addressPools: number, advertisements: number) =>
      reasons('metallb', { metallb: { installed, addressPools, advertisements } });
    assert.match(metallb(false, 0, 0)[0] ?? '', /not installed/);
    assert.match(metallb(true, 0, 0)[0] ?? '', /no IPAddressPool/);
    assert.match(metallb(true, 1, 0)[0] ?? '', /neither an L2Advertisement/);
    assert.deepEqual(metallb(true, 1, 1), []);
  });

  it('knows a cloud by its nodes', () => {
    assert.deepEqual(reasons('cloud', { nodes: [node('aws:///eu-central-1a/i-0')] }), []);
    assert.match(reasons('cloud', { nodes: [node('')] })[0] ?? '', /no node has a providerID/);
    assert.match(
      reasons('cloud', { nodes: [node('gce://p/z/n', { uninitialized: true })] })[0] ?? '',
      /^one: .*not initialised/,
    );
    assert.deepEqual(reasons('cloud', { nodes: [node('kind://a/b/c')] }), ['the nodes are of kind, not of a cloud']);
  });

  it('says when the profile is of another kind of cluster', () => {
    const found = lacking('kind', WANTED, { nodes: [node('k3s://one')], cloudProviderKind: true });
    assert.equal(found[0]?.reason, 'the profile is kind, but the nodes are of k3s');
    assert.match(found[0]?.cure ?? '', /set the profile k3s/);
    assert.equal(reasons('k3s', { nodes: [minikube] })[0], 'the profile is k3s, but the nodes are of minikube');
    assert.deepEqual(reasons('k3s', { nodes: [node('')] }), []);
  });

  it('always says a reason and a cure, and names the Service', () => {
    const any = fc.record(
      {
        nodes: fc.array(
          fc.record({
            name: fc.string(),
            providerId: fc.constantFrom('', 'kind://a', 'k3s://a', 'aws://a', 'nonsense'),
            labels: fc.constantFrom<Record<string, string>>({}, { 'minikube.k8s.io/name': 'x' }),
            uninitialized: fc.boolean(),
          }),
        ),
        metallb: fc.record({ installed: fc.boolean(), addressPools: fc.nat(2), advertisements: fc.nat(2) }),
        tunnel: fc.boolean(),
        cloudProviderKind: fc.boolean(),
      },
      { requiredKeys: [] },
    );
    holds(
      fc.property(fc.constantFrom(...PROFILES), any, (profile, observed) => {
        const text = explainLack(profile, WANTED, lacking(profile, WANTED, observed));
        return text.startsWith(`Service local/gateway (profile ${profile}):\n  - `) && text.includes('\n    cure: ');
      }),
    );
    assert.ok(explainLack('metallb', WANTED, []).includes(CURES.metallb.cure));
  });

  it('knows the tunnel by its command', () => {
    assert.ok(isTunnel(['/usr/local/bin/minikube', '-p', 'two', 'tunnel']));
    assert.ok(isTunnel(['sudo', 'minikube', 'tunnel', '']));
    assert.ok(isTunnel(['./minikube-linux-amd64', 'tunnel']));
    for (const other of [
      ['minikube', 'start'],
      ['grep', 'minikube'],
      ['tunnel', 'minikube'],
      ['vim', 'minikube.txt', 'tunnel'],
    ]) {
      assert.equal(isTunnel(other), false, other.join(' '));
    }
  });
});
