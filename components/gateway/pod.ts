import type * as kubernetes from '@pulumi/kubernetes/types/input.js';
import type * as pulumi from '@pulumi/pulumi';
import type { ComputeResources } from '../application/pod.ts';
import { recommendedLabels, selectorLabels } from '../kubernetes/labels.ts';
import type { AuthenticatorArguments, GatewayArguments } from './arguments.ts';
import type { NginxSettings } from './nginx/settings.ts';
import { usesClusterAuthority } from './routes.ts';

export const COMPONENT = 'gateway';
export const PORTS = { tls: 8443, proxyProtocol: 8444, health: 8081 } as const;
export const AUTHENTICATOR_PORT = 9000;

const CONFIGURATION = '/etc/gateway/configuration';
const TLS = '/etc/gateway/tls';
const USERS = '/etc/gateway/users';
const CLUSTER = '/etc/gateway/cluster';
const TEMPORARY = '/tmp';
const VERIFIED = '/var/cache/gateway';
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const NGINX = `nginx -e stderr -c ${CONFIGURATION}/nginx.conf`;
const RESOLVER = `${TEMPORARY}/resolver.conf`;
const POOLS = `${TEMPORARY}/pools.conf`;

/** The places in the pod that nginx's configuration names. */
export const POD: Omit<NginxSettings, 'address' | 'authenticator' | 'trustedProxies' | 'shutdownSeconds'> = {
  listen: { tls: String(PORTS.tls), proxyProtocol: String(PORTS.proxyProtocol), health: String(PORTS.health) },
  temporaryFolder: TEMPORARY,
  verifiedFolder: VERIFIED,
  tlsFolder: TLS,
  usersFolder: USERS,
  authoritiesFolder: CONFIGURATION,
  clusterAuthorityFile: `${CLUSTER}/ca.crt`,
  resolverFile: RESOLVER,
  poolsFile: POOLS,
  workers: 2,
  accessLog: '/dev/stdout',
};

/**
 * nginx has no way to read /etc/resolv.conf, so its servers become a directive; then nginx judges the configuration and
 * the certificates that it will run with. IPv6 addresses need brackets. nginx does not start with a pool of a Service that
 * is not there: such a pool refuses, at once, and its route does without.
 */
const CHECK = [
  'set -eu',
  'servers=""',
  'while read -r key value rest; do',
  '  [ "$key" = nameserver ] || continue',
  '  case "$value" in *:*) value="[$value]" ;; esac',
  '  servers="$servers $value"',
  'done < /etc/resolv.conf',
  `echo "resolver$servers valid=10s; resolver_timeout 5s;" > ${RESOLVER}`,
  `: > ${POOLS}`,
  `for pool in ${CONFIGURATION}/pool-*.conf; do`,
  '  [ -e "$pool" ] || continue',
  `  host=$(sed -n 's/^ *server \\(.*\\):[0-9]*;$/\\1/p' "$pool")`,
  `  if getent hosts "$host" > /dev/null; then cat "$pool"; else sed 's/^ *server .*;$/server 127.0.0.1:1;/' "$pool"; fi`,
  `done >> ${POOLS}`,
  `exec ${NGINX} -t`,
].join('\n');

/**
 * Serves on until load balancers know, then lets requests end. Returns only when nginx has ended: what comes after it is
 * SIGTERM, at which nginx would drop them.
 */
function drain(seconds: number): string {
  return `sleep ${seconds}; ${NGINX} -s quit; while [ -f ${TEMPORARY}/nginx.pid ]; do sleep 0.2; done`;
}

export interface GatewayPod {
  readonly configurationName: pulumi.Input<string>;
  readonly tlsName: pulumi.Input<string>;
  /** Secret with the users of routes with passwords. */
  readonly usersName?: pulumi.Input<string>;
  /** ConfigMap with the authenticator's settings. */
  readonly settingsName?: pulumi.Input<string>;
  readonly serviceAccountName: pulumi.Input<string>;
}

/** A pod that meets the "restricted" Pod Security Standard. */
export function gatewayPod(name: string, args: GatewayArguments, pod: GatewayPod): kubernetes.core.v1.PodTemplateSpec {
  const user = args.userId ?? 101;
  const mounts = nginxMounts(args, pod);
  const container = { image: args.image, securityContext: RESTRICTED, volumeMounts: mounts };
  const drainSeconds = args.drainSeconds ?? 5;
  return {
    metadata: { labels: recommendedLabels(name, COMPONENT) },
    spec: {
      serviceAccountName: pod.serviceAccountName,
      automountServiceAccountToken: false,
      // The service links of a large namespace are not for nginx.
      enableServiceLinks: false,
      imagePullSecrets: (args.imagePullSecrets ?? []).map((secret) => ({ name: secret })),
      terminationGracePeriodSeconds: drainSeconds + (args.shutdownSeconds ?? 45) + 10,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: user,
        runAsGroup: user,
        fsGroup: user,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'kubernetes.io/hostname',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: selectorLabels(name, COMPONENT) },
        },
      ],
      initContainers: [
        {
          ...container,
          name: 'check',
          command: ['sh', '-c', CHECK],
          resources: resources(args.resources, NGINX_RESOURCES),
          // What nginx found is the reason that Kubernetes shows.
          terminationMessagePolicy: 'FallbackToLogsOnError',
        },
        ...(args.authenticator ? [authenticator(args.authenticator)] : []),
      ],
      containers: [
        {
          ...container,
          name: 'nginx',
          command: NGINX.split(' '),
          resources: resources(args.resources, NGINX_RESOURCES),
          ports: [
            { name: 'https', containerPort: PORTS.tls, protocol: 'TCP' },
            { name: 'https-proxy', containerPort: PORTS.proxyProtocol, protocol: 'TCP' },
            { name: 'health', containerPort: PORTS.health, protocol: 'TCP' },
          ],
          startupProbe: { httpGet: { path: '/healthz', port: 'health' }, periodSeconds: 1, failureThreshold: 60 },
          readinessProbe: { httpGet: { path: '/readyz', port: 'health' }, periodSeconds: 2, failureThreshold: 2 },
          livenessProbe: { httpGet: { path: '/healthz', port: 'health' }, periodSeconds: 10, failureThreshold: 3 },
          lifecycle: { preStop: { exec: { command: ['sh', '-c', drain(drainSeconds)] } } },
        },
      ],
      volumes: volumes(args, pod),
    },
  };
}

