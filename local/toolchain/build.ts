import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { tryRun } from '../run.ts';
import { LocalError } from '../service.ts';
import { writeLauncher } from './launcher.ts';
import { parseVersion, which } from './machine.ts';
import type { ToolSet } from './sets.ts';

/** go.mod files name the Go version they need; since 1.21 an older `go` fetches that version itself. */
const OLDEST_GO = [1, 21] as const;

/**
 * Builds a set from its Go modules: versions from the go.mod, checksums from the go.sum in `modules/<set>`, with the
 * user's own build and module caches. The tools are put into `directory`.
 *
 * @throws LocalError naming Go when it is missing or too old, or the compiler's last lines
 */
export async function buildFromModules(
  set: ToolSet,
  modules: string,
  directory: string,
  report: (detail: string) => void,
): Promise<void> {
  const go = await findGo(set);
  const workspace = join(directory, 'module');
  // A copy: `go` may want to write beside go.mod, and the repository stays as it is.
  cpSync(join(modules, set.name), workspace, { recursive: true });
  const output = join(directory, 'output');
  mkdirSync(output, { recursive: true });
  const packages = Object.values(set.packages);
  report(`building ${packages.length === 1 ? basename(packages[0] ?? '') : `${packages.length} programs`}`);
  const child = execa(go, ['build', '-v', '-trimpath', '-ldflags', set.ldflags, '-o', `${output}/`, ...packages], {
    cwd: workspace,
    env: {
      CGO_ENABLED: '0',
      GOFLAGS: '-mod=readonly -buildvcs=false',
      GOWORK: 'off',
      // Set for cross builds in some shells.
      GOOS: undefined,
      GOARCH: undefined,
    },
    stdin: 'ignore',
    reject: false,
    timeout: 60 * 60_000,
  });
  // With -v each package is named on a line when its compilation starts.
  let compiled = 0;
  child.stderr?.on('data', (chunk: Buffer) => {
    const lines = chunk.toString('utf8').trim().split('\n');
    compiled += lines.filter((line) => !line.startsWith('go: ')).length;
    const last = lines.at(-1) ?? '';
    if (last.startsWith('go: downloading')) report(last.slice('go: '.length));
    else if (compiled > 0) report(`compiling, ${compiled} packages so far (${last})`);
  });
  const result = await child;
  if (result.exitCode !== 0) {
    const lines = (result.stderr ?? '').trim().split('\n').slice(-10).join('\n  ');
    throw new LocalError(`${set.name} ${set.version} could not be built from its Go modules:\n  ${lines}`);
  }
  for (const [tool, path] of Object.entries(set.packages)) {
    renameSync(join(output, basename(path)), join(directory, tool));
  }
  if (set.launcher !== undefined) {
    renameSync(join(directory, set.launcher.tool), join(directory, set.launcher.binary));
    writeLauncher(set.launcher, directory);
  }
  rmSync(output, { recursive: true, force: true });
  rmSync(workspace, { recursive: true, force: true });
}

async function findGo(set: ToolSet): Promise<string> {
  const go = which('go', process.env, ['/usr/local/go/bin']);
  const cure =
    `${set.name} ${set.version} is not on this machine, its vendor cannot be reached, and building it needs Go ` +
    `${OLDEST_GO.join('.')} or newer; install it from https://go.dev/dl/ (tar -C /usr/local -xzf go*.tar.gz)`;
  if (go === undefined) throw new LocalError(`Go is missing: ${cure}`);
  // With GOTOOLCHAIN=local no other version than the installed one is used: this is what `go build` would say, too.
  const answer = await tryRun(go, ['env', 'GOVERSION'], { cwd: '/', timeoutMs: 20_000 });
  const version = parseVersion(`${answer?.stdout ?? ''}.0`);
  if (
    version === undefined ||
    version[0] < OLDEST_GO[0] ||
    (version[0] === OLDEST_GO[0] && version[1] < OLDEST_GO[1])
  ) {
    throw new LocalError(`${go} is ${answer?.stdout.trim() || 'not usable'}: ${cure}`);
  }
  return go;
}
