import { Deployment } from '@pulumi/kubernetes/apps/v1/deployment.js';
import { ConfigMap } from '@pulumi/kubernetes/core/v1/configMap.js';
import { Secret } from '@pulumi/kubernetes/core/v1/secret.js';
import { Service } from '@pulumi/kubernetes/core/v1/service.js';
import { ServiceAccount } from '@pulumi/kubernetes/core/v1/serviceAccount.js';
import { NetworkPolicy } from '@pulumi/kubernetes/networking/v1/networkPolicy.js';
import { PodDisruptionBudget } from '@pulumi/kubernetes/policy/v1/podDisruptionBudget.js';
import { Role } from '@pulumi/kubernetes/rbac/v1/role.js';
import { RoleBinding } from '@pulumi/kubernetes/rbac/v1/roleBinding.js';
import * as pulumi from '@pulumi/pulumi';
import { RandomBytes } from '@pulumi/random/randomBytes.js';
import { RandomPassword } from '@pulumi/random/randomPassword.js';
import { type ComputeResources, podTemplate } from '../application/pod.ts';
import { refuse } from '../findings.ts';
import { digestOf, keyedDigestOf, stableJson } from '../kubernetes/fingerprint.ts';
import { recommendedLabels, selectorLabels } from '../kubernetes/labels.ts';
import { base64Values, type SecretReference } from '../secrets/applicationSecrets.ts';
import { findings } from './arguments.ts';
import { type Destination, networkRules } from './network.ts';
import type { ApiSettings } from './settings.ts';

/** Folder with the settings and the certificates of the issuers. */
export const SETTINGS_FOLDER = '/etc/operations-api';
export const SETTINGS_FILE = `${SETTINGS_FOLDER}/settings.json`;
/** Folder with `ca.crt`, the authority of PostgreSQL. */
export const POSTGRES_FOLDER = '/etc/postgres';
export const API_PORT = 8080;
export const METRICS_PORT = 9464;

/** The administrator of one database server: not a superuser, but a role that may create databases and roles. */
export interface AdministratorCredentials {
  readonly username: pulumi.Input<string>;
  readonly password: pulumi.Input<string>;
}

export interface OperationsApiArguments {
  readonly namespace: pulumi.Input<string>;
  /** Image by digest, `repository@sha256:…`, of api/Dockerfile. */
  readonly image: pulumi.Input<string>;
  /** What the service is told; nothing of it is secret. Paths are those in the pods. */
  readonly settings: ApiSettings;
  /** The administrators, by the environments of the settings. */
  readonly administrators: Readonly<Record<string, AdministratorCredentials>>;
  /** Secret with the connection settings of the service's own database, as libpq's variables. */
  readonly connection: SecretReference;
  /** ConfigMap with `ca.crt`, the authority of PostgreSQL; mounted at `/etc/postgres`. @default none */
  readonly certificateConfigMapName?: pulumi.Input<string>;
  /** Certificates in PEM by the names of files in `/etc/operations-api`: authorities of issuers. @default none */
  readonly certificates?: Readonly<Record<string, string>>;
  /** Hosts and ports that the service connects to, beside DNS and the Kubernetes API. @default none */
  readonly destinations?: readonly Destination[];
  /**
   * Where spans are sent by OTLP over HTTP, such as `http://collector.monitoring:4318`; its host belongs into
   * `destinations` as well. @default none are recorded
   */
  readonly tracesEndpoint?: string;
  /** Labels of the pods that pass requests on: the gateway's. */
  readonly clients: Readonly<Record<string, string>>;
  /** Labels of the namespaces whose pods may read metrics. @default kubernetes.io/metadata.name: monitoring */
  readonly monitoring?: Readonly<Record<string, string>>;
  /** At least 2, so that an update and the loss of a node leave one. @default 2 */
  readonly replicas?: number;
  /** Refuse to delete the keys: without them the state, and credentials that wait, cannot be read. @default true */
  readonly protect?: boolean;
  /** Names of the Secrets with which images are pulled. @default none */
  readonly imagePullSecrets?: readonly pulumi.Input<string>[];
  /** Requests and limits. @default 100m CPU and 384Mi requested, 1Gi limit */
  readonly resources?: ComputeResources;
  /**
   * Size of `/tmp`, which is memory and counts as the container's: each run of the engine writes its event log and its
   * settings there, and making files is much of a short run's time on a disk. A quantity. @default '256Mi'
   */
  readonly temporaryMemory?: string;
  /** Seconds to wait for the rollout. @default 300 */
  readonly timeoutSeconds?: number;
}

