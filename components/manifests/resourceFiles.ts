import { getVersion } from '@pulumi/kubernetes/utilities.js';
import * as pulumi from '@pulumi/pulumi';
import { type Finding, refuse } from '../findings.ts';
import { documentKey, isClusterScoped, type ResourceDocument } from './read.ts';

export interface ResourceFilesArguments {
  /** The documents of the files: see readResourceFiles. */
  readonly documents: readonly ResourceDocument[];
  /** Namespace of the documents that name none. */
  readonly namespace: pulumi.Input<string>;
  /** Labels added to every object; the object's own win. @default none */
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * The Kubernetes objects of an application's own resource files, each a resource of the stack.
 * Annotations such as `pulumi.com/skipAwait` work as they do in a program.
 */
export class ResourceFiles extends pulumi.ComponentResource {
  /** The resources, in the order of the files and their documents. */
  readonly resources: readonly pulumi.CustomResource[];
  /** Those of them that pods refer to and that must be there before the first one. */
  readonly prerequisites: readonly pulumi.CustomResource[];

  /** @throws pulumi.RunError when two documents are the same object. */
  constructor(name: string, args: ResourceFilesArguments, options?: pulumi.ComponentResourceOptions) {
    refuse(`ResourceFiles "${name}"`, duplicates(args.documents));
    super('development-operations:manifests:ResourceFiles', name, {}, options);
    this.resources = args.documents.map((document) => this.register(name, document, args));
    this.prerequisites = this.resources.filter((_, index) => PREREQUISITES.has(args.documents[index]?.kind ?? ''));
    this.registerOutputs({ objects: args.documents.map(resourceKey).sort() });
  }

  private register(name: string, document: ResourceDocument, args: ResourceFilesArguments): pulumi.CustomResource {
    return new KubernetesObject(
      typeToken(document),
      `${name}-${resourceKey(document)}`,
      { ...document.body, metadata: metadata(document, args) },
      // Without the version the engine would look for any plugin of this name.
      { parent: this, version: getVersion() },
    );
  }
}

/** Kinds that a pod cannot start, or must not run, without. */
const PREREQUISITES = new Set(
  'ConfigMap LimitRange NetworkPolicy PersistentVolumeClaim PriorityClass ResourceQuota Role RoleBinding Secret ServiceAccount'.split(
    ' ',
  ),
);

/** A Kubernetes object of any kind: the SDK has classes only for the kinds of Kubernetes itself. */
class KubernetesObject extends pulumi.CustomResource {}

/** The SDK's type token of a document: `kubernetes:core/v1:Secret`, `kubernetes:apps/v1:Deployment`. */
export function typeToken(document: Pick<ResourceDocument, 'apiVersion' | 'kind'>): string {
  const module = document.apiVersion.includes('/') ? document.apiVersion : `core/${document.apiVersion}`;
  return `kubernetes:${module}:${document.kind}`;
}

function metadata(document: ResourceDocument, args: ResourceFilesArguments): Record<string, unknown> {
  const own = document.body.metadata as Record<string, unknown>;
  const labels = { ...args.labels, ...(own.labels as Record<string, string> | undefined) };
  const merged: Record<string, unknown> = { ...own };
  if (Object.keys(labels).length > 0) merged.labels = labels;
  if (!isClusterScoped(document)) merged.namespace = document.namespace ?? args.namespace;
  return merged;
}

function resourceKey(document: ResourceDocument): string {
  const parts = [document.kind, document.namespace, document.name].filter((part) => part !== undefined);
  return parts.join('/').toLowerCase();
}

function duplicates(documents: readonly ResourceDocument[]): Finding[] {
  const seen = new Map<string, ResourceDocument>();
  const found: Finding[] = [];
  for (const document of documents) {
    const key = documentKey(document);
    const earlier = seen.get(key);
    if (earlier) {
      found.push({
        path: `${document.file}, document ${document.index}`,
        problem: `${document.kind} "${document.name}" is already defined in ${earlier.file}, document ${earlier.index}: keep one of them`,
      });
    }
    seen.set(key, document);
  }
  return found;
}
