import { Deployment } from '@pulumi/kubernetes/apps/v1/deployment.js';
import { Job } from '@pulumi/kubernetes/batch/v1/job.js';
import { Service } from '@pulumi/kubernetes/core/v1/service.js';
import * as pulumi from '@pulumi/pulumi';
import { type Finding, refuse } from '../findings.ts';
import { digestOf } from '../kubernetes/fingerprint.ts';
import { recommendedLabels, selectorLabels } from '../kubernetes/labels.ts';
import { environmentVariableProblem, portProblem, serviceNameProblem } from '../kubernetes/names.ts';
import type { SecretReference } from '../secrets/applicationSecrets.ts';
import { LONGEST_APPLICATION_NAME } from './limits.ts';
import { type ComputeResources, type ConfigMapReference, type Mount, podTemplate } from './pod.ts';
import { type ServiceStatus, serviceUrl } from './url.ts';

export interface MigrationsArguments {
  /** Image by digest. */
  readonly image: pulumi.Input<string>;
  /** Command instead of the image's own. @default the image's */
  readonly command?: readonly string[];
  /** Secrets whose keys become environment variables. @default none */
  readonly secrets?: readonly SecretReference[];
  /** How often a failed pod is tried again. @default 2 */
  readonly backoffLimit?: number;
  /** Longest run in seconds, all tries together. @default 300 */
  readonly timeoutSeconds?: number;
  /**
   * Seconds after which Kubernetes removes the finished Job. A refresh then shows the Job as gone, and the next
   * update runs it again. @default it stays
   */
  readonly ttlSecondsAfterFinished?: number;
  /** Any text; another text runs the migrations again with the same image and configuration. @default none */
  readonly run?: string;
}

export interface ServiceArguments {
  /** @default 'ClusterIP' */
  readonly type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
  /** Port of the Service. @default 80 */
  readonly port?: number;
  /** Annotations, for example of a cloud's load balancer. @default none */
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ApplicationArguments {
  readonly namespace: pulumi.Input<string>;
  /** Image by digest, `repository@sha256:…`. */
  readonly image: pulumi.Input<string>;
  /** Runs to its end before the new pods start; a failure stops the rollout. @default none */
  readonly migrations?: MigrationsArguments;
  /** @default 1 */
  readonly replicas?: number;
  /** Port on which the container listens; handed to it as `PORT`. @default 8080 */
  readonly port?: number;
  /** Path that answers 200 when the application can serve. @default '/healthz' */
  readonly healthPath?: string;
  readonly service?: ServiceArguments;
  /** Environment variables that are not secret. @default none */
  readonly environment?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Secrets whose keys become environment variables. @default none */
  readonly secrets?: readonly SecretReference[];
  /** ConfigMaps whose keys become environment variables of the application. @default none */
  readonly configMaps?: readonly ConfigMapReference[];
  /** ServiceAccount of all pods; they get no token for it. @default the namespace's */
  readonly serviceAccountName?: pulumi.Input<string>;
  /** What must be there before the first pod, such as the ServiceAccount. @default nothing */
  readonly after?: readonly pulumi.Resource[];
  /** ConfigMaps mounted as folders, in the application's pods and the migrations'. @default none */
  readonly mounts?: readonly Mount[];
  /** Names of the Secrets with which images are pulled. @default none */
  readonly imagePullSecrets?: readonly pulumi.Input<string>[];
  /** Requests and limits. @default 50m CPU and 64Mi requested, 256Mi limit */
  readonly resources?: ComputeResources;
  /** Numeric user and group of the processes, not 0. @default 10001 */
  readonly userId?: number;
  /** Seconds to wait for the rollout and for the Service's address. @default 300 */
  readonly timeoutSeconds?: number;
}

/** A running application: its migrations as a Job, then its Deployment, and its Service. */
export class Application extends pulumi.ComponentResource {
  /** Address of the Service; undefined until its load balancer has one. */
  readonly url: pulumi.Output<string | undefined>;
  /** Name of the Deployment, there when its pods are ready. */
  readonly deploymentName: pulumi.Output<string>;
  readonly serviceName: pulumi.Output<string>;
  /** Name of the migrations Job, if there are migrations. */
  readonly migrationsJobName: pulumi.Output<string> | undefined;

  /** @throws pulumi.RunError with every invalid argument. */
  constructor(name: string, args: ApplicationArguments, options?: pulumi.ComponentResourceOptions) {
    refuse(`Application "${name}"`, findings(name, args));
    super('development-operations:application:Application', name, {}, options);
    const migrations = args.migrations && this.createMigrations(name, args, args.migrations);
    const deployment = this.createDeployment(name, args, migrations);
    const service = this.createService(name, args);
    this.migrationsJobName = migrations?.metadata.name;
    this.deploymentName = deployment.metadata.name;
    this.serviceName = service.metadata.name;
    this.url = pulumi
      .all([service.metadata, service.status])
      .apply(([metadata, status]) =>
        serviceUrl({ name, namespace: metadata?.namespace, ...serviceShape(args), status: status as ServiceStatus }),
      );
    this.registerOutputs({ url: this.url, serviceName: this.serviceName, migrationsJobName: this.migrationsJobName });
  }

