/** What is in a packed package. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';

export interface Contents {
  /** Of package.json. */
  readonly name: string;
  readonly version: string;
  /** Files with the hash of their contents, sorted: the same whenever and by whatever npm it was packed. */
  readonly files: readonly string[];
}

/** Reads a `.tgz` file as npm makes it: everything below one folder. Throws when it is none. */
export async function contentsOf(file: string): Promise<Contents> {
  const files: string[] = [];
  let manifest = '';
  const unpack = extract();
  unpack.on('entry', (header, stream, next) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk) => chunks.push(chunk as Buffer));
    stream.on('end', () => {
      if (header.type !== 'directory') {
        const path = header.name.replace(/^[^/]+\//, '');
        const data = Buffer.concat(chunks);
        const executable = ((header.mode ?? 0) & 0o111) !== 0;
        if (path === 'package.json') manifest = data.toString('utf8');
        files.push(`${path} ${executable ? 'x' : '-'} ${createHash('sha512').update(data).digest('hex')}`);
      }
      next();
    });
  });
  await pipeline(createReadStream(file), createGunzip(), unpack);
  if (manifest === '') throw new Error(`${file} holds no package.json`);
  const { name, version } = JSON.parse(manifest) as { name: string; version: string };
  return { name, version, files: files.sort() };
}

/** Paths that differ between two packages, sorted. */
export function differences(one: Contents, other: Contents): string[] {
  const [a, b] = [new Set(one.files), new Set(other.files)];
  const changed = [...one.files.filter((file) => !b.has(file)), ...other.files.filter((file) => !a.has(file))];
  return [...new Set(changed.map((file) => file.slice(0, file.lastIndexOf(' ') - 2)))].sort();
}
