/**
 * The program as one file, made by esbuild when a source has changed and kept in node_modules/.cache. Loading one file
 * instead of some six hundred, without a TypeScript loader and without the parts of the SDK that a program never uses
 * (the Automation API, dynamic providers, the TypeScript compiler), is what makes a preview fast. Plain JavaScript on
 * Node's own modules, as it runs at every preview; esbuild itself is loaded only to make the file.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The parts of the SDK's index that are loaded at once: the language host has loaded most of them already. */
const SPREAD = ['config', 'errors', 'metadata', 'output', 'resource', 'stackReference', 'stash'];
const NAMED = ['asset', 'iterable', 'log', 'utils'];
/** The same for `pulumi.runtime`. */
const RUNTIME = ['config', 'debuggable', 'invoke', 'mocks', 'resource', 'rpc', 'settings', 'stack', 'state'].map(
  (part) => `runtime/${part}`,
);

/** A module of the same parts as the language host's, and the heavy rest of `full` only when it is asked for. */
function slim(parts, named, full, keys) {
  return `
const light = Object.assign({}, ...${JSON.stringify(parts)}.map((part) => require('@pulumi/pulumi/' + part)));
${named.map((part) => `light.${part} = require('@pulumi/pulumi/${part}');`).join('\n')}
for (const key of ${JSON.stringify(keys)}) {
  if (!(key in light)) Object.defineProperty(light, key, { enumerable: true, get: () => require('${full}')[key] });
}
module.exports = light;
`;
}

/**
 * The URL of the bundled program; bundled anew when a source, or what is installed, has changed.
 *
 * @param {string} root folder of the project
 * @returns {Promise<string>}
 * @throws when a source does not compile, with its file and line
 */
export async function bundledProgram(root) {
  const directory = join(root, 'node_modules', '.cache', 'development-operations');
  const file = join(directory, 'program.mjs');
  const stampFile = join(directory, 'program.json');
  try {
    const { inputs, stamp } = JSON.parse(readFileSync(stampFile, 'utf8'));
    if (stampOf(root, inputs) === stamp) return versioned(file, stamp);
  } catch {
    // Never bundled, or a source is gone.
  }
  const { inputs, text } = await bundle(root);
  mkdirSync(directory, { recursive: true });
  const stamp = stampOf(root, inputs);
  replace(file, text);
  replace(stampFile, JSON.stringify({ inputs, stamp }));
  return versioned(file, stamp);
}

/** The stamp is part of the URL, so that one process never gets an older version from its module cache. */
function versioned(file, stamp) {
  return `${pathToFileURL(file).href}?${stamp}`;
}

/** Two at once write the same content; a reader sees the old or the new file, never half of one. */
function replace(file, text) {
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, file);
}

function stampOf(root, inputs) {
  const hash = createHash('sha256').update(process.version);
  for (const input of inputs) {
    const { size, mtimeMs } = statSync(join(root, input));
    hash.update(`${input}\0${size}\0${mtimeMs}\0`);
  }
  return hash.digest('hex').slice(0, 16);
}

async function bundle(root) {
  const { build } = await import('esbuild');
  const require = createRequire(join(root, 'main.mjs'));
  const keys = (module) => Object.keys(require(module)).filter((key) => key !== '__esModule');
  const modules = {
    '@pulumi/pulumi': slim(SPREAD, [...NAMED, 'runtime'], '@pulumi/pulumi/index.js', keys('@pulumi/pulumi')),
    '@pulumi/pulumi/runtime': slim(RUNTIME, [], '@pulumi/pulumi/runtime/index.js', keys('@pulumi/pulumi/runtime')),
  };
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['index.ts'],
    outfile: 'program.mjs',
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: `node${process.versions.node}`,
    sourcemap: 'inline',
    sourcesContent: false,
    logLevel: 'silent',
    banner: {
      // By where the file is, not by `root`: work trees that share their node_modules share the file as well.
      js: `import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);`,
    },
    plugins: [
      {
        name: 'slim-sdk',
        setup(builder) {
          builder.onResolve({ filter: /^@pulumi\/pulumi(\/|$)/ }, ({ path }) => {
            if (path in modules) return { path, namespace: 'slim-sdk' };
            // One copy of the SDK in the process: its state belongs to the language host's.
            return { path, external: true };
          });
          builder.onLoad({ filter: /.*/, namespace: 'slim-sdk' }, ({ path }) => ({
            contents: modules[path],
            loader: 'js',
            resolveDir: root,
          }));
        },
      },
    ],
  });
  const sources = Object.keys(metafile.inputs).filter((input) => !/^(slim-sdk:|node_modules\/)/.test(input));
  const inputs = [...sources, 'scripts/bundle.mjs', join('node_modules', '.package-lock.json')].sort();
  return { inputs, text: outputFiles[0].text };
}
