/** The function kubernetes:yaml:decode: manifests in YAML to a list of objects. */

import { parseAllDocuments } from 'yaml';
import type { PropertyMap, PropertyValue } from '../framework/values.ts';
import { isMap, unwrap } from '../framework/values.ts';
import { knownScope } from './kinds.ts';
import { getList, getString, gvkOf, kindOf, withMetadata } from './object.ts';

/** @throws Error when the text is no YAML, with the place. */
export function decodeYaml(args: PropertyMap, providerNamespace: string | undefined): PropertyMap {
  const text = unwrap(args.text ?? null);
  if (typeof text !== 'string') throw new Error('kubernetes:yaml:decode needs the argument "text".');
  const given = unwrap(args.defaultNamespace ?? null);
  const namespace = typeof given === 'string' && given !== '' ? given : providerNamespace;
  const objects: PropertyMap[] = [];
  for (const document of parseAllDocuments(text)) {
    const error = document.errors[0];
    // The full message quotes the text, which may hold secrets.
    if (error)
      throw new Error(
        `kubernetes:yaml:decode: not valid YAML at line ${error.linePos?.[0].line ?? '?'} (${error.code}).`,
      );
    const value = document.toJS() as PropertyValue;
    if (!isMap(value)) continue;
    objects.push(...(kindOf(value) === 'List' ? getList(value, 'items') : [value]));
  }
  const result = objects.map((object) =>
    namespace !== undefined && getString(object, 'metadata', 'namespace') === '' && knownScope(gvkOf(object)) !== false
      ? withMetadata(object, 'namespace', namespace)
      : object,
  );
  return { result };
}
