/**
 * The hash of a build context, equal to the official provider's (its documentation of `contextHash`): the contents of
 * the Dockerfile, then for each file that is not ignored, in the order of names within each directory, its contents
 * (a link: what it points to), its path and its mode as Go writes it (`-rw-r--r--`); then the same for each local
 * named context. Directories, sockets, pipes and devices do not count.
 *
 * One difference: the official walk leaves out what follows a dangling link in the same directory; here the link's
 * text is hashed and the rest counts.
 */

import { createHash, type Hash } from 'node:crypto';
import { createReadStream, lstatSync, readdirSync, readFileSync, type Stats } from 'node:fs';
import { readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { IgnoreRules } from './ignore.ts';

/** Files up to this size are read at once; larger ones are streamed. */
const READ_WHOLE_BYTES = 1024 * 1024;
/** A file changed this recently may change again without a new time stamp, so its hash is not kept. */
const SETTLED_MS = 2_000;
const CACHE_ENTRIES = 256;
/**
 * Small files are looked at and read synchronously: ten times faster than through Node's thread pool. After this many
 * of them other requests of the same process have their turn.
 */
const FILES_PER_TURN = 200;

export interface HashRequest {
  readonly context: string;
  /** Path of the Dockerfile; '' when it is inline or the context is remote. */
  readonly dockerfile: string;
  readonly named: Readonly<Record<string, string>>;
}

interface Entry {
  readonly path: string;
  readonly absolute: string;
  readonly info: Stats;
}

/** Result of a context by the identity, size and times of all its files: a warm plugin need not read them again. */
const cache = new Map<string, string>();

/** The context hash, 64 hex digits. Throws when a file cannot be read. */
export async function hashBuildContext(request: HashRequest): Promise<string> {
  const dockerfile = await statOrUndefined(request.dockerfile);
  const hasDockerfile = dockerfile !== undefined && !dockerfile.isDirectory();
  const isLocal = (await statOrUndefined(request.context))?.isDirectory() === true;
  const rules = isLocal || hasDockerfile ? await readIgnoreRules(request, isLocal) : IgnoreRules.parse('');

  const roots = isLocal ? [request.context] : [];
  for (const name of Object.keys(request.named).sort()) {
    const location = request.named[name] ?? '';
    if ((await statOrUndefined(location))?.isDirectory()) roots.push(location);
  }
  const lists = await Promise.all(roots.map((root) => listFiles(root, rules)));

  const signature = JSON.stringify([
    hasDockerfile && dockerfile ? identity(request.dockerfile, dockerfile) : '',
    lists.map((files) => files.map((file) => identity(file.path, file.info))),
  ]);
  const key = createHash('sha256').update(signature).digest('base64');
  const known = cache.get(key);
  if (known) return known;

  const hash = createHash('sha256');
  if (hasDockerfile) hash.update(await readFile(request.dockerfile));
  for (const [index, file] of lists.flat().entries()) {
    await hashFile(hash, file);
    if (index % FILES_PER_TURN === FILES_PER_TURN - 1) await setImmediate();
  }
  const result = hash.digest('hex');

  const newest = Math.max(dockerfile?.ctimeMs ?? 0, ...lists.flat().map((file) => file.info.ctimeMs));
  // What a link points to is not in the signature, so a context with links is always read.
  const linked = lists.some((files) => files.some((file) => file.info.isSymbolicLink()));
  if (!linked && Date.now() - newest > SETTLED_MS) {
    if (cache.size >= CACHE_ENTRIES) cache.clear();
    cache.set(key, result);
  }
  return result;
}

function identity(path: string, info: Stats): readonly (string | number)[] {
  return [path, info.mode, info.size, info.mtimeMs, info.ctimeMs, info.ino, info.dev];
}

async function statOrUndefined(path: string): Promise<Stats | undefined> {
  if (path === '') return undefined;
  try {
    return await stat(path);
  } catch {
    return undefined;
  }
}

/** `<Dockerfile>.dockerignore` goes before the context's own `.dockerignore`. */
async function readIgnoreRules(request: HashRequest, isLocal: boolean): Promise<IgnoreRules> {
  const candidates = [`${request.dockerfile}.dockerignore`];
  if (isLocal) candidates.push(join(request.context, '.dockerignore'));
  for (const file of candidates) {
    try {
      return IgnoreRules.parse(await readFile(file, 'utf8'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return IgnoreRules.parse('');
}

/** The files that count, in walking order. An ignored directory is not entered unless an exception may lie in it. */
async function listFiles(root: string, rules: IgnoreRules): Promise<Entry[]> {
  const found: Entry[] = [];
  const walk = async (directory: string, prefix: string, parent: readonly boolean[]): Promise<void> => {
    const entries = readdirSync(directory, { withFileTypes: true });
    entries.sort((a, b) => compareBytes(a.name, b.name));
    for (const entry of entries) {
      const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
      const absolute = join(directory, entry.name);
      const { ignored, matches } = rules.match(path, parent);
      if (entry.isDirectory()) {
        if (!ignored || rules.mayHoldExceptions(path)) await walk(absolute, path, matches);
      } else if (!ignored) {
        const info = lstatSync(absolute);
        if (info.isFile() || info.isSymbolicLink()) found.push({ path, absolute, info });
        if (found.length % FILES_PER_TURN === 0) await setImmediate();
      }
    }
  };
  await walk(root, '', []);
  return found;
}

/** Go sorts names by their bytes; JavaScript's own order is by UTF-16 units, which differs beyond U+FFFF. */
function compareBytes(a: string, b: string): number {
  if (a === b) return 0;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

async function hashFile(hash: Hash, file: Entry): Promise<void> {
  try {
    if (file.info.isSymbolicLink()) await hashLinked(hash, file);
    else if (file.info.size <= READ_WHOLE_BYTES) hash.update(readFileSync(file.absolute));
    else await stream(hash, file.absolute);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EISDIR') return; // A link to a directory.
    throw new Error(
      `the build context's file ${file.absolute} cannot be read (${(error as NodeJS.ErrnoException).code}): ` +
        'correct its permissions, or name it in .dockerignore',
    );
  }
  hash.update(file.path);
  hash.update(goMode(file.info));
}

async function hashLinked(hash: Hash, file: Entry): Promise<void> {
  let target: Stats;
  try {
    target = await stat(file.absolute);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    hash.update(await readlink(file.absolute));
    return;
  }
  // Reading a pipe or device would never end.
  if (target.isFile() || target.isDirectory()) hash.update(await readFile(file.absolute));
}

async function stream(hash: Hash, path: string): Promise<void> {
  for await (const chunk of createReadStream(path, { highWaterMark: READ_WHOLE_BYTES })) hash.update(chunk as Buffer);
}

/** Go's text form of a file mode (io/fs FileMode.String): flags, then rwx three times. */
function goMode(info: Stats): string {
  let flags = '';
  if (info.isSymbolicLink()) flags += 'L';
  if (info.mode & 0o4000) flags += 'u';
  if (info.mode & 0o2000) flags += 'g';
  if (info.mode & 0o1000) flags += 't';
  const permissions = 'rwxrwxrwx'.split('').map((letter, index) => (info.mode & (1 << (8 - index)) ? letter : '-'));
  return (flags || '-') + permissions.join('');
}
