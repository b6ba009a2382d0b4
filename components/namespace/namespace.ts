import { Namespace as KubernetesNamespace } from '@pulumi/kubernetes/core/v1/namespace.js';
import * as pulumi from '@pulumi/pulumi';
import { refuse } from '../findings.ts';
import { labelProblem } from '../kubernetes/names.ts';

export interface NamespaceArguments {
  /** Name of the namespace: a DNS-1123 label. */
  readonly name: string;
  /** Create it, or use one that exists and is owned by someone else. @default true */
  readonly create?: boolean;
  /** Labels of a namespace that is created. @default none */
  readonly labels?: Readonly<Record<string, string>>;
}

/** A Kubernetes namespace, created or only named. */
export class Namespace extends pulumi.ComponentResource {
  /** Name of the namespace; resources that use it wait until it exists. */
  readonly namespaceName: pulumi.Output<string>;

  /** @throws pulumi.RunError when the name is not a DNS-1123 label. */
  constructor(name: string, args: NamespaceArguments, options?: pulumi.ComponentResourceOptions) {
    const problem = labelProblem(args.name);
    refuse(`Namespace "${name}"`, problem ? [{ path: 'name', problem }] : []);
    super('development-operations:namespace:Namespace', name, {}, options);
    this.namespaceName = args.create === false ? pulumi.output(args.name) : this.createNamespace(name, args);
    this.registerOutputs({ namespaceName: this.namespaceName });
  }

  private createNamespace(name: string, args: NamespaceArguments): pulumi.Output<string> {
    const namespace = new KubernetesNamespace(
      `${name}-namespace`,
      { metadata: { name: args.name, labels: { ...args.labels, 'app.kubernetes.io/managed-by': 'pulumi' } } },
      { parent: this },
    );
    return namespace.metadata.name;
  }
}
