import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { program } from '../requirements.ts';
import { run, tryRun } from '../run.ts';
import { type Context, LocalError } from '../service.ts';
import { which } from '../toolchain/machine.ts';
import { cacheDirectory } from '../toolchain.ts';
import { type AptSource, chooseSource } from './aptSources.ts';

/** Not needed in a container. */
const DISPENSABLE = ['var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/man', 'usr/share/locale'];

/** What a root file system holds beside the system itself. */
export interface RootFileSystem {
  /** Part of the file's name: another content has another one. */
  readonly name: string;
  /** What the progress shows. */
  readonly title: string;
  /** Packages of the distribution. */
  readonly packages: readonly string[];
  /** Adds what is in no package. */
  readonly add: (directory: string) => Promise<void>;
}

/**
 * The Node.js of images, whatever this machine has: the SDK asks for 22 and later, and the operations API takes a
 * quarter less of a processor with 24 than with 20.
 */
export const NODE_VERSION = '24.21.0';

/** With Node.js, and this machine's npm. */
export const NODE_ROOT: RootFileSystem = {
  name: `node-${NODE_VERSION}`,
  title: `node ${NODE_VERSION}`,
  packages: [],
  add: addNode,
};

/** With the distribution's nginx. */
export const NGINX_ROOT: RootFileSystem = {
  name: 'nginx',
  title: 'nginx',
  packages: ['nginx'],
  add: async (directory) => {
    await run('chroot', [directory, '/usr/sbin/nginx', '-v']);
  },
};

/**
 * A Debian (or Ubuntu) root file system as a tar file in the cache. From the mirror and with the keyring that this
 * machine's apt uses; packages are verified as apt does.
 */
export async function buildRootFileSystem(ctx: Pick<Context, 'progress'>, root: RootFileSystem): Promise<string> {
  const release = osRelease();
  const codename = release.VERSION_CODENAME ?? '';
  const parent = join(cacheDirectory(), 'base-images');
  const tarball = join(parent, `${codename}-${root.name}-${process.arch}-${trustStamp()}.tar`);
  if (existsSync(tarball)) return tarball;
  const source = await machineSource(release.ID ?? '', codename);
  mkdirSync(parent, { recursive: true });
  const directory = join(parent, `.${codename}-${root.name}.${process.pid}`);
  removeAbandoned(parent);
  try {
    await ctx.progress.step(`base image: ${codename} with ${root.title} (debootstrap)`, async (report) => {
      await debootstrap(source, codename, directory, root.packages, report);
      report(`adding ${root.title}`);
      await root.add(directory);
      writeFileSync(join(directory, 'etc/ssl/certs/ca-certificates.crt'), `${trustedAuthorities()}\n`);
      for (const path of DISPENSABLE) rmSync(join(directory, path), { recursive: true, force: true });
      // apt needs its folders.
      for (const path of ['var/cache/apt/archives/partial', 'var/lib/apt/lists/partial']) {
        mkdirSync(join(directory, path), { recursive: true });
      }
      report('packing');
      const temporary = `${tarball}.${process.pid}`;
      await run('tar', ['--numeric-owner', '--one-file-system', '-cf', temporary, '-C', directory, '.'], {
        timeoutMs: 5 * 60_000,
      });
      renameSync(temporary, tarball);
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return tarball;
}

/** The release's name, such as `bookworm`. */
export function releaseName(): string {
  return osRelease().VERSION_CODENAME ?? 'unknown';
}

function removeAbandoned(parent: string): void {
  for (const entry of readdirSync(parent)) {
    const pid = /\.(\d+)$/.exec(entry)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(parent, entry), { recursive: true, force: true });
  }
}

async function debootstrap(
  source: AptSource,
  codename: string,
  directory: string,
  packages: readonly string[],
  report: (detail: string) => void,
): Promise<void> {
  const child = execa(
    program('debootstrap'),
    [
      '--variant=minbase',
      `--include=${['ca-certificates', ...packages].join(',')}`,
      ...(source.keyring === undefined ? [] : [`--keyring=${source.keyring}`]),
      '--force-check-gpg',
      codename,
      directory,
      source.uri,
    ],
    { env: { ...(await aptProxy()), LC_ALL: 'C' }, stdin: 'ignore', reject: false, timeout: 20 * 60_000 },
  );
  child.stdout?.on('data', (chunk: Buffer) => {
    const line = chunk.toString('utf8').trim().split('\n').at(-1);
    if (line) report(line.replace(/^I: /, '').slice(0, 60));
  });
  const result = await child;
  if (result.exitCode !== 0) {
    const lines = `${result.stdout ?? ''}\n${result.stderr ?? ''}`.trim().split('\n').slice(-6).join('\n  ');
    throw new LocalError(`debootstrap of ${codename} from ${source.uri} failed:\n  ${lines}`);
  }
}

/** debootstrap reads http_proxy where apt has a setting of its own. */
async function aptProxy(): Promise<Record<string, string>> {
  const answer = await tryRun('apt-config', ['shell', 'PROXY', 'Acquire::http::Proxy']);
  const proxy = /^PROXY='([^']+)'/.exec(answer?.stdout ?? '')?.[1];
  return proxy === undefined || proxy === 'DIRECT' ? {} : { http_proxy: proxy };
}

