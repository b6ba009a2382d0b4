/** An Image's inputs as plain values, for the code that builds. */

import type { RegistryCredentials } from '../docker/credentials.ts';
import { isMap, type PropertyMap, type PropertyValue, unwrapMap } from '../framework/values.ts';

/** An entry of exports, cacheFrom or cacheTo: `{ <kind>: {…} }` or `{ raw }`. */
export type Union = Readonly<Record<string, unknown>>;

export interface ImageInputs {
  readonly addHosts: readonly string[];
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly buildOnPreview: boolean;
  readonly builder: string;
  readonly cacheFrom: readonly Union[];
  readonly cacheTo: readonly Union[];
  readonly context: string;
  readonly named: Readonly<Record<string, string>>;
  readonly dockerfile: string;
  readonly inline: string;
  readonly exec: boolean;
  readonly exports: readonly Union[];
  readonly labels: Readonly<Record<string, string>>;
  readonly load: boolean;
  readonly network: string;
  readonly noCache: boolean;
  readonly platforms: readonly string[];
  readonly pull: boolean;
  readonly push: boolean;
  readonly registries: readonly RegistryCredentials[];
  readonly secrets: Readonly<Record<string, string>>;
  readonly ssh: readonly { readonly id: string; readonly paths: readonly string[] }[];
  readonly tags: readonly string[];
  readonly target: string;
}

/** Reads inputs (or a state) that hold no unknown value. */
export function toImageInputs(map: PropertyMap): ImageInputs {
  const plain = unwrapMap(map);
  const context = asMap(plain.context);
  const dockerfile = asMap(plain.dockerfile);
  return {
    addHosts: strings(plain.addHosts),
    buildArgs: stringMap(plain.buildArgs),
    buildOnPreview: plain.buildOnPreview !== false,
    builder: text(asMap(plain.builder).name),
    cacheFrom: unions(plain.cacheFrom),
    cacheTo: unions(plain.cacheTo),
    context: text(context.location),
    named: Object.fromEntries(
      Object.entries(asMap(context.named)).map(([name, value]) => [name, text(asMap(value).location)]),
    ),
    dockerfile: text(dockerfile.location),
    inline: text(dockerfile.inline),
    exec: plain.exec === true,
    exports: unions(plain.exports),
    labels: stringMap(plain.labels),
    load: plain.load === true,
    network: text(plain.network) || 'default',
    noCache: plain.noCache === true,
    platforms: strings(plain.platforms),
    pull: plain.pull === true,
    push: plain.push === true,
    registries: registries(plain.registries),
    secrets: stringMap(plain.secrets),
    ssh: list(plain.ssh).map((item) => ({ id: text(asMap(item).id), paths: strings(asMap(item).paths) })),
    tags: strings(plain.tags),
    target: text(plain.target),
  };
}

/** A list of `{address, username, password}`. */
export function registries(value: PropertyValue | undefined): RegistryCredentials[] {
  return list(value).map((item) => {
    const fields = asMap(item);
    return { address: text(fields.address), username: text(fields.username), password: text(fields.password) };
  });
}

function asMap(value: PropertyValue | undefined): PropertyMap {
  return isMap(value) ? value : {};
}

function list(value: PropertyValue | undefined): PropertyValue[] {
  return Array.isArray(value) ? value : [];
}

function text(value: PropertyValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function strings(value: PropertyValue | undefined): string[] {
  return list(value).filter((item): item is string => typeof item === 'string');
}

function unions(value: PropertyValue | undefined): Union[] {
  return list(value).filter(isMap) as Union[];
}

function stringMap(value: PropertyValue | undefined): Record<string, string> {
  const entries = Object.entries(asMap(value)).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return Object.fromEntries(entries);
}
