/** Names: what the API server accepts, and what is made up when the program gives none. */

import { createHash, randomBytes } from 'node:crypto';
import type { CheckFailure } from '../framework/provider.ts';
import { AUTONAMED, isTrue } from './annotations.ts';
import type { GroupVersionKind, KubernetesObject } from './object.ts';
import { get, getString, withAnnotation, withMetadata } from './object.ts';

/** Kubernetes documentation, "Object Names and IDs". */
const RULES = {
  subdomain: {
    pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    maximum: 253,
    text: "lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit (RFC 1123 subdomain)",
  },
  label: {
    pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
    maximum: 63,
    text: "lower-case letters, digits and '-', beginning and ending with a letter or digit (RFC 1123 label)",
  },
  dnsLabel: {
    pattern: /^[a-z]([-a-z0-9]*[a-z0-9])?$/,
    maximum: 63,
    text: "lower-case letters, digits and '-', beginning with a letter (RFC 1035 label)",
  },
  segment: { pattern: /^(?!\.{1,2}$)[^/%]+$/, maximum: 253, text: "no '/' and no '%', not '.' or '..' (path segment)" },
} as const;

function ruleFor(gvk: GroupVersionKind): (typeof RULES)[keyof typeof RULES] {
  if (gvk.group === 'rbac.authorization.k8s.io') return RULES.segment;
  if (gvk.group === '' && gvk.kind === 'Service') return RULES.dnsLabel;
  if (gvk.group === '' && gvk.kind === 'Namespace') return RULES.label;
  // Some built-in kinds (certificate requests, API services) and custom resources have their own, laxer ways.
  return RULES.subdomain;
}

const describe = (name: string, rule: (typeof RULES)[keyof typeof RULES]): string =>
  `"${name}" is not a name that Kubernetes accepts: ${rule.text}, at most ${rule.maximum} characters`;

/** Checks `metadata.name` and `metadata.namespace` where they are known. */
export function nameFailures(gvk: GroupVersionKind, object: KubernetesObject): CheckFailure[] {
  const failures: CheckFailure[] = [];
  const name = getString(object, 'metadata', 'name');
  const rule = ruleFor(gvk);
  if (name !== '' && (!rule.pattern.test(name) || name.length > rule.maximum)) {
    const cure = isTrue(object, AUTONAMED)
      ? '. It was made from the resource name: set metadata.name, or rename the resource.'
      : '.';
    failures.push({ property: 'metadata.name', reason: describe(name, rule) + cure });
  }
  const namespace = getString(object, 'metadata', 'namespace');
  if (namespace !== '' && (!RULES.label.pattern.test(namespace) || namespace.length > RULES.label.maximum)) {
    failures.push({ property: 'metadata.namespace', reason: `${describe(namespace, RULES.label)}.` });
  }
  return failures;
}

/** True when the object has a name, known or not yet known. */
export function isNamed(object: KubernetesObject): boolean {
  const name = get(object, 'metadata', 'name');
  return name !== undefined && name !== null && name !== '';
}

export const isGenerateName = (object: KubernetesObject): boolean => {
  const prefix = get(object, 'metadata', 'generateName');
  return !isNamed(object) && prefix !== undefined && prefix !== null && prefix !== '';
};

/** `<resource name>-<8 hex digits>`, the digits from the seed where there is one. */
export function autoname(resourceName: string, seed: Uint8Array): string {
  const suffix =
    seed.length === 0
      ? randomBytes(4).toString('hex')
      : createHash('sha256').update(seed).update(resourceName).digest('hex').slice(0, 8);
  return `${resourceName}-${suffix}`;
}

/** Names the object unless it has a name, and says so in an annotation: such objects need not be deleted before they are replaced. */
export function withAutoname(object: KubernetesObject, resourceName: string, seed: Uint8Array): KubernetesObject {
  if (isNamed(object) || isGenerateName(object)) return object;
  return withAnnotation(withMetadata(object, 'name', autoname(resourceName, seed)), AUTONAMED, 'true');
}

/** Keeps the made-up name of an earlier run. */
export function adoptAutoname(object: KubernetesObject, old: KubernetesObject): KubernetesObject {
  if (isNamed(object) || !isTrue(old, AUTONAMED)) return object;
  return withAnnotation(withMetadata(object, 'name', getString(old, 'metadata', 'name')), AUTONAMED, 'true');
}
