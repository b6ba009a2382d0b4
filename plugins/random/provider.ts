/** The random package: values that are made once and kept in the state until an input changes. */

import { detailedDiff, equalValues, parsePath } from '../framework/diff.ts';
import {
  type CheckFailure,
  type CheckRequest,
  type CheckResult,
  type CreateRequest,
  type CreateResult,
  type DiffRequest,
  type DiffResult,
  type Provider,
  type ReadRequest,
  type ReadResult,
  UnsupportedTypeError,
  type UpdateRequest,
} from '../framework/provider.ts';
import {
  containsSecret,
  isMap,
  isSecret,
  isUnknown,
  type PropertyMap,
  Secret,
  unwrapMap,
} from '../framework/values.ts';
import { RESOURCES, type ResourceDefinition, unknownOutputs } from './resources.ts';

export class RandomProvider implements Provider {
  readonly capabilities = { acceptSecrets: true, supportsPreview: true };

  constructor(private readonly plugin: { readonly name: string; readonly version: string }) {}

  async configure(): Promise<void> {}

  async check({ type, news }: CheckRequest): Promise<CheckResult> {
    const definition = this.#definition(type);
    const failures: CheckFailure[] = [];
    for (const name of definition.required) {
      if (news[name] === undefined || news[name] === null) {
        failures.push({ property: name, reason: `missing required property "${name}"` });
      }
    }
    const plain = unwrapMap(news);
    const { number, numeric } = plain;
    if (typeof number === 'boolean' && typeof numeric === 'boolean' && number !== numeric) {
      const reason = 'number and numeric are both given, with different values; leave out number, which is deprecated';
      failures.push({ property: 'number', reason });
    }
    failures.push(...(definition.validate?.(planned(definition, plain)) ?? []));
    return { inputs: news, failures };
  }

  async diff({ type, olds, oldInputs, news, ignoreChanges }: DiffRequest): Promise<DiffResult> {
    const definition = this.#definition(type);
    // Old outputs rather than old inputs: they hold the defaults of the version that made the resource.
    const before = planned(definition, inputsOf(definition, { ...oldInputs, ...olds }));
    const after = planned(definition, news);
    // An empty overrideSpecial means the usual characters, as an absent one does: an update, not a new secret.
    const replaceOn = (path: string) => path !== 'overrideSpecial' || !equalValues(before[path], '') || path in after;
    const result = detailedDiff(before, after, { ignore: ignoreChanges, replaceOn });
    const detail = Object.entries(result.detailedDiff).map(([path, { kind }]) => {
      // The engine shows the old value from the old inputs or, where they do not name it, from the state.
      return [path, { kind, inputDiff: String(parsePath(path)[0]) in oldInputs }] as const;
    });
    return { ...result, detailedDiff: Object.fromEntries(detail) };
  }

  async create({ type, inputs, preview }: CreateRequest): Promise<CreateResult> {
    const definition = this.#definition(type);
    const plan = planned(definition, inputs);
    if (preview) return { id: '', state: { ...plan, ...unknownOutputs(definition) } };
    const made = await definition.make(unwrapMap(plan));
    return { id: made.id, state: stateOf(definition, plan, made.outputs) };
  }

  async read({ type, id, state, inputs }: ReadRequest): Promise<ReadResult> {
    if (Object.keys(state).length > 0) return { id, state, inputs };
    const definition = this.#definition(type);
    if (!definition.import) throw new Error(`${type} cannot be imported`);
    const imported = await definition.import(id);
    const plan = planned(definition, imported.inputs);
    return { id: imported.id, state: stateOf(definition, plan, imported.outputs), inputs: imported.inputs };
  }

  /** Only what does not force a replacement comes here: an empty text against an absent one. */
  async update({ type, olds, news }: UpdateRequest): Promise<{ state: PropertyMap }> {
    const definition = this.#definition(type);
    const outputs = Object.fromEntries(
      definition.computed.flatMap((name) => (name in olds ? [[name, olds[name]]] : [])),
    );
    return { state: stateOf(definition, planned(definition, news), outputs as PropertyMap) };
  }

  /** A random value exists nowhere but in the state. */
  async delete(): Promise<void> {}

  async invoke({ token }: { readonly token: string }): Promise<never> {
    throw new UnsupportedTypeError(this.plugin, token);
  }

  #definition(type: string): ResourceDefinition {
    const definition = RESOURCES.get(type);
    if (!definition) throw new UnsupportedTypeError(this.plugin, type);
    return definition;
  }
}

function inputsOf(definition: ResourceDefinition, properties: PropertyMap): PropertyMap {
  const names = new Set(['keepers', ...Object.keys(definition.inputs)]);
  return Object.fromEntries(Object.entries(properties).filter(([name]) => names.has(name)));
}

/** Inputs with defaults, absent ones left out: what the resource is, whichever way it was written. */
function planned(definition: ResourceDefinition, inputs: PropertyMap): PropertyMap {
  const plan: PropertyMap = {};
  const keepers = inputs.keepers;
  // Keepers without a value mean none (internal/planmodifiers/map): no reason to make a new secret.
  const keeperValues = isMap(keepers) ? Object.values(keepers).filter((value) => value !== null) : [keepers];
  if (keepers !== undefined && keepers !== null && keeperValues.length > 0) plan.keepers = keepers;
  for (const [name, fallback] of Object.entries(definition.inputs)) {
    const value = inputs[name] ?? fallback;
    if (value !== undefined && value !== null) plan[name] = value;
  }
  if ('numeric' in definition.inputs) {
    const value = inputs.numeric ?? inputs.number ?? true;
    plan.numeric = value;
    plan.number = value;
  }
  return plan;
}

function stateOf(definition: ResourceDefinition, plan: PropertyMap, outputs: PropertyMap): PropertyMap {
  const state: PropertyMap = { ...plan };
  for (const [name, value] of Object.entries(outputs)) {
    const mark = definition.secret.includes(name) && !isSecret(value) && !isUnknown(value);
    state[name] = mark ? new Secret(value) : value;
  }
  // Shuffled results are as secret as what was shuffled.
  if (state.results !== undefined && containsSecret(plan.inputs ?? null)) state.results = new Secret(state.results);
  if (definition.schemaVersion) state.__meta = JSON.stringify({ schema_version: String(definition.schemaVersion) });
  return state;
}
