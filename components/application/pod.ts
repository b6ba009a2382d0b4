import type * as kubernetes from '@pulumi/kubernetes/types/input.js';
import * as pulumi from '@pulumi/pulumi';
import type { SecretReference } from '../secrets/applicationSecrets.ts';

/** Requests and limits: https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/ */
export interface ComputeResources {
  readonly requests?: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, string>>;
}

/** A ConfigMap whose keys become environment variables. */
export interface ConfigMapReference {
  readonly name: pulumi.Input<string>;
  /** Changes with the values, so that pods roll; left out when it is not known. */
  readonly checksum?: pulumi.Input<string>;
}

/** A ConfigMap mounted read-only as a folder. */
export interface Mount {
  /** Name of the volume: a DNS-1123 label. */
  readonly name: string;
  readonly configMapName: pulumi.Input<string>;
  readonly path: string;
}

/** What the pods of a Deployment and of a Job have in common, and where they differ. */
export interface PodArguments {
  readonly container: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly image: pulumi.Input<string>;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, pulumi.Input<string>>>;
  readonly secrets: readonly SecretReference[];
  readonly configMaps?: readonly ConfigMapReference[];
  readonly serviceAccountName?: pulumi.Input<string>;
  readonly mounts?: readonly Mount[];
  /** Size of `/tmp` in memory, which counts as the container's; a quantity. @default on the node's disk */
  readonly temporaryMemory?: string;
  readonly imagePullSecrets?: readonly pulumi.Input<string>[];
  readonly resources?: ComputeResources;
  readonly userId?: number;
  readonly restartPolicy: 'Always' | 'Never';
  /** Probes and named ports; left out for a Job. */
  readonly http?: HttpArguments;
  /** Further digests that make the pods roll when they change. @default none */
  readonly checksums?: readonly pulumi.Input<string>[];
  /** The ServiceAccount's token, for a process that talks to the Kubernetes API. @default false */
  readonly automountServiceAccountToken?: boolean;
  /** How the process is ended. @default at once, and after 30 seconds by force */
  readonly shutdown?: {
    /** Seconds before the process is told: as long as proxies may need to learn that the pod is going. */
    readonly delaySeconds: number;
    /** Seconds for all of it. */
    readonly graceSeconds: number;
  };
  /** Labels of the pods that are spread over the nodes, where they can be. @default not spread */
  readonly spread?: Readonly<Record<string, string>>;
}

export interface HttpArguments {
  readonly port: number;
  readonly healthPath: string;
  /** Path that answers 200 while requests are welcome. @default `healthPath` */
  readonly readyPath?: string;
  /** Port of metrics. @default none */
  readonly metricsPort?: number;
}

const DEFAULT_RESOURCES: ComputeResources = {
  requests: { cpu: '50m', memory: '64Mi' },
  limits: { memory: '256Mi' },
};

/**
 * The template of a pod that meets the "restricted" Pod Security Standard:
 * https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
 */
export function podTemplate(args: PodArguments): kubernetes.core.v1.PodTemplateSpec {
  const user = args.userId ?? 10001;
  return {
    metadata: { labels: { ...args.labels }, annotations: checksums(args) },
    spec: {
      restartPolicy: args.restartPolicy,
      serviceAccountName: args.serviceAccountName,
      // Who does not talk to the Kubernetes API holds no token for it.
      automountServiceAccountToken: args.automountServiceAccountToken ?? false,
      terminationGracePeriodSeconds: args.shutdown?.graceSeconds,
      topologySpreadConstraints: args.spread && [spread(args.spread)],
      imagePullSecrets: (args.imagePullSecrets ?? []).map((name) => ({ name })),
      securityContext: {
        runAsNonRoot: true,
        runAsUser: user,
        runAsGroup: user,
        fsGroup: user,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [container(args)],
      volumes: [
        { name: 'tmp', emptyDir: args.temporaryMemory ? { medium: 'Memory', sizeLimit: args.temporaryMemory } : {} },
        ...(args.mounts ?? []).map((mount) => ({ name: mount.name, configMap: { name: mount.configMapName } })),
      ],
    },
  };
}

function container(args: PodArguments): kubernetes.core.v1.Container {
  return {
    name: args.container,
    image: args.image,
    command: args.command && [...args.command],
    env: environment(args.environment ?? {}),
    // Where two hold the same key, the last wins: a secret over a setting.
    envFrom: [
      ...(args.configMaps ?? []).map((configMap) => ({ configMapRef: { name: configMap.name } })),
      ...args.secrets.map((secret) => ({ secretRef: { name: secret.name } })),
    ],
    resources: (args.resources ?? DEFAULT_RESOURCES) as kubernetes.core.v1.ResourceRequirements,
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'tmp', mountPath: '/tmp' },
      ...(args.mounts ?? []).map((mount) => ({ name: mount.name, mountPath: mount.path, readOnly: true })),
    ],
    lifecycle: args.shutdown && { preStop: { sleep: { seconds: args.shutdown.delaySeconds } } },
    ...(args.http && probes(args.http)),
  };
}

/** A preference, not a condition: a cluster of one node runs them all. */
function spread(labels: Readonly<Record<string, string>>): kubernetes.core.v1.TopologySpreadConstraint {
  return {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: { ...labels } },
  };
}

function probes(http: HttpArguments): Partial<kubernetes.core.v1.Container> {
  const httpGet = { path: http.healthPath, port: 'http' };
  const port = (name: string, containerPort: number) => ({ name, containerPort, protocol: 'TCP' });
  return {
    ports: [port('http', http.port), ...(http.metricsPort === undefined ? [] : [port('metrics', http.metricsPort)])],
    // A slow start is not a failure: liveness counts only once the application has answered.
    startupProbe: { httpGet, periodSeconds: 1, failureThreshold: 60 },
    readinessProbe: {
      httpGet: { path: http.readyPath ?? http.healthPath, port: 'http' },
      periodSeconds: 5,
      failureThreshold: 2,
    },
    livenessProbe: { httpGet, periodSeconds: 10, failureThreshold: 6 },
  };
}

function environment(values: Readonly<Record<string, pulumi.Input<string>>>): kubernetes.core.v1.EnvVar[] {
  return Object.keys(values)
    .sort()
    .map((name) => ({ name, value: values[name] }));
}

/** One annotation for all: the values are read at start, so a change of one must make the pods roll. */
function checksums(args: PodArguments): pulumi.Input<Record<string, pulumi.Input<string>>> | undefined {
  const references = [...(args.configMaps ?? []), ...args.secrets];
  const known = references.flatMap(({ checksum }) => (checksum === undefined ? [] : [checksum]));
  const all = [...known, ...(args.checksums ?? [])];
  if (all.length === 0) return undefined;
  return { 'development-operations/configuration-checksum': pulumi.all(all).apply((texts) => texts.join('.')) };
}