  private createMigrations(name: string, args: ApplicationArguments, migrations: MigrationsArguments): Job {
    const labels = recommendedLabels(name, 'migrations');
    const spec = {
      backoffLimit: migrations.backoffLimit ?? 2,
      activeDeadlineSeconds: migrations.timeoutSeconds ?? 300,
      ttlSecondsAfterFinished: migrations.ttlSecondsAfterFinished,
      template: podTemplate({
        ...args,
        container: 'migrations',
        labels,
        image: migrations.image,
        command: migrations.command,
        configMaps: [],
        secrets: migrations.secrets ?? [],
        restartPolicy: 'Never',
      }),
    };
    // A Job cannot be changed, so each version has a name of its own.
    const jobName = pulumi
      .output(spec)
      .apply((resolved) => `${name}-migrations-${digestOf({ spec: resolved, run: migrations.run ?? '' })}`);
    return new Job(
      `${name}-migrations`,
      {
        metadata: {
          name: jobName,
          namespace: args.namespace,
          labels,
          // A Job that failed is replaced by the next update instead of failing it for ever.
          annotations: { 'pulumi.com/replaceUnready': 'true' },
        },
        spec,
      },
      {
        parent: this,
        dependsOn: [...(args.after ?? [])],
        // Deleted last, it would stay when the rollout fails, and be in the way of the version before.
        deleteBeforeReplace: true,
        customTimeouts: timeouts((migrations.timeoutSeconds ?? 300) + 60),
      },
    );
  }

  private createDeployment(name: string, args: ApplicationArguments, migrations: Job | undefined): Deployment {
    const labels = recommendedLabels(name, 'server');
    const port = args.port ?? 8080;
    return new Deployment(
      `${name}-deployment`,
      {
        metadata: { name, namespace: args.namespace, labels },
        spec: {
          replicas: args.replicas ?? 1,
          selector: { matchLabels: selectorLabels(name, 'server') },
          // Nothing that serves is taken away before its successor is ready.
          strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          template: podTemplate({
            ...args,
            container: 'application',
            labels,
            environment: { PORT: String(port), ...args.environment },
            secrets: args.secrets ?? [],
            restartPolicy: 'Always',
            http: { port, healthPath: args.healthPath ?? '/healthz' },
          }),
        },
      },
      {
        parent: this,
        dependsOn: [...(args.after ?? []), ...(migrations ? [migrations] : [])],
        customTimeouts: timeouts(args.timeoutSeconds ?? 300),
      },
    );
  }

  private createService(name: string, args: ApplicationArguments): Service {
    const { type, port } = serviceShape(args);
    return new Service(
      `${name}-service`,
      {
        metadata: {
          name,
          namespace: args.namespace,
          labels: recommendedLabels(name, 'server'),
          annotations: args.service?.annotations,
        },
        spec: {
          type,
          selector: selectorLabels(name, 'server'),
          ports: [{ name: 'http', port, protocol: 'TCP', targetPort: 'http' }],
        },
      },
      { parent: this, customTimeouts: timeouts(args.timeoutSeconds ?? 300) },
    );
  }
}

function serviceShape(args: ApplicationArguments): { type: 'ClusterIP' | 'NodePort' | 'LoadBalancer'; port: number } {
  return { type: args.service?.type ?? 'ClusterIP', port: args.service?.port ?? 80 };
}

function timeouts(seconds: number): pulumi.CustomTimeouts {
  return { create: `${seconds}s`, update: `${seconds}s` };
}

function findings(name: string, args: ApplicationArguments): Finding[] {
  const found: Finding[] = [];
  const add = (path: string, problem: string | undefined) => problem && found.push({ path, problem });
  add('name', serviceNameProblem(name, LONGEST_APPLICATION_NAME));
  add('port', portProblem(args.port ?? 8080));
  add('service.port', portProblem(args.service?.port ?? 80));
  const replicas = args.replicas ?? 1;
  if (!Number.isInteger(replicas) || replicas < 0)
    add('replicas', `${replicas} is not a number of replicas: use 0 or more`);
  const userId = args.userId ?? 10001;
  if (!Number.isInteger(userId) || userId < 1)
    add('userId', `${userId} is not allowed: the processes must not run as root`);
  if (!(args.healthPath ?? '/').startsWith('/'))
    add('healthPath', `"${args.healthPath}" is not a path: it starts with "/"`);
  for (const key of Object.keys(args.environment ?? {})) {
    add(`environment.${key}`, environmentVariableProblem(key));
    if (key === 'PORT') add('environment.PORT', 'is set from `port`: take it out');
  }
  for (const [path, image] of [['image', args.image] as const, ['migrations.image', args.migrations?.image] as const]) {
    if (typeof image === 'string' && !/@sha256:[a-f0-9]{64}$/.test(image)) {
      add(path, `"${image}" is not by digest: expected "repository@sha256:…", as ImageBuild gives it`);
    }
  }
  return found;
}
