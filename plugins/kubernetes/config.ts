/** The provider's configuration (`kubernetes:…` in a stack, or the arguments of `new kubernetes.Provider`). */

import type { CheckFailure } from '../framework/provider.ts';
import type { PropertyMap, PropertyValue } from '../framework/values.ts';
import { isMap, isUnknown, unwrap } from '../framework/values.ts';

export interface ProviderConfig {
  /** Text of a kubeconfig, or a path to one. */
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly cluster?: string;
  /** For objects that name no namespace. @default that of the context, else `default` */
  readonly namespace?: string;
  /** @default true */
  readonly enableServerSideApply: boolean;
  readonly enablePatchForce: boolean;
  readonly enableSecretMutable: boolean;
  readonly enableConfigMapMutable: boolean;
  readonly upsertExistingObjects: boolean;
  readonly deleteUnreachable: boolean;
  readonly skipUpdateUnreachable: boolean;
  readonly suppressHelmHookWarnings: boolean;
}

/** Options with the environment variable that stands in for each, as in the official provider. */
const SWITCHES = {
  enableServerSideApply: 'PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY',
  enablePatchForce: 'PULUMI_K8S_ENABLE_PATCH_FORCE',
  enableSecretMutable: 'PULUMI_K8S_ENABLE_SECRET_MUTABLE',
  enableConfigMapMutable: 'PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE',
  upsertExistingObjects: 'PULUMI_K8S_UPSERT_EXISTING_OBJECTS',
  deleteUnreachable: 'PULUMI_K8S_DELETE_UNREACHABLE',
  skipUpdateUnreachable: 'PULUMI_K8S_SKIP_UPDATE_UNREACHABLE',
  suppressHelmHookWarnings: 'PULUMI_K8S_SUPPRESS_HELM_HOOK_WARNINGS',
} as const;
type Switch = keyof typeof SWITCHES;

const TEXTS = ['kubeconfig', 'context', 'cluster', 'namespace', 'clusterIdentifier'] as const;
/** Accepted and without effect here: client tuning, Helm, warnings that this plugin does not give. */
const IGNORED = ['kubeClientSettings', 'helmReleaseSettings', 'suppressDeprecationWarnings', 'strictMode'];
/** The engine's own. */
const RESERVED = ['version', 'pluginDownloadURL', 'pluginChecksums', '__internal'];
const OFFICIAL_ONLY = ['renderYamlToDirectory', 'alwaysRender', 'rejectUnknownResources'];

/** Everything that is wrong with the configuration, at once. */
export function configFailures(inputs: PropertyMap): CheckFailure[] {
  const failures: CheckFailure[] = [];
  for (const [key, marked] of Object.entries(inputs)) {
    const value = unwrap(marked);
    if (value === null || isUnknown(value) || RESERVED.includes(key) || IGNORED.includes(key)) continue;
    if (OFFICIAL_ONLY.includes(key)) {
      if (!isOff(value)) failures.push({ property: key, reason: `${key} needs the official plugin.` });
    } else if (key in SWITCHES) {
      if (asBoolean(value) === undefined) {
        failures.push({ property: key, reason: `kubernetes:${key} must be true or false.` });
      }
    } else if ((TEXTS as readonly string[]).includes(key)) {
      if (typeof value !== 'string' && !(key === 'kubeconfig' && isMap(value))) {
        failures.push({ property: key, reason: `kubernetes:${key} must be text.` });
      }
    } else {
      const known = [...TEXTS, ...Object.keys(SWITCHES), ...IGNORED].sort().join(', ');
      failures.push({
        property: key,
        reason: `"${key}" is not an option of the kubernetes provider. Options: ${known}.`,
      });
    }
  }
  return failures;
}

/** @throws Error listing every failure of {@link configFailures}. */
export function parseConfig(inputs: PropertyMap): ProviderConfig {
  const failures = configFailures(inputs);
  if (failures.length > 0) throw new Error(failures.map((failure) => failure.reason).join('\n'));
  return {
    kubeconfig: kubeconfigText(inputs.kubeconfig),
    context: asText(inputs.context),
    cluster: asText(inputs.cluster),
    namespace: asText(inputs.namespace),
    enableServerSideApply: isOn(inputs, 'enableServerSideApply', true),
    enablePatchForce: isOn(inputs, 'enablePatchForce', false),
    enableSecretMutable: isOn(inputs, 'enableSecretMutable', false),
    enableConfigMapMutable: isOn(inputs, 'enableConfigMapMutable', false),
    upsertExistingObjects: isOn(inputs, 'upsertExistingObjects', false),
    deleteUnreachable: isOn(inputs, 'deleteUnreachable', false),
    skipUpdateUnreachable: isOn(inputs, 'skipUpdateUnreachable', false),
    suppressHelmHookWarnings: isOn(inputs, 'suppressHelmHookWarnings', false),
  };
}

/** Nested values arrive as objects or as JSON text, depending on the SDK. */
export function kubeconfigText(value: PropertyValue | undefined): string | undefined {
  const plain = unwrap(value ?? null);
  if (typeof plain === 'string') return plain;
  return isMap(plain) ? JSON.stringify(plain) : undefined;
}

function asText(value: PropertyValue | undefined): string | undefined {
  const plain = unwrap(value ?? null);
  return typeof plain === 'string' && plain !== '' ? plain : undefined;
}

function asBoolean(value: PropertyValue): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (value === 'true') return true;
  return value === 'false' || value === '' ? false : undefined;
}

const isOff = (value: PropertyValue): boolean => value === '' || asBoolean(value) === false;

function isOn(inputs: PropertyMap, key: Switch, fallback: boolean): boolean {
  const given = asBoolean(unwrap(inputs[key] ?? null));
  if (given !== undefined) return given;
  const environment = process.env[SWITCHES[key]];
  return environment === undefined ? fallback : environment === 'true';
}
