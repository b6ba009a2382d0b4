import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Finding } from '../findings.ts';
import { subdomainProblem } from '../kubernetes/names.ts';

/** One Kubernetes object of a resource file. */
export interface ResourceDocument {
  /** File, relative to the folder that was read, with `/`. */
  readonly file: string;
  /** Number of the document in its file, from 1. */
  readonly index: number;
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** The namespace that the document names itself, if any. */
  readonly namespace: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface ReadOptions {
  /** Folder that holds the files. */
  readonly directory: string;
  /** Patterns relative to the folder: `*`, `**`, `?` and `{a,b}`. */
  readonly patterns: readonly string[];
  /** Cluster-scoped kinds that are allowed nevertheless. @default none */
  readonly allowClusterScoped?: readonly string[];
}

export interface ReadResult {
  readonly documents: readonly ResourceDocument[];
  readonly findings: readonly Finding[];
}

/** Kinds of Kubernetes 1.34 itself that belong to no namespace (`kubectl api-resources --namespaced=false`). */
const CLUSTER_SCOPED = new Set(
  (
    'APIService CertificateSigningRequest ClusterRole ClusterRoleBinding ClusterTrustBundle ComponentStatus CSIDriver ' +
    'CSINode CustomResourceDefinition DeviceClass FlowSchema IngressClass IPAddress MutatingWebhookConfiguration ' +
    'Namespace Node PersistentVolume PriorityClass PriorityLevelConfiguration ResourceSlice RuntimeClass ServiceCIDR ' +
    'StorageClass ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration ' +
    'VolumeAttachment VolumeAttributesClass'
  ).split(' '),
);

/** Reads the files that match, sorted by name, and says everything that is wrong with them. Throws nothing. */
export function readResourceFiles(options: ReadOptions): ReadResult {
  const findings: Finding[] = [];
  const documents: ResourceDocument[] = [];
  if (!existsSync(options.directory)) {
    return {
      documents,
      findings: [{ path: options.directory, problem: 'does not exist: name the folder of the application' }],
    };
  }
  const files = listFiles(options.directory);
  const matched = new Set<string>();
  for (const pattern of options.patterns) {
    const expression = globExpression(pattern);
    const hits = files.filter((file) => expression.test(file));
    if (hits.length === 0) findings.push({ path: pattern, problem: `matches no file in ${options.directory}` });
    for (const hit of hits) matched.add(hit);
  }
  for (const file of [...matched].sort()) {
    const parsed = parseResources(file, readFileSync(join(options.directory, file), 'utf8'));
    documents.push(...parsed.documents);
    findings.push(...parsed.findings);
  }
  findings.push(...documentFindings(documents, options.allowClusterScoped ?? []));
  return { documents, findings };
}

/** The documents of one file; `List` kinds are replaced by their items. */
export function parseResources(file: string, text: string): ReadResult {
  const documents: ResourceDocument[] = [];
  const findings: Finding[] = [];
  // An empty file parses to an object without documents.
  const parsed = parseAllDocuments(text);
  for (const [position, document] of (Array.isArray(parsed) ? parsed : []).entries()) {
    const index = position + 1;
    const path = `${file}, document ${index}`;
    if (document.errors.length > 0) {
      findings.push({
        path,
        problem: `is not valid YAML: ${document.errors[0]?.message.split('\n')[0] ?? 'unknown error'}`,
      });
      continue;
    }
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: 100 });
    } catch (error) {
      findings.push({ path, problem: `is not valid YAML: ${error instanceof Error ? error.message : String(error)}` });
      continue;
    }
    if (value === null || value === undefined) continue;
    collect(file, index, value, documents, findings);
  }
  return { documents, findings };
}

