import { USERS } from './certificates.ts';
import { CLUSTER_DOMAIN, DNS_ADDRESS, OWN_NAME } from './facts.ts';

export type Manifest = { readonly apiVersion: string; readonly kind: string } & Readonly<Record<string, unknown>>;

/** The provisioner's name in the default StorageClass. */
export const PROVISIONER = `${OWN_NAME}/local`;

const RBAC = 'rbac.authorization.k8s.io';

function clusterRole(name: string, rules: readonly unknown[]): Manifest {
  return { apiVersion: `${RBAC}/v1`, kind: 'ClusterRole', metadata: { name }, rules };
}

function bind(role: string, subject: Readonly<Record<string, string>>, name = role): Manifest {
  return {
    apiVersion: `${RBAC}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: role },
    subjects: [subject],
  };
}

function user(name: string): Record<string, string> {
  return { apiGroup: RBAC, kind: 'User', name };
}

/** Rights of the node's own parts beyond those that every API server comes with, and the default StorageClass. */
export function nodeManifests(): Manifest[] {
  const controller = `${OWN_NAME}:load-balancer`;
  const watch = ['get', 'list', 'watch'];
  return [
    // Logs, exec and port-forward go from the API server to the kubelet.
    bind('system:kubelet-api-admin', user(USERS['apiserver-kubelet-client'].commonName), `${OWN_NAME}:apiserver`),
    clusterRole(controller, [
      { apiGroups: [''], resources: ['services', 'persistentvolumeclaims'], verbs: watch },
      { apiGroups: [''], resources: ['services/status'], verbs: ['patch'] },
      { apiGroups: [''], resources: ['persistentvolumes'], verbs: [...watch, 'create', 'delete'] },
      { apiGroups: ['storage.k8s.io'], resources: ['storageclasses'], verbs: watch },
    ]),
    bind(controller, user(USERS['load-balancer'].commonName)),
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'local', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: PROVISIONER,
      reclaimPolicy: 'Delete',
      // One node: there is no choice that a pod's place could make.
      volumeBindingMode: 'Immediate',
    },
  ];
}

/** CoreDNS's configuration; it reads it anew when it changes. Port 1053 needs no privilege. */
export function renderCorefile(upstream: readonly string[]): string {
  const forward = upstream.length === 0 ? '' : `    forward . ${upstream.join(' ')}\n`;
  return `.:1053 {
    errors
    health :8080 {
        lameduck 1s
    }
    ready :8181
    kubernetes ${CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
${forward}    cache 30
    reload 10s
    loadbalance
}
`;
}

/** Cluster DNS (Kubernetes documentation, "DNS for Services and Pods"): names as in other clusters. */
export function dnsManifests(image: string, upstream: readonly string[]): Manifest[] {
  const namespace = 'kube-system';
  const labels = { 'k8s-app': 'kube-dns' };
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP', targetPort: 'dns' },
    { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 'dns-tcp' },
  ];
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'coredns', namespace } },
    clusterRole('system:coredns', [
      { apiGroups: [''], resources: ['endpoints', 'services', 'pods', 'namespaces'], verbs: ['list', 'watch'] },
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
    ]),
    bind('system:coredns', { kind: 'ServiceAccount', name: 'coredns', namespace }),
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'coredns', namespace },
      data: { Corefile: renderCorefile(upstream) },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kube-dns', namespace, labels },
      spec: { selector: labels, clusterIP: DNS_ADDRESS, ports },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'coredns', namespace, labels },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: dnsPod(image) },
      },
    },
  ];
}

function dnsPod(image: string): Record<string, unknown> {
  return {
    serviceAccountName: 'coredns',
    priorityClassName: 'system-cluster-critical',
    dnsPolicy: 'Default',
    terminationGracePeriodSeconds: 3,
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'coredns',
        image,
        imagePullPolicy: 'Never',
        args: ['-conf', '/etc/coredns/Corefile'],
        ports: [
          { name: 'dns', containerPort: 1053, protocol: 'UDP' },
          { name: 'dns-tcp', containerPort: 1053, protocol: 'TCP' },
        ],
        resources: { requests: { cpu: '50m', memory: '40Mi' }, limits: { memory: '170Mi' } },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        livenessProbe: { httpGet: { path: '/health', port: 8080 }, initialDelaySeconds: 10, timeoutSeconds: 5 },
        readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1, timeoutSeconds: 2 },
        volumeMounts: [{ name: 'config', mountPath: '/etc/coredns', readOnly: true }],
      },
    ],
    volumes: [{ name: 'config', configMap: { name: 'coredns' } }],
  };
}
