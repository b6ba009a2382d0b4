/**
 * The content of the operations API's image, made in `api/dist` when a source has changed: the service, its runners and
 * the gateway's authenticator as one file each, the console, the files of swagger-ui, and the Pulumi CLI. Nothing is
 * installed in the image, so that its build needs neither a registry of packages nor their tokens.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const DIRECTORY = join('api', 'dist');
const ENTRIES = ['authenticator', 'runner', 'server'];
/** Sources that esbuild does not name: the console is built by itself. */
const CONSOLE = join('api', 'console');
const SWAGGER = join('node_modules', '@fastify', 'swagger-ui');

/**
 * Brings `api/dist` up to date; takes milliseconds when nothing has changed.
 *
 * @param {string} root folder of the project
 * @param {{ pulumi: string }} tools path of the Pulumi CLI for Linux
 * @returns {Promise<boolean>} whether anything was built
 * @throws when a source does not compile, with its file and line
 */
export async function buildApi(root, { pulumi }) {
  const output = join(root, DIRECTORY);
  const stampFile = join(root, 'node_modules', '.cache', 'development-operations', 'api.json');
  try {
    const { inputs, stamp } = JSON.parse(readFileSync(stampFile, 'utf8'));
    if (existsSync(join(output, 'server.mjs')) && stampOf(root, inputs, pulumi) === stamp) return false;
  } catch {
    // Never built, or a source is gone.
  }
  const { inputs, files } = await bundle(root);
  mkdirSync(join(output, 'bin'), { recursive: true });
  for (const { path, contents } of files) replace(path, contents);
  await buildStatic(root, output);
  copyTool(pulumi, join(output, 'bin', 'pulumi'));
  mkdirSync(join(stampFile, '..'), { recursive: true });
  replace(stampFile, JSON.stringify({ inputs, stamp: stampOf(root, inputs, pulumi) }));
  return true;
}

/** Two at once write the same content; a reader sees the old or the new file, never half of one. */
function replace(file, contents) {
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, contents);
  renameSync(temporary, file);
}

function stampOf(root, inputs, pulumi) {
  const hash = createHash('sha256').update(process.version);
  const files = [...inputs, ...filesBelow(root, CONSOLE)].map((input) => join(root, input));
  for (const file of [...files, pulumi]) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file}\0${size}\0${mtimeMs}\0`);
  }
  return hash.digest('hex').slice(0, 16);
}

function filesBelow(root, directory) {
  return readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

/** The CLI is large: it is copied only when it is another one. */
function copyTool(from, to) {
  const { size, mtimeMs } = statSync(from);
  const present = statSync(to, { throwIfNoEntry: false });
  if (present?.size === size && present.mtimeMs >= mtimeMs) return;
  copyFileSync(from, `${to}.${process.pid}`);
  renameSync(`${to}.${process.pid}`, to);
}

async function buildStatic(root, output) {
  const { buildConsole } = await import(join(root, CONSOLE, 'build.mjs'));
  const folder = join(output, 'console');
  rmSync(folder, { recursive: true, force: true });
  await buildConsole(folder);
  rmSync(join(output, 'swagger-ui'), { recursive: true, force: true });
  cpSync(join(root, SWAGGER, 'static'), join(output, 'swagger-ui'), { recursive: true });
}

/** Parts of packages that look for files beside themselves: in the image these are in a folder of another name. */
const MOVED = {
  [join(SWAGGER, 'lib', 'routes.js')]: ["path.join(__dirname, '..', 'static')", "path.join(__dirname, 'swagger-ui')"],
  [join(SWAGGER, 'index.js')]: ["'./static/logo.svg'", "'./swagger-ui/logo.svg'"],
};

async function bundle(root) {
  const { build } = await import('esbuild');
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: ENTRIES.map((name) => ({ in: join('api', `${name}.ts`), out: name })),
    outdir: DIRECTORY,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    minifySyntax: true,
    minifyWhitespace: true,
    // Names of classes and functions are in error messages.
    keepNames: true,
    legalComments: 'none',
    logLevel: 'silent',
    // Optional parts: a native binding of pg, and what reads configuration files in TypeScript.
    external: ['pg-native', 'typescript'],
    banner: {
      // Packages in CommonJS call `require` for Node's own modules, and look for files beside themselves.
      js: `import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url),__dirname=import.meta.dirname,__filename=import.meta.filename;`,
    },
    plugins: [{ name: 'adapt-packages', setup: (builder) => adaptPackages(root, builder) }],
  });
  const sources = Object.keys(metafile.inputs).filter((input) => !/^([a-z-]+:|node_modules\/)/.test(input));
  const inputs = [...sources, join('scripts', 'buildApi.mjs'), join('node_modules', '.package-lock.json')].sort();
  return { inputs, files: outputFiles };
}

const VERSION_LOOKUP = /createRequire\(import\.meta\.url\)\('([^']+)\/package\.json'\)/g;

function adaptPackages(root, builder) {
  builder.onLoad({ filter: /[\\/]@fastify[\\/]swagger-ui[\\/](index|lib[\\/]routes)\.js$/ }, ({ path }) => {
    const [from, to] = MOVED[relative(root, path)] ?? [];
    const source = readFileSync(path, 'utf8');
    if (from === undefined || !source.includes(from)) throw new Error(`${path} is another version: it has no ${from}`);
    return { contents: source.replace(from, to), loader: 'js' };
  });
  // Turns functions into text for dynamic providers, with a TypeScript compiler and a package manager: never used here.
  builder.onLoad({ filter: /[\\/]@pulumi[\\/]pulumi[\\/](runtime[\\/]closure[\\/].*|typescript-shim)\.js$/ }, () => ({
    contents: '',
    loader: 'js',
  }));
  // Plugins look their SDK's version up in node_modules, which the image has not got: write it in.
  const require = createRequire(join(root, 'main.mjs'));
  builder.onLoad({ filter: /[\\/]plugins[\\/].*\.ts$/ }, ({ path }) => {
    if (path.includes('node_modules')) return undefined;
    const source = readFileSync(path, 'utf8');
    const contents = source.replace(
      VERSION_LOOKUP,
      (_, name) => `(${JSON.stringify({ version: require(`${name}/package.json`).version })})`,
    );
    return { contents, loader: 'ts' };
  });
}

/** `npm run build:api`: the CLI comes from the toolchain. */
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { createContext } = await import('../local/context.ts');
  const context = createContext();
  const built = await buildApi(context.root, { pulumi: await context.tool('pulumi') });
  console.error(built ? `built ${DIRECTORY}` : `${DIRECTORY} is up to date`);
}
