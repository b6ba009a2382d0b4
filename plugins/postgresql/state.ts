/** The state and the inputs that a read gives back, in the official plugin's shape. */

import type { PropertyMap, PropertyValue } from '../framework/values.ts';
import { DEFAULTS_KEY, markSecrets } from './check.ts';
import type { Definition } from './definitions.ts';
import { isZero } from './plain.ts';

/** All properties and the id; sets sorted, absent ones null (as Terraform's state has them). */
export function stateOf(definition: Definition, id: PropertyValue, values: PropertyMap): PropertyMap {
  const state: PropertyMap = { id };
  for (const [name, field] of Object.entries(definition.fields)) {
    const value = field.writeOnly ? null : (values[name] ?? null);
    state[name] = field.type === 'set' && Array.isArray(value) ? sortTexts(value) : value;
  }
  return markSecrets(definition, state);
}

function sortTexts(list: readonly PropertyValue[]): PropertyValue[] {
  if (!list.every((item) => typeof item === 'string')) return [...list];
  return [...new Set(list)].sort();
}

/** After a refresh: the inputs that there were, with the values that were found. */
export function refreshedInputs(definition: Definition, oldInputs: PropertyMap, state: PropertyMap): PropertyMap {
  const known = oldInputs[DEFAULTS_KEY];
  let defaults = Array.isArray(known) ? [...known] : [];
  const inputs: PropertyMap = {};
  for (const [name, old] of Object.entries(oldInputs)) {
    if (name === DEFAULTS_KEY) continue;
    const found = state[name];
    if (definition.fields[name]?.writeOnly) inputs[name] = old;
    else if (found === undefined) continue;
    else if (Array.isArray(old) && Array.isArray(found) && definition.fields[name]?.type === 'set') {
      // Elements that are gone go; those that came are in the state only.
      inputs[name] = old.filter((item) => found.includes(item));
    } else inputs[name] = found;
    if (JSON.stringify(inputs[name]) !== JSON.stringify(old)) defaults = defaults.filter((item) => item !== name);
  }
  if (defaults.length > 0) inputs[DEFAULTS_KEY] = defaults;
  return markSecrets(definition, inputs);
}

/** After an import: what differs from the default. */
export function importedInputs(definition: Definition, state: PropertyMap): PropertyMap {
  const inputs: PropertyMap = {};
  for (const [name, field] of Object.entries(definition.fields)) {
    const value = state[name];
    if (value === undefined || value === null) continue;
    const isDefault = field.default === undefined ? isZero(value) : value === field.default;
    if (field.required || !isDefault) inputs[name] = value;
  }
  inputs[DEFAULTS_KEY] = [];
  return markSecrets(definition, inputs);
}
