// What the stand-ins share; copied into each for a run.
const { appendFileSync, readFileSync } = require('node:fs');
const { join } = require('node:path');

exports.harness = () => JSON.parse(readFileSync(join(__dirname, 'harness.json'), 'utf8'));

/** An input; '' when it is not given. */
exports.input = (name) => (process.env[`INPUT_${name.toUpperCase().replaceAll(' ', '_')}`] ?? '').trim();

exports.output = (name, value) => {
  const mark = 'end_of_the_value';
  appendFileSync(process.env.GITHUB_OUTPUT, `${name}<<${mark}\n${value}\n${mark}\n`);
};

exports.fail = (message) => {
  console.log(`::error::${message}`);
  process.exit(1);
};
