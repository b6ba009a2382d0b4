const { cpSync, existsSync, mkdirSync, rmSync } = require('node:fs');
const { basename, join, resolve } = require('node:path');
const { fail, harness, input, output } = require('./shared.cjs');

const name = input('name');
const target = join(harness().artifacts, process.env.GITHUB_RUN_ID, name);
const paths = input('path')
  .split('\n')
  .map((line) => line.trim())
  .filter((line) => line !== '');
if (/[*?!]/.test(paths.join())) fail('this stand-in takes no patterns');
const found = paths.map((path) => resolve(process.env.GITHUB_WORKSPACE, path)).filter((path) => existsSync(path));
if (found.length === 0) {
  const message = `no files were found: ${paths.join(', ')}`;
  if (input('if-no-files-found') === 'error') fail(message);
  console.log(message);
} else {
  if (existsSync(target)) {
    if (input('overwrite') !== 'true') fail(`an artifact named ${name} is there already`);
    rmSync(target, { recursive: true });
  }
  mkdirSync(target, { recursive: true });
  const one = found.length === 1;
  const { statSync } = require('node:fs');
  for (const path of found) {
    const folder = statSync(path).isDirectory();
    cpSync(path, one && folder ? target : join(target, basename(path)), { recursive: true });
  }
  output('artifact-id', name);
  console.log(`artifact ${name}: ${found.map((path) => basename(path)).join(', ')}`);
}
