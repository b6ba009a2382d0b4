/** Reads chosen files of an image from its layers in the registry; nothing is written to disk. */

import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { WorkflowError } from '../../failure.ts';

export interface Layer {
  readonly mediaType: string;
  readonly digest: string;
}

/** Marks of what an upper layer takes away (OCI image specification, layer.md, "Whiteouts"). */
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/**
 * The texts of the files that the image has in the end.
 *
 * @param layers from the lowest up
 * @param open the content of a layer, as the registry keeps it
 * @param wanted tells the files by path, without a leading `/`
 */
export async function readFiles(
  layers: readonly Layer[],
  open: (layer: Layer) => Promise<Readable>,
  wanted: (path: string) => boolean,
): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const layer of layers) {
    const { added, removed } = await readLayer(layer, await open(layer), wanted);
    for (const path of files.keys()) if (removed.some((prefix) => isBelow(path, prefix))) files.delete(path);
    for (const [path, content] of added) files.set(path, content);
  }
  return files;
}

async function readLayer(layer: Layer, content: Readable, wanted: (path: string) => boolean) {
  const added = new Map<string, string>();
  const removed: string[] = [];
  const tar = extract();
  const reading = (async () => {
    for await (const entry of tar) {
      const path = entry.header.name.replace(/^\.?\//, '').replace(/\/$/, '');
      const slash = path.lastIndexOf('/');
      const [folder, name] = [path.slice(0, Math.max(slash, 0)), path.slice(slash + 1)];
      if (name === OPAQUE) removed.push(folder);
      else if (name.startsWith(WHITEOUT))
        removed.push(`${folder === '' ? '' : `${folder}/`}${name.slice(WHITEOUT.length)}`);
      else if (entry.header.type === 'file' && wanted(path)) {
        added.set(path, await text(entry));
        continue;
      }
      entry.resume();
    }
  })();
  const unpack = decompressor(layer);
  await Promise.all([unpack ? pipeline(content, unpack, tar) : pipeline(content, tar), reading]);
  return { added, removed };
}

function decompressor({ mediaType, digest }: Layer) {
  if (/(\.gzip|\+gzip)$/.test(mediaType)) return createGunzip();
  if (/\.tar$/.test(mediaType)) return undefined;
  throw new WorkflowError(
    `the SBOM cannot be made: the layer ${digest} is compressed as ${mediaType}`,
    'build with gzip layers, which is the default, or leave the SBOM out (the option attestations)',
  );
}

function isBelow(path: string, prefix: string): boolean {
  return prefix === '' || path === prefix || path.startsWith(`${prefix}/`);
}