/** A service loads the plugins once for each run that it may make at once. */
const RESOURCES: ComputeResources = { requests: { cpu: '100m', memory: '384Mi' }, limits: { memory: '1Gi' } };
const TEMPORARY_MEMORY = '256Mi';
/** Generated passphrase, in letters and digits: about 280 bits. */
const PASSPHRASE_LENGTH = 48;

/** The operations API: replicas of the service, what they are told, and what they may do in the cluster. */
export class OperationsApi extends pulumi.ComponentResource {
  readonly serviceName: pulumi.Output<string>;
  readonly servicePort: number = 80;
  /** The settings and certificates as a ConfigMap: what the gateway's authenticator reads as well. */
  readonly settings: { readonly configMapName: pulumi.Output<string>; readonly checksum: string };

  /** @throws pulumi.RunError with every invalid argument. */
  constructor(name: string, args: OperationsApiArguments, options?: pulumi.ComponentResourceOptions) {
    refuse(`OperationsApi "${name}"`, findings(name, args));
    super('development-operations:operationsApi:OperationsApi', name, {}, options);
    const settings = this.createSettings(name, args);
    const keys = this.createKeys(name, args);
    const account = this.createAccount(name, args);
    const access = args.settings.namespaces.map((namespace) => this.createAccess(name, args, account, namespace));
    this.createNetworkPolicy(name, args);
    this.createDisruptionBudget(name, args);
    this.settings = { configMapName: settings.metadata.name, checksum: settingsDigest(args) };
    const deployment = this.createDeployment(name, args, { keys, account, access });
    this.serviceName = this.createService(name, args, deployment).metadata.name;
    this.registerOutputs({ serviceName: this.serviceName, settings: this.settings });
  }

  private createSettings(name: string, args: OperationsApiArguments): ConfigMap {
    return new ConfigMap(
      `${name}-settings`,
      {
        metadata: { name: `${name}-settings`, namespace: args.namespace, labels: recommendedLabels(name, 'server') },
        data: settingsFiles(args),
      },
      { parent: this },
    );
  }

  /** Made once and kept: what they have encrypted cannot be read with others. */
  private createKeys(name: string, args: OperationsApiArguments): SecretReference {
    const kept = { parent: this, protect: args.protect ?? true };
    const encryptionKey = new RandomBytes(`${name}-encryption-key`, { length: 32 }, kept);
    const passphrase = new RandomPassword(`${name}-passphrase`, { length: PASSPHRASE_LENGTH, special: false }, kept);
    const values: Record<string, pulumi.Input<string>> = {
      API_ENCRYPTION_KEY: encryptionKey.base64,
      API_STATE_PASSPHRASE: passphrase.result,
    };
    for (const [environment, { usernameVariable, passwordVariable }] of Object.entries(args.settings.environments)) {
      const administrator = args.administrators[environment];
      if (!administrator) continue;
      values[usernameVariable] = administrator.username;
      values[passwordVariable] = pulumi.secret(administrator.password);
    }
    const secret = new Secret(
      `${name}-keys`,
      {
        metadata: { name: `${name}-keys`, namespace: args.namespace, labels: recommendedLabels(name, 'server') },
        type: 'Opaque',
        data: base64Values(values),
      },
      { parent: this },
    );
    const checksum = pulumi
      .all([passphrase.result, pulumi.all(values)])
      .apply(([key, plain]) => keyedDigestOf(key, plain));
    return { name: secret.metadata.name, checksum: pulumi.unsecret(checksum) };
  }

  private createAccount(name: string, args: OperationsApiArguments): ServiceAccount {
    return new ServiceAccount(
      name,
      {
        metadata: { name, namespace: args.namespace, labels: recommendedLabels(name, 'server') },
        // Only the pods of this service mount the token, and they say so.
        automountServiceAccountToken: false,
      },
      { parent: this },
    );
  }

