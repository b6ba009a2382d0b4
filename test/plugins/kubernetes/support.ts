/** What the tests of the kubernetes plugin share: small objects, and looking into answers. */

import assert from 'node:assert/strict';
import type { PropertyMap, PropertyValue } from '../../../plugins/framework/values.ts';
import { isMap, isSecret, isUnknown, unwrapMap } from '../../../plugins/framework/values.ts';
import { getString } from '../../../plugins/kubernetes/object.ts';
import { PluginError } from '../client.ts';

export const MAP = 'kubernetes:core/v1:ConfigMap';

export const configMap = (data: PropertyMap, metadata: PropertyMap = {}): PropertyMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata,
  data,
});

/** Not waited for: there is no kubelet. */
export const deployment = (spec: PropertyMap, metadata: PropertyMap = {}): PropertyMap => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { annotations: { 'pulumi.com/skipAwait': 'true' }, ...metadata },
  spec: {
    replicas: 0,
    selector: { matchLabels: { app: 'a' } },
    template: { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'a', image: 'a:1' }] } },
    ...spec,
  },
});

/** Text of everything that is not marked secret. */
export function openText(value: PropertyValue): string {
  if (isSecret(value) || isUnknown(value)) return '';
  if (Array.isArray(value)) return value.map(openText).join('\n');
  return isMap(value) ? Object.values(value).map(openText).join('\n') : String(value);
}

export const at = (value: PropertyMap, ...path: string[]): string => getString(unwrapMap(value), ...path);

export async function rejection(promise: Promise<unknown>): Promise<PluginError> {
  const error: unknown = await promise.then(
    () => assert.fail('should have failed'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof PluginError, String(error));
  return error;
}
