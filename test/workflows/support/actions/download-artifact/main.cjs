const { cpSync, existsSync } = require('node:fs');
const { join, resolve } = require('node:path');
const { fail, harness, input, output } = require('./shared.cjs');

const run = input('run-id') || process.env.GITHUB_RUN_ID;
if (run !== process.env.GITHUB_RUN_ID && input('github-token') === '')
  fail('artifacts of another run need github-token');
const source = join(harness().artifacts, run, input('name'));
if (!existsSync(source)) fail(`Unable to download artifact(s): Artifact not found for name: ${input('name')}`);
const target = resolve(process.env.GITHUB_WORKSPACE, input('path'));
cpSync(source, target, { recursive: true });
output('download-path', target);
console.log(`artifact ${input('name')} of run ${run} is in ${target}`);