function collect(
  file: string,
  index: number,
  value: unknown,
  documents: ResourceDocument[],
  findings: Finding[],
): void {
  const path = `${file}, document ${index}`;
  if (!isRecord(value)) {
    findings.push({
      path,
      problem: 'is not a Kubernetes object: expected a mapping with apiVersion, kind and metadata',
    });
    return;
  }
  const { apiVersion, kind, items } = value;
  if (typeof apiVersion !== 'string' || apiVersion === '' || typeof kind !== 'string' || kind === '') {
    findings.push({
      path,
      problem: 'has no apiVersion or no kind: both are texts, such as "apps/v1" and "Deployment"',
    });
    return;
  }
  if (kind.endsWith('List') && Array.isArray(items)) {
    for (const item of items) collect(file, index, item, documents, findings);
    return;
  }
  const metadata = isRecord(value.metadata) ? value.metadata : {};
  const { name, namespace } = metadata;
  if (typeof name !== 'string' || name === '') {
    findings.push({ path, problem: `(${kind}) has no metadata.name: generated names cannot be kept in a stack` });
    return;
  }
  documents.push({
    file,
    index,
    apiVersion,
    kind,
    name,
    namespace: typeof namespace === 'string' && namespace !== '' ? namespace : undefined,
    body: value,
  });
}

function documentFindings(documents: readonly ResourceDocument[], allowed: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  const seen = new Map<string, string>();
  for (const document of documents) {
    const path = `${document.file}, document ${document.index}`;
    const what = `${document.kind} "${document.name}"`;
    // The names of roles and bindings may hold any path segment, such as "system:reader".
    const nameProblem = document.apiVersion.startsWith('rbac.') ? undefined : subdomainProblem(document.name);
    if (nameProblem) findings.push({ path, problem: `metadata.name ${nameProblem}` });
    if (isClusterScoped(document) && !allowed.includes(document.kind)) {
      findings.push({
        path,
        problem: `${what} belongs to no namespace and would touch the whole cluster: allow the kind ("allowClusterScoped") or take it out`,
      });
    }
    if (document.apiVersion === 'v1' && document.kind === 'Secret' && holdsValues(document.body)) {
      findings.push({
        path,
        problem: `${what} holds secret values in plain text: declare them under "secrets" of the application and take the document out`,
      });
    }
    const key = documentKey(document);
    const earlier = seen.get(key);
    if (earlier) findings.push({ path, problem: `${what} is already defined in ${earlier}: keep one of them` });
    else seen.set(key, path);
  }
  return findings;
}

/** Whether a document's kind belongs to no namespace; custom kinds count as namespaced. */
export function isClusterScoped(document: Pick<ResourceDocument, 'apiVersion' | 'kind'>): boolean {
  const group = document.apiVersion.includes('/') ? (document.apiVersion.split('/')[0] ?? '') : '';
  const builtIn = !group.includes('.') || group.endsWith('.k8s.io');
  return builtIn && CLUSTER_SCOPED.has(document.kind);
}

/** Group, kind, namespace and name: what makes an object one and the same, whatever its version. */
export function documentKey(document: ResourceDocument): string {
  const group = document.apiVersion.includes('/') ? document.apiVersion.split('/')[0] : '';
  return [group, document.kind, document.namespace ?? '', document.name].join('/');
}

function holdsValues(body: Readonly<Record<string, unknown>>): boolean {
  return ['data', 'stringData'].some((field) => {
    const values = body[field];
    return isRecord(values) && Object.keys(values).length > 0;
  });
}

function listFiles(directory: string, prefix = ''): string[] {
  return readdirSync(join(directory, prefix.split('/').join(sep)), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name === '.git') return [];
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    return entry.isDirectory() ? listFiles(directory, path) : [path];
  });
}

/** A pattern as a regular expression over paths with `/`. */
export function globExpression(pattern: string): RegExp {
  const source = pattern.replace(/\*\*\/|\*\*|\*|\?|\{[^{}]*\}|[.+^$()|[\]\\{}]/g, (token) => {
    if (token === '**/') return '(?:[^/]+/)*';
    if (token === '**') return '.*';
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    if (token.length > 1) return `(?:${token.slice(1, -1).split(',').map(literally).join('|')})`;
    return `\\${token}`;
  });
  return new RegExp(`^${source}$`);
}

function literally(text: string): string {
  return text.replace(/[.*+?^$()|[\]\\{}]/g, '\\$&');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