/** From the package registry: the packages of npm's `node` are the vendor's binaries. */
async function addNodeBinary(file: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'devops-node-'));
  try {
    const name = `node-linux-${process.arch}`;
    const packed = await run('npm', ['pack', `${name}@${NODE_VERSION}`, '--silent', `--pack-destination=${folder}`], {
      // A package that lies here must not be asked for its settings.
      cwd: folder,
      timeoutMs: 10 * 60_000,
    });
    await run('tar', ['-xzf', join(folder, packed.stdout.trim()), '-C', folder, 'package/bin/node']);
    copyFileSync(join(folder, 'package', 'bin', 'node'), file);
    chmodSync(file, 0o755);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function addNode(directory: string): Promise<void> {
  const bin = join(directory, 'usr', 'local', 'bin');
  mkdirSync(bin, { recursive: true });
  await addNodeBinary(join(bin, 'node'));
  const npm = which('npm');
  // …/lib/node_modules/npm/bin/npm-cli.js
  const npmRoot = npm === undefined ? undefined : dirname(dirname(realpathSync(npm)));
  if (npmRoot === undefined || !existsSync(join(npmRoot, 'package.json'))) {
    throw new LocalError('npm is not beside node on PATH; install Node.js from its vendor or with the package manager');
  }
  const modules = join(directory, 'usr', 'local', 'lib', 'node_modules');
  mkdirSync(modules, { recursive: true });
  cpSync(npmRoot, join(modules, 'npm'), { recursive: true, dereference: true });
  for (const name of ['npm', 'npx']) symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(bin, name));
  // As in the public image: a user that Dockerfiles switch to.
  await run('chroot', [directory, 'groupadd', '--gid', '1000', 'node']);
  await run('chroot', [
    directory,
    'useradd',
    '--uid',
    '1000',
    '--gid',
    'node',
    '--shell',
    '/bin/bash',
    '--create-home',
    'node',
  ]);
  const version = await run('chroot', [directory, '/usr/local/bin/node', '--version']);
  if (version.stdout.trim() !== `v${NODE_VERSION}`) throw new LocalError(`node does not run in the base image`);
}

/**
 * The certificate authorities that this machine trusts: its own bundle, and what its node is told to add. Behind a proxy
 * that inspects TLS, `npm ci` in an image build fails without them.
 */
function trustedAuthorities(): string {
  const files = ['/etc/ssl/certs/ca-certificates.crt', process.env.NODE_EXTRA_CA_CERTS].filter(
    (file): file is string => file !== undefined && existsSync(file),
  );
  return files.map((file) => readFileSync(file, 'utf8').trim()).join('\n');
}

/** Changes when the image would: part of its file name. */
function trustStamp(): string {
  return createHash('sha256').update(trustedAuthorities()).digest('hex').slice(0, 12);
}

function osRelease(): Record<string, string> {
  const lines = readFileSync('/etc/os-release', 'utf8').split('\n');
  return Object.fromEntries(
    lines.flatMap((line) => {
      const match = /^([A-Z_]+)="?([^"]*)"?$/.exec(line);
      return match?.[1] === undefined ? [] : [[match[1], match[2] ?? '']];
    }),
  );
}

async function machineSource(id: string, codename: string): Promise<AptSource> {
  const directory = '/etc/apt/sources.list.d';
  const files = [
    '/etc/apt/sources.list',
    ...(existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : []),
  ];
  const texts = files.filter((file) => existsSync(file)).map((file) => ({ file, text: readFileSync(file, 'utf8') }));
  const source = chooseSource(texts, codename);
  if (source === undefined) {
    throw new LocalError(`no file under /etc/apt names a mirror of ${codename}: the base image cannot be made`);
  }
  const keyring = [source.keyring, `/usr/share/keyrings/${id}-archive-keyring.gpg`].find(
    (path) => path !== undefined && existsSync(path),
  );
  return { ...source, keyring };
}
