/**
 * The inputs of an Image in the form that the state holds: the official provider stores every scalar of every object
 * that is there, with its default or zero value, and leaves absent lists and maps out.
 */

import {
  isMap,
  isSecret,
  isUnknown,
  type PropertyMap,
  type PropertyValue,
  Secret,
  unwrap,
} from '../framework/values.ts';

/** Defaults of an object's scalars by property name. */
type Defaults = Readonly<Record<string, PropertyValue>>;

const COMPRESSION: Defaults = { compression: 'gzip', compressionLevel: 0, forceCompression: false };
const IMAGE: Defaults = { ...COMPRESSION, ociMediaTypes: false, store: true, danglingNamePrefix: '' };
const DOCKER: Defaults = { ...COMPRESSION, ociMediaTypes: false, tar: true, dest: '' };
const MODE: Defaults = { mode: 'min', ignoreError: false };

const EXPORTS: Readonly<Record<string, Defaults>> = {
  cacheonly: {},
  docker: DOCKER,
  image: IMAGE,
  local: { dest: '' },
  oci: { ...DOCKER, ociMediaTypes: true },
  registry: { ...IMAGE, push: true },
  tar: { dest: '' },
};

function s3(): Defaults {
  const env = process.env;
  return {
    accessKeyId: env.AWS_ACCESS_KEY_ID ?? '',
    blobsPrefix: '',
    bucket: '',
    endpointUrl: '',
    manifestsPrefix: '',
    name: '',
    region: env.AWS_REGION ?? '',
    secretAccessKey: env.AWS_SECRET_ACCESS_KEY ?? '',
    sessionToken: env.AWS_SESSION_TOKEN ?? '',
  };
}

function cacheFrom(): Readonly<Record<string, Defaults>> {
  return {
    azblob: { accountUrl: '', name: '', secretAccessKey: '' },
    gha: { scope: 'buildkit' },
    local: { digest: '', src: '' },
    registry: { ref: '' },
    s3: s3(),
  };
}

function cacheTo(): Readonly<Record<string, Defaults>> {
  return {
    azblob: { accountUrl: '', name: '', secretAccessKey: '', ...MODE },
    gha: { scope: 'buildkit', ...MODE },
    inline: {},
    local: { dest: '', ...COMPRESSION, ...MODE },
    registry: { ref: '', ...COMPRESSION, ...MODE, ociMediaTypes: true, imageManifest: false },
    s3: { ...s3(), ...MODE },
  };
}

/** Every input of an Image that may be absent from the state. */
const OPTIONAL = [
  'addHosts',
  'buildArgs',
  'ignoreSecretsInDiffCalculation',
  'labels',
  'platforms',
  'secrets',
  'tags',
] as const;

const SECRET_KEYS = new Set(['password', 'secretAccessKey', 'sessionToken']);

export const INPUTS: ReadonlySet<string> = new Set([
  ...OPTIONAL,
  'buildOnPreview',
  'builder',
  'cacheFrom',
  'cacheTo',
  'context',
  'dockerfile',
  'exec',
  'exports',
  'load',
  'network',
  'noCache',
  'pull',
  'push',
  'registries',
  'ssh',
  'target',
]);

/** Inputs with defaults and secret marks, as Check returns them and the state keeps them. UNKNOWN stays. */
export function fillInputs(given: PropertyMap): PropertyMap {
  const filled: PropertyMap = {
    buildOnPreview: given.buildOnPreview ?? true,
    exec: given.exec ?? false,
    load: given.load ?? false,
    network: given.network ?? 'default',
    noCache: given.noCache ?? false,
    pull: given.pull ?? false,
    push: given.push ?? false,
    target: given.target ?? '',
  };
  for (const key of OPTIONAL) {
    const value = given[key];
    if (value !== undefined && value !== null) filled[key] = key === 'secrets' ? secret(value) : value;
  }
  const nested: Readonly<Record<string, (value: PropertyValue) => PropertyValue>> = {
    builder: (value) => fill(value, { name: '' }),
    cacheFrom: (value) => each(value, (item) => fillUnion(item, cacheFrom())),
    cacheTo: (value) => each(value, (item) => fillUnion(item, cacheTo())),
    exports: (value) => each(value, (item) => fillUnion(item, EXPORTS)),
    registries: (value) => each(value, (item) => fill(item, { address: '', password: '', username: '' })),
    ssh: (value) => each(value, (item) => fill(item, { id: '' })),
  };
  for (const [key, complete] of Object.entries(nested)) {
    const value = given[key];
    if (value !== undefined && value !== null) filled[key] = complete(value);
  }
  filled.context = fill(given.context ?? {}, { location: '.' });
  filled.dockerfile = fillDockerfile(given.dockerfile ?? {}, filled.context);
  return filled;
}

/** The Dockerfile is `<context>/Dockerfile` where neither a place nor a text is given and the context is a directory. */
function fillDockerfile(given: PropertyValue, context: PropertyValue): PropertyValue {
  const filled = fill(given, { inline: '', location: '' });
  if (!isMap(filled) || filled.location !== '' || filled.inline !== '') return filled;
  const location = isMap(context) ? unwrap(context.location ?? null) : null;
  if (typeof location !== 'string' || location === '' || isRemote(location)) return filled;
  return { ...filled, location: joinPath(location, 'Dockerfile') };
}

/** Go's filepath.Join, which also cleans: `./app` and `Dockerfile` give `app/Dockerfile`. */
function joinPath(directory: string, name: string): string {
  const parts: string[] = [];
  for (const part of directory.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else parts.push(part);
  }
  return (directory.startsWith('/') ? '/' : '') + [...parts, name].join('/');
}

/** A context or Dockerfile that BuildKit fetches itself: a URL or a git reference (docker's urlutil rules). */
export function isRemote(location: string): boolean {
  return /^https?:\/\//.test(location) || /^(git:\/\/|github\.com\/|git@|ssh:\/\/)/.test(location);
}

function each(value: PropertyValue, complete: (item: PropertyValue) => PropertyValue): PropertyValue {
  if (isSecret(value)) return new Secret(each(value.value, complete));
  return Array.isArray(value) ? value.map(complete) : value;
}

function fill(value: PropertyValue, defaults: Defaults): PropertyValue {
  if (isSecret(value)) return new Secret(unwrap(fill(value.value, defaults)));
  if (!isMap(value)) return value;
  const filled: PropertyMap = { ...defaults };
  for (const [key, item] of Object.entries(value)) if (item !== null) filled[key] = item;
  for (const key of Object.keys(filled)) if (SECRET_KEYS.has(key)) filled[key] = secret(filled[key] ?? '');
  return filled;
}

/** An entry of exports, cacheFrom or cacheTo: one kind is set, or a raw text. */
function fillUnion(value: PropertyValue, kinds: Readonly<Record<string, Defaults>>): PropertyValue {
  const filled = fill(value, { disabled: false, raw: '' });
  if (!isMap(filled)) return filled;
  return Object.fromEntries(
    Object.entries(filled).map(([key, item]) => {
      const defaults = kinds[key];
      return [key, defaults ? fill(item, defaults) : item];
    }),
  );
}

function secret(value: PropertyValue): PropertyValue {
  if (isUnknown(value)) return value;
  return new Secret(unwrap(value));
}