  /** Only Secrets, one by one: no list and no watch, so that names have to be known. */
  private createAccess(
    name: string,
    args: OperationsApiArguments,
    account: ServiceAccount,
    namespace: string,
  ): RoleBinding {
    const metadata = { name, namespace, labels: recommendedLabels(name, 'server') };
    const role = new Role(
      `${name}-${namespace}`,
      {
        metadata,
        // Server-side apply creates with a patch, and needs the right to create for it.
        rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['create', 'delete', 'get', 'patch'] }],
      },
      { parent: this },
    );
    return new RoleBinding(
      `${name}-${namespace}`,
      {
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: role.metadata.name },
        subjects: [{ kind: 'ServiceAccount', name: account.metadata.name, namespace: args.namespace }],
      },
      { parent: this },
    );
  }

  private createNetworkPolicy(name: string, args: OperationsApiArguments): NetworkPolicy {
    return new NetworkPolicy(
      name,
      {
        metadata: { name, namespace: args.namespace, labels: recommendedLabels(name, 'server') },
        spec: {
          podSelector: { matchLabels: selectorLabels(name, 'server') },
          policyTypes: ['Egress', 'Ingress'],
          ...networkRules({
            clients: args.clients,
            port: args.settings.port ?? API_PORT,
            monitoring: args.monitoring,
            metricsPort: args.settings.metricsPort ?? METRICS_PORT,
            destinations: args.destinations ?? [],
          }),
        },
      },
      { parent: this },
    );
  }

  private createDisruptionBudget(name: string, args: OperationsApiArguments): PodDisruptionBudget {
    return new PodDisruptionBudget(
      name,
      {
        metadata: { name, namespace: args.namespace, labels: recommendedLabels(name, 'server') },
        spec: { maxUnavailable: 1, selector: { matchLabels: selectorLabels(name, 'server') } },
      },
      { parent: this },
    );
  }

  private createDeployment(name: string, args: OperationsApiArguments, made: Made): Deployment {
    const labels = recommendedLabels(name, 'server');
    const selector = selectorLabels(name, 'server');
    const certificate = args.certificateConfigMapName;
    const seconds = args.timeoutSeconds ?? 300;
    return new Deployment(
      `${name}-deployment`,
      {
        metadata: { name, namespace: args.namespace, labels },
        spec: {
          replicas: args.replicas ?? 2,
          selector: { matchLabels: selector },
          strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          template: podTemplate({
            container: 'server',
            labels,
            image: args.image,
            // HOME and the temporary folder are the only places that may be written.
            environment: {
              ...{ API_SETTINGS_FILE: SETTINGS_FILE, HOME: '/tmp', PULUMI_HOME: '/tmp/pulumi', TMPDIR: '/tmp' },
              ...(args.tracesEndpoint !== undefined && { OTEL_EXPORTER_OTLP_ENDPOINT: args.tracesEndpoint }),
            },
            secrets: [args.connection, made.keys],
            checksums: [settingsDigest(args)],
            serviceAccountName: made.account.metadata.name,
            automountServiceAccountToken: true,
            mounts: [
              { name: 'settings', configMapName: this.settings.configMapName, path: SETTINGS_FOLDER },
              ...(certificate === undefined
                ? []
                : [{ name: 'postgres', configMapName: certificate, path: POSTGRES_FOLDER }]),
            ],
            imagePullSecrets: args.imagePullSecrets,
            resources: args.resources ?? RESOURCES,
            temporaryMemory: args.temporaryMemory ?? TEMPORARY_MEMORY,
            restartPolicy: 'Always',
            http: {
              port: args.settings.port ?? API_PORT,
              healthPath: '/healthz',
              readyPath: '/readyz',
              metricsPort: args.settings.metricsPort ?? METRICS_PORT,
            },
            shutdown: { delaySeconds: 5, graceSeconds: 60 },
            spread: selector,
          }),
        },
      },
      {
        parent: this,
        // The first pod may write where it is asked to.
        dependsOn: [...made.access],
        customTimeouts: { create: `${seconds}s`, update: `${seconds}s` },
      },
    );
  }

  private createService(name: string, args: OperationsApiArguments, deployment: Deployment): Service {
    return new Service(
      `${name}-service`,
      {
        metadata: { name, namespace: args.namespace, labels: recommendedLabels(name, 'server') },
        spec: {
          type: 'ClusterIP',
          selector: selectorLabels(name, 'server'),
          ports: [{ name: 'http', port: this.servicePort, protocol: 'TCP', targetPort: 'http' }],
        },
      },
      // Whoever uses the Service finds pods behind it.
      { parent: this, dependsOn: [deployment] },
    );
  }
}

interface Made {
  readonly keys: SecretReference;
  readonly account: ServiceAccount;
  readonly access: readonly RoleBinding[];
}

/** The content of the ConfigMap: the settings with their keys sorted, and the certificates. */
function settingsFiles(args: OperationsApiArguments): Record<string, string> {
  return { ...args.certificates, 'settings.json': stableJson(args.settings) };
}

function settingsDigest(args: OperationsApiArguments): string {
  return digestOf(settingsFiles(args));
}
