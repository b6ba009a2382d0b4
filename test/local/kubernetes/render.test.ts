import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { renderAuditPolicy, renderAuthentication, renderEncryption } from '../../../local/kubernetes/apiServer.ts';
import { assertMountable, renderContainerd, renderRegistryHosts } from '../../../local/kubernetes/containerd.ts';
import { renderKubeconfig } from '../../../local/kubernetes/kubeconfig.ts';
import { nodeHealth, renderKubelet } from '../../../local/kubernetes/kubelet.ts';
import { renderProxy } from '../../../local/kubernetes/kubeProxy.ts';
import { dnsManifests, nodeManifests, renderCorefile } from '../../../local/kubernetes/manifests.ts';
import { hostPortRules, renderCni, renderPodNat } from '../../../local/kubernetes/podNetwork.ts';
import { reachableNameservers, renderResolvConf } from '../../../local/kubernetes/resolver.ts';

describe('local/kubernetes: configuration', () => {
  it('embeds everything in a kubeconfig', () => {
    const config = parse(
      renderKubeconfig({ server: 'https://a:1', name: 'n', ca: 'CA', certificate: 'CERT', key: 'KEY' }),
    );
    const context = config.contexts[0].context;
    assert.equal(config['current-context'], config.contexts[0].name);
    assert.equal(context.cluster, config.clusters[0].name);
    assert.equal(context.user, config.users[0].name);
    assert.equal(config.clusters[0].cluster.server, 'https://a:1');
    const text = (value: string) => Buffer.from(value, 'base64').toString();
    assert.equal(text(config.clusters[0].cluster['certificate-authority-data']), 'CA');
    assert.equal(text(config.users[0].user['client-certificate-data']), 'CERT');
    assert.equal(text(config.users[0].user['client-key-data']), 'KEY');
  });

  it('lets nobody ask the kubelet without a certificate or token', () => {
    const config = parse(
      renderKubelet({
        certFile: '/c',
        keyFile: '/k',
        caFile: '/ca',
        resolvConf: '/r',
        podLogs: '/l',
        volumePlugins: '/v',
      }),
    );
    assert.deepEqual(config.authentication.anonymous, { enabled: false });
    assert.deepEqual(config.authorization, { mode: 'Webhook' });
    assert.equal(config.authentication.x509.clientCAFile, '/ca');
    assert.equal(config.cgroupDriver, 'cgroupfs');
    assert.equal(config.failSwapOn, false);
    assert.deepEqual(config.clusterDNS, ['10.96.0.10']);
    assert.equal(config.podLogsDir, '/l');
  });

  it('tells a ready node from one that is not', () => {
    const node = (status: string) =>
      JSON.stringify({ status: { conditions: [{ type: 'Ready', status, message: 'cni config uninitialized' }] } });
    assert.equal(nodeHealth(node('True')).healthy, true);
    assert.equal(nodeHealth(node('Unknown')).healthy, false);
    assert.match(nodeHealth(node('False')).detail, /cni config uninitialized/);
    assert.equal(nodeHealth('{}').healthy, false);
  });

  it('answers health checks only without authentication, and keeps bodies out of the audit log', () => {
    const { anonymous } = parse(renderAuthentication());
    assert.deepEqual(
      anonymous.conditions.map((condition: { path: string }) => condition.path),
      ['/livez', '/readyz', '/healthz'],
    );
    const levels = parse(renderAuditPolicy()).rules.map((rule: { level: string }) => rule.level);
    assert.deepEqual([...new Set(levels)].sort(), ['Metadata', 'None']);
  });

  it('encrypts Secrets first and reads plain ones', () => {
    const [resource] = parse(renderEncryption('a2V5')).resources;
    assert.deepEqual(resource.resources, ['secrets']);
    assert.deepEqual(
      resource.providers.map((provider: object) => Object.keys(provider)[0]),
      ['secretbox', 'identity'],
    );
  });

  it('quotes paths in the configuration of containerd', () => {
    const text = renderContainerd({
      root: '/a "quoted" path\\x',
      state: '/s',
      socket: '/s.sock',
      runcRoot: '/r',
      sandboxImage: 'pause:1',
      cniBinaries: '/cni',
      cniConfiguration: '/conf',
      registryHosts: '/hosts',
    });
    assert.match(text, /^version = 2$/m);
    assert.ok(text.includes('root = "/a \\"quoted\\" path\\\\x"'));
    assert.match(text, /restrict_oom_score_adj = true/);
    assert.match(text, /SystemdCgroup = false/);
    assert.match(text, /sandbox_image = "pause:1"/);
    assert.match(text, /config_path = "\/hosts"/);
  });

  it('refuses a path that the mount options of layers cannot carry', () => {
    assert.throws(() => assertMountable('/home/a,b/.local'), /path with "," in it/);
    assert.throws(() => assertMountable('/home/a:b/.local'), /path with ":" in it/);
    assertMountable('/home/a b/ü(1)/.local');
  });

  it('only pulls from the local registry, by HTTP', () => {
    const text = renderRegistryHosts('127.0.0.1:15000');
    assert.match(text, /^\[host\."http:\/\/127\.0\.0\.1:15000"\]$/m);
    assert.match(text, /capabilities = \["pull", "resolve"\]/);
  });

  it('gives pods addresses that the plugin does not hide, and hides them outside only', () => {
    const [ptp, portmap] = JSON.parse(renderCni('/leases')).plugins;
    assert.equal(ptp.ipMasq, false);
    assert.equal(ptp.ipam.dataDir, '/leases');
    assert.equal(portmap.type, 'portmap');
    assert.match(renderPodNat(), /ip saddr 10\.244\.0\.0\/16 ip daddr != \{ 10\.244\.0\.0\/16, 172\.31\.240\.0\/22 \}/);
  });

  it('finds the rules of our host ports only', () => {
    const rules = [
      '-P PREROUTING ACCEPT',
      '-N CNI-DN-aaa111',
      '-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"development-operations\\" id: \\"abc\\"" -m multiport --dports 8080 -j CNI-DN-aaa111',
      '-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"podman\\" id: \\"def\\"" -m multiport --dports 81 -j CNI-DN-bbb222',
    ].join('\n');
    const found = hostPortRules(rules);
    assert.deepEqual(found.chains, ['CNI-DN-aaa111']);
    assert.equal(found.rules.length, 1);
    assert.ok(found.rules[0]?.includes('dnat name: "development-operations" id: "abc"'));
    assert.equal(found.rules[0]?.at(-1), 'CNI-DN-aaa111');
  });

  it('removes the chains of host ports that all networks share with the last of them only', () => {
    const shared = [
      '-N CNI-HOSTPORT-DNAT',
      '-N CNI-HOSTPORT-MASQ',
      '-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT',
      '-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
      '-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE',
    ];
    const last = hostPortRules(shared.join('\n'));
    assert.deepEqual(last.chains, ['CNI-HOSTPORT-DNAT', 'CNI-HOSTPORT-MASQ']);
    assert.deepEqual(
      last.rules.map(([chain]) => chain),
      ['PREROUTING', 'POSTROUTING'],
    );
    const other = '-A CNI-HOSTPORT-DNAT -m comment --comment "dnat name: \\"podman\\" id: \\"x\\"" -j CNI-DN-bbb';
    assert.deepEqual(hostPortRules([...shared, other].join('\n')), { rules: [], chains: [] });
  });

  it('needs no right to set limits of the machine for kube-proxy', () => {
    const config = parse(renderProxy('/kubeconfig'));
    assert.equal(config.mode, 'nftables');
    assert.deepEqual([config.conntrack.maxPerCore, config.conntrack.min], [0, 0]);
    assert.match(config.metricsBindAddress, /^127\.0\.0\.1:/);
  });

  it('takes only name servers that a pod can reach', () => {
    const text =
      '# nameserver 9.9.9.9\nsearch example.org\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.2\n nameserver fd00::1\n';
    assert.deepEqual(reachableNameservers(text), ['10.0.0.2', 'fd00::1']);
    assert.equal(renderResolvConf(['10.0.0.2']), 'nameserver 10.0.0.2\n');
    assert.match(renderCorefile(['10.0.0.2', 'fd00::1']), /forward \. 10\.0\.0\.2 fd00::1\n/);
    assert.doesNotMatch(renderCorefile([]), /forward/);
  });

  it('serves DNS at the address that pods are told, from pods that the Service selects', () => {
    const manifests = dnsManifests('image:1', []);
    const byKind = (kind: string) =>
      manifests.find((manifest) => manifest.kind === kind) as unknown as { spec: Record<string, never> };
    const service = byKind('Service').spec as Record<string, unknown>;
    const deployment = byKind('Deployment').spec as unknown as { template: { metadata: { labels: unknown } } };
    assert.equal(service.clusterIP, '10.96.0.10');
    assert.deepEqual(deployment.template.metadata.labels, service.selector);
  });

  it('binds roles that exist, and lets the controller write nothing but what it makes', () => {
    const manifests = nodeManifests() as unknown as {
      kind: string;
      metadata: { name: string };
      roleRef?: { name: string };
      rules?: { resources: string[]; verbs: string[] }[];
    }[];
    const roles = manifests.filter(({ kind }) => kind === 'ClusterRole');
    for (const { roleRef } of manifests.filter(({ kind }) => kind === 'ClusterRoleBinding')) {
      const name = roleRef?.name ?? '';
      assert.ok(name.startsWith('system:') || roles.some((role) => role.metadata.name === name), name);
    }
    const writable = roles
      .flatMap(({ rules }) => rules ?? [])
      .filter(({ verbs }) => verbs.some((verb) => !['get', 'list', 'watch'].includes(verb)))
      .flatMap(({ resources }) => resources);
    assert.deepEqual(writable.sort(), ['persistentvolumes', 'services/status']);
  });
});
