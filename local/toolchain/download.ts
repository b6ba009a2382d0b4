import { createHash } from 'node:crypto';
import { chmodSync, createReadStream, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from '../run.ts';
import { LocalError, type ToolName } from '../service.ts';
import type { Download } from './sets.ts';

/** Hosts that could not be reached in this run: not tried again for the next tool. */
const unreachable = new Set<string>();

/** The vendor cannot be reached from here; the tool has to be had another way. */
export class Unreachable extends Error {}

const CONNECT_TIMEOUT_S = 5;

/**
 * Downloads one file, compares it with the published checksum and puts the tools that it holds into `directory`.
 *
 * @throws Unreachable when the host does not answer
 * @throws LocalError when the checksum differs: never fallen back from in silence
 */
export async function download(
  item: Download,
  tools: readonly ToolName[],
  directory: string,
  report: (detail: string) => void,
): Promise<void> {
  // The checksum first: small, so an unreachable vendor is found out at once.
  const checksums = await fetchText(item.checksumUrl);
  const name = basename(new URL(item.url).pathname);
  const expected = findChecksum(checksums, name);
  if (expected === undefined) throw new LocalError(`${item.checksumUrl} holds no checksum of ${name}`);

  const archive = join(directory, `${name}.download`);
  const timer = setInterval(() => report(`downloading ${name}, ${megabytes(archive)}`), 1000);
  try {
    await curl(item.url, ['--output', archive], 30 * 60_000);
  } finally {
    clearInterval(timer);
  }
  const actual = await sha256(archive);
  if (actual !== expected) {
    rmSync(archive, { force: true });
    throw new LocalError(
      `${item.url} has the checksum ${actual}, but its vendor publishes ${expected}; it was thrown away. ` +
        'Look for a proxy that changes downloads, or try again',
    );
  }
  if (typeof item.contents === 'string') {
    renameSync(archive, join(directory, item.contents));
    chmodSync(join(directory, item.contents), 0o755);
    return;
  }
  const unpacked = join(directory, 'unpacked');
  mkdirSync(unpacked, { recursive: true });
  const wanted = Object.entries(item.contents).filter(([tool]) => tools.includes(tool as ToolName));
  await run('tar', ['-xzf', archive, '-C', unpacked, ...wanted.map(([, path]) => path)], { timeoutMs: 5 * 60_000 });
  for (const [tool, path] of wanted) {
    renameSync(join(unpacked, path), join(directory, tool));
    chmodSync(join(directory, tool), 0o755);
  }
  rmSync(unpacked, { recursive: true, force: true });
  rmSync(archive, { force: true });
}

/** The checksum of `file` in a published list; a list of one bare checksum is of the only file. */
export function findChecksum(list: string, file: string): string | undefined {
  for (const line of list.split('\n')) {
    const match = /^([0-9a-f]{64})(?:\s+\*?(\S+))?\s*$/i.exec(line);
    if (match !== null && (match[2] === undefined || basename(match[2]) === file)) return match[1]?.toLowerCase();
  }
  return undefined;
}

export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

async function fetchText(url: string): Promise<string> {
  return (await curl(url, [], 30_000)).stdout;
}

/** curl rather than fetch: it knows the user's proxies and certificates. */
async function curl(url: string, args: readonly string[], timeoutMs: number) {
  const host = new URL(url).host;
  if (unreachable.has(host)) throw new Unreachable(`${host} cannot be reached`);
  try {
    return await run(
      'curl',
      [
        '--fail',
        '--silent',
        '--show-error',
        '--location',
        '--connect-timeout',
        String(CONNECT_TIMEOUT_S),
        ...args,
        url,
      ],
      { timeoutMs },
    );
  } catch (error) {
    unreachable.add(host);
    throw new Unreachable(`${host} cannot be reached`, { cause: error });
  }
}

function megabytes(path: string): string {
  try {
    return `${Math.round(statSync(path).size / 1e6)} MB so far`;
  } catch {
    return 'waiting';
  }
}
