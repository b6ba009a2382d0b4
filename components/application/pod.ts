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
  readonly imagePullSecrets?: readonly pulumi.Input<string>[];
  readonly resources?: ComputeResources;
  readonly userId?: number;
  readonly restartPolicy: 'Always' | 'Never';
  /** Probes and a named port; left out for a Job. */
  readonly http?: { readonly port: number; readonly healthPath: string };
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
    metadata: { labels: { ...args.labels }, annotations: checksums([...(args.configMaps ?? []), ...args.secrets]) },
    spec: {
      restartPolicy: args.restartPolicy,
      serviceAccountName: args.serviceAccountName,
      // The application does not talk to the Kubernetes API, so it holds no token for it.
      automountServiceAccountToken: false,
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
        { name: 'tmp', emptyDir: {} },
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
    ...(args.http && probes(args.http)),
  };
}

function probes(http: { port: number; healthPath: string }): Partial<kubernetes.core.v1.Container> {
  const httpGet = { path: http.healthPath, port: 'http' };
  return {
    ports: [{ name: 'http', containerPort: http.port, protocol: 'TCP' }],
    // A slow start is not a failure: liveness counts only once the application has answered.
    startupProbe: { httpGet, periodSeconds: 1, failureThreshold: 60 },
    readinessProbe: { httpGet, periodSeconds: 5, failureThreshold: 2 },
    livenessProbe: { httpGet, periodSeconds: 10, failureThreshold: 6 },
  };
}

function environment(values: Readonly<Record<string, pulumi.Input<string>>>): kubernetes.core.v1.EnvVar[] {
  return Object.keys(values)
    .sort()
    .map((name) => ({ name, value: values[name] }));
}

/** One annotation for all: the values are read at start, so a change of one must make the pods roll. */
function checksums(
  references: readonly { readonly checksum?: pulumi.Input<string> }[],
): pulumi.Input<Record<string, pulumi.Input<string>>> | undefined {
  const known = references.flatMap(({ checksum }) => (checksum === undefined ? [] : [checksum]));
  if (known.length === 0) return undefined;
  const joined = pulumi.all(known).apply((all) => all.join('.'));
  return { 'development-operations/configuration-checksum': joined };
}