const RESTRICTED: kubernetes.core.v1.SecurityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};
const NGINX_RESOURCES: ComputeResources = { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '256Mi' } };
const AUTHENTICATOR_RESOURCES: ComputeResources = {
  requests: { cpu: '50m', memory: '64Mi' },
  limits: { memory: '192Mi' },
};

function resources(
  own: ComputeResources | undefined,
  otherwise: ComputeResources,
): kubernetes.core.v1.ResourceRequirements {
  return (own ?? otherwise) as kubernetes.core.v1.ResourceRequirements;
}

/**
 * A sidecar in Kubernetes' sense (1.29 and later): it starts before nginx and ends after it, so that requests with
 * tokens pass to the last. It listens on loopback only, so nginx's readiness speaks for it.
 */
function authenticator(args: AuthenticatorArguments): kubernetes.core.v1.Container {
  const folder = settingsFolder(args);
  return {
    name: 'authenticator',
    image: args.image,
    command: [...(args.command ?? ['node', '/app/authenticator.mjs'])],
    restartPolicy: 'Always',
    env: [{ name: 'API_SETTINGS_FILE', value: `${folder}/settings.json` }],
    resources: resources(args.resources, AUTHENTICATOR_RESOURCES),
    // Another user than nginx: neither may touch the other's processes.
    securityContext: { ...RESTRICTED, runAsUser: 10001, runAsGroup: 10001 },
    volumeMounts: [
      { name: 'settings', mountPath: folder, readOnly: true },
      { name: 'authenticator-temporary', mountPath: '/tmp' },
      ...(args.serviceAccountToken ? [{ name: 'account', mountPath: ACCOUNT, readOnly: true }] : []),
    ],
  };
}

function settingsFolder(args: AuthenticatorArguments): string {
  return args.folder ?? '/etc/operations-api';
}

function nginxMounts(args: GatewayArguments, pod: GatewayPod): kubernetes.core.v1.VolumeMount[] {
  return [
    { name: 'temporary', mountPath: TEMPORARY },
    { name: 'configuration', mountPath: CONFIGURATION, readOnly: true },
    { name: 'tls', mountPath: TLS, readOnly: true },
    ...(args.authenticator === undefined ? [] : [{ name: 'verified', mountPath: VERIFIED }]),
    ...(pod.usersName === undefined ? [] : [{ name: 'users', mountPath: USERS, readOnly: true }]),
    ...(args.routes.some(usesClusterAuthority) ? [{ name: 'cluster', mountPath: CLUSTER, readOnly: true }] : []),
  ];
}

function volumes(args: GatewayArguments, pod: GatewayPod): kubernetes.core.v1.Volume[] {
  // For the group of the pod, which nginx is in.
  const secret = (secretName: pulumi.Input<string>) => ({ secret: { secretName, defaultMode: 0o440 } });
  // Every namespace has it; so no token is needed for the authority alone.
  const cluster = { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] };
  const token = { serviceAccountToken: { path: 'token', expirationSeconds: 3600 } };
  return [
    { name: 'temporary', emptyDir: {} },
    { name: 'configuration', configMap: { name: pod.configurationName } },
    { name: 'tls', ...secret(pod.tlsName) },
    // Tokens are in it: never on a disk. Twice what nginx keeps there, as it clears up a moment later.
    ...(args.authenticator === undefined
      ? []
      : [{ name: 'verified', emptyDir: { medium: 'Memory', sizeLimit: '32Mi' } }]),
    ...(pod.usersName === undefined ? [] : [{ name: 'users', ...secret(pod.usersName) }]),
    ...(args.routes.some(usesClusterAuthority) ? [{ name: 'cluster', configMap: cluster }] : []),
    ...(pod.settingsName === undefined
      ? []
      : [
          { name: 'settings', configMap: { name: pod.settingsName } },
          { name: 'authenticator-temporary', emptyDir: {} },
        ]),
    ...(args.authenticator?.serviceAccountToken
      ? [{ name: 'account', projected: { defaultMode: 0o440, sources: [token, { configMap: cluster }] } }]
      : []),
  ];
}
