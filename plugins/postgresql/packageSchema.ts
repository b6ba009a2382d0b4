/** The package's schema for the types that are here: `pulumi import` writes code from it. */

import type { Field } from './definitions.ts';
import { TYPES } from './types.ts';

type TypeSpec = Readonly<Record<string, unknown>>;

const ANY_OBJECT: TypeSpec = { type: 'object', additionalProperties: { $ref: 'pulumi.json#/Any' } };

function typeSpec(field: Field): TypeSpec {
  if (field.type === 'list' || field.type === 'set') return { type: 'array', items: { type: 'string' } };
  if (field.type === 'objects') return { type: 'array', items: ANY_OBJECT };
  return { type: field.type, ...(field.secret ? { secret: true } : {}) };
}

/** JSON of a Pulumi package schema. */
export function packageSchema(plugin: { readonly name: string; readonly version: string }): string {
  const resources = Object.entries(TYPES).map(
    ([
      token,
      {
        definition: { fields },
      },
    ]) => {
      const specs = Object.entries(fields).map(([name, field]): [string, TypeSpec] => [name, typeSpec(field)]);
      const properties = Object.fromEntries(specs);
      // A name that is not given is made up (autonaming).
      const required = Object.keys(fields).filter((name) => fields[name]?.required && name !== 'name');
      return [token, { properties, required, inputProperties: properties, requiredInputs: required }];
    },
  );
  return JSON.stringify({ name: plugin.name, version: plugin.version, resources: Object.fromEntries(resources) });
}
