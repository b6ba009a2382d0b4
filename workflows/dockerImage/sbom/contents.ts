/** Reads packages from the files in which package managers keep them. Pure. */

import type { Contents, Distribution, Package } from './model.ts';

const NPM = /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@.][^/]*\/package\.json$/;
const DPKG = /^var\/lib\/dpkg\/(?:status|status\.d\/(?!.*\.md5sums$)[^/]+)$/;
const APK = /^(?:usr\/)?lib\/apk\/db\/installed$/;
const OS_RELEASE = /^(?:usr\/lib|etc)\/os-release$/;

/** Whether a file of an image (its path without a leading `/`) names packages. */
export function namesPackages(path: string): boolean {
  return [NPM, DPKG, APK, OS_RELEASE].some((pattern) => pattern.test(path));
}

/** @param files texts by path, of those that `namesPackages` */
export function contentsOf(files: ReadonlyMap<string, string>): Contents {
  const found = new Map<string, Package>();
  let distribution: Distribution | undefined;
  for (const [path, text] of files) {
    if (OS_RELEASE.test(path)) distribution ??= parseOsRelease(text);
    for (const one of packagesOf(path, text)) {
      found.set([one.type, one.name, one.version, one.architecture ?? ''].join('\0'), one);
    }
  }
  const packages = [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
  return { ...(distribution && { distribution }), packages };
}

function packagesOf(path: string, text: string): Package[] {
  if (NPM.test(path)) return parsePackageJson(text);
  if (DPKG.test(path)) return parseDpkg(text);
  if (APK.test(path)) return parseApk(text);
  return [];
}

function parsePackageJson(text: string): Package[] {
  let manifest: { name?: unknown; version?: unknown; license?: unknown };
  try {
    manifest = JSON.parse(text) as typeof manifest;
  } catch {
    // A fixture of some package: npm installs none without a valid manifest.
    return [];
  }
  const { name, version, license } = manifest ?? {};
  if (typeof name !== 'string' || typeof version !== 'string') return [];
  return [{ type: 'npm', name, version, ...(typeof license === 'string' && license !== '' && { license }) }];
}

/** Paragraphs of a Debian control file (deb-status). */
function parseDpkg(text: string): Package[] {
  return text.split(/\n\s*\n/).flatMap((paragraph) => {
    const field = (name: string): string => new RegExp(`^${name}: *(.+)$`, 'm').exec(paragraph)?.[1]?.trim() ?? '';
    const [name, version, status] = [field('Package'), field('Version'), field('Status')];
    // A package of a distroless image has no status; one that was removed keeps its configuration.
    if (name === '' || version === '' || (status !== '' && !status.endsWith(' installed'))) return [];
    return [{ type: 'deb' as const, name, version, architecture: field('Architecture') }];
  });
}

/** `P:name`, `V:version`, `L:license`, `A:architecture` a line (apk-tools' database). */
function parseApk(text: string): Package[] {
  return text.split(/\n\s*\n/).flatMap((paragraph) => {
    const field = (name: string): string => new RegExp(`^${name}:(.+)$`, 'm').exec(paragraph)?.[1]?.trim() ?? '';
    const [name, version, license] = [field('P'), field('V'), field('L')];
    if (name === '' || version === '') return [];
    return [{ type: 'apk' as const, name, version, architecture: field('A'), ...(license && { license }) }];
  });
}

function parseOsRelease(text: string): Distribution | undefined {
  const field = (name: string): string => new RegExp(`^${name}=["']?([^"'\\n]*)`, 'm').exec(text)?.[1] ?? '';
  return field('ID') === '' ? undefined : { id: field('ID'), version: field('VERSION_ID') };
}
