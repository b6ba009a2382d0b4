const { existsSync } = require('node:fs');
const { resolve } = require('node:path');
const { fail, input } = require('./shared.cjs');

const file = input('node-version-file');
if (file !== '' && !existsSync(resolve(process.env.GITHUB_WORKSPACE, file))) fail(`there is no file ${file}`);
console.log(`Node.js ${process.version} is on PATH`);
