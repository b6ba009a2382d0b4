// The console as static files. Plain JavaScript on Node's own modules and esbuild, like the other builds.
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Builds the console's page into a folder: index.html, console.js, console.css, icon.svg. Nothing of it is inline, so
 * that `Content-Security-Policy: default-src 'self'` holds.
 *
 * @param {string} outputDirectory made when it is missing
 * @returns {Promise<void>}
 * @throws when a source does not compile, with its file and line
 */
export async function buildConsole(outputDirectory) {
  const { build } = await import('esbuild');
  const source = import.meta.dirname;
  await mkdir(outputDirectory, { recursive: true });
  await build({
    absWorkingDir: source,
    entryPoints: [
      { in: 'console.css', out: 'console' },
      { in: 'src/main.tsx', out: 'console' },
    ],
    outdir: outputDirectory,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    // The first versions with light-dark() in style sheets.
    target: ['chrome123', 'firefox120', 'safari17.5'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'linked',
    logLevel: 'silent',
  });
  await Promise.all(
    ['index.html', 'icon.svg'].map((name) => copyFile(join(source, name), join(outputDirectory, name))),
  );
}
