/** Command-line forms of exports and caches (docker buildx build --output, --cache-from, --cache-to). */

import type { ImageInputs, Union } from './model.ts';

type Value = string | number | boolean;
type Pairs = readonly (readonly [string, Value | undefined])[];

/** One `key=value,…` argument, quoted as CSV where a value has a comma or a quote. */
export function csv(pairs: Pairs): string {
  return pairs
    .filter((pair) => pair[1] !== undefined && pair[1] !== '')
    .map(([key, value]) => {
      const field = `${key}=${value}`;
      return /[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
    })
    .join(',');
}

function pick(fields: Readonly<Record<string, unknown>>, names: Readonly<Record<string, string>>): Pairs {
  return Object.entries(names).map(([key, name]) => [name, scalar(fields[key])]);
}

function scalar(value: unknown): Value | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
}

/** Compression is given only with a level: the official provider does so, and BuildKit's own default is gzip. */
function compression(fields: Readonly<Record<string, unknown>>): Pairs {
  const level = fields.compressionLevel;
  if (typeof level !== 'number' || level === 0) return [];
  return [
    ['compression', scalar(fields.compression)],
    ['compression-level', Math.min(level, 22)],
    ['force-compression', scalar(fields.forceCompression)],
  ];
}

function names(fields: Readonly<Record<string, unknown>>): Pairs {
  const list = Array.isArray(fields.names) ? (fields.names as string[]) : [];
  const annotations = Object.entries((fields.annotations ?? {}) as Record<string, string>).sort();
  return [
    // BuildKit takes several names in one attribute, separated by commas.
    ['name', list.join(',')],
    ...annotations.map(([key, value]) => [`annotation.${key}`, value] as const),
  ];
}

const IMAGE_NAMES = {
  push: 'push',
  pushByDigest: 'push-by-digest',
  insecure: 'insecure',
  danglingNamePrefix: 'dangling-name-prefix',
  nameCanonical: 'name-canonical',
  unpack: 'unpack',
  store: 'store',
  ociMediaTypes: 'oci-mediatypes',
};

/** The `--output` argument of one export; '' when it is disabled or not known. */
export function exportArgument(entry: Union): string {
  if (entry.disabled === true) return '';
  const [kind, fields] = kindOf(entry);
  if (kind === 'raw') return String(entry.raw ?? '');
  switch (kind) {
    case '':
      return '';
    case 'image':
    case 'registry':
      return csv([['type', kind], ...pick(fields, IMAGE_NAMES), ...compression(fields), ...names(fields)]);
    case 'docker':
    case 'oci':
      return csv([
        ['type', kind],
        ...pick(fields, { dest: 'dest', tar: 'tar', ociMediaTypes: 'oci-mediatypes' }),
        ...compression(fields),
        ...names(fields),
      ]);
    default:
      return csv([['type', kind], ...pick(fields, { dest: 'dest' })]);
  }
}

const CACHE_NAMES = {
  src: 'src',
  dest: 'dest',
  digest: 'digest',
  ref: 'ref',
  scope: 'scope',
  name: 'name',
  accountUrl: 'account_url',
  region: 'region',
  bucket: 'bucket',
  endpointUrl: 'endpoint_url',
  blobsPrefix: 'blobs_prefix',
  manifestsPrefix: 'manifests_prefix',
  usePathStyle: 'use_path_style',
  mode: 'mode',
  ignoreError: 'ignore-error',
  ociMediaTypes: 'oci-mediatypes',
  imageManifest: 'image-manifest',
};

/** The `--cache-from` or `--cache-to` argument of one entry. Keys of S3 go through the environment, never here. */
export function cacheArgument(entry: Union): string {
  if (entry.disabled === true) return '';
  const [kind, fields] = kindOf(entry);
  if (kind === 'raw') return String(entry.raw ?? '');
  if (kind === '') return '';
  return csv([['type', kind], ...pick(fields, CACHE_NAMES), ...compression(fields)]);
}

/** The kind that is set in a union (`registry`, `local`, …, `raw`), with its fields; '' when none is. */
export function kindOf(entry: Union): readonly [string, Readonly<Record<string, unknown>>] {
  for (const [key, value] of Object.entries(entry)) {
    if (key !== 'disabled' && key !== 'raw' && typeof value === 'object' && value !== null) {
      return [key, value as Readonly<Record<string, unknown>>];
    }
  }
  return entry.raw ? ['raw', {}] : ['', {}];
}

/** True when the export pushes to a registry. */
export function isPush(entry: Union): boolean {
  if (entry.disabled === true) return false;
  const [kind, fields] = kindOf(entry);
  if (kind === 'registry') return fields.push !== false;
  if (kind === 'image') return fields.push === true;
  const raw = kind === 'raw' ? String(entry.raw) : '';
  return /(^|,)type=registry(,|$)/.test(raw) ? !/(^|,)push=false(,|$)/.test(raw) : /(^|,)push=true(,|$)/.test(raw);
}

/** True when any export, or `push`, sends the image to a registry. */
export function isExportedToRegistry(inputs: Pick<ImageInputs, 'push' | 'exports'>): boolean {
  return inputs.push || inputs.exports.some(isPush);
}
