const { createHash } = require('node:crypto');
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const { basename, join, resolve } = require('node:path');
const { fail, harness, input, output } = require('./shared.cjs');

const path = input('subject-path');
if ((path === '') === (input('subject-digest') === '')) fail('give either subject-path or subject-digest');
const sha256 =
  path === ''
    ? input('subject-digest').replace(/^sha256:/, '')
    : createHash('sha256')
        .update(readFileSync(resolve(process.env.GITHUB_WORKSPACE, path)))
        .digest('hex');
if (!/^[0-9a-f]{64}$/.test(sha256)) fail(`${input('subject-digest')} is no SHA-256 digest`);
const sbom = input('sbom-path');
const statement = {
  _type: 'https://in-toto.io/Statement/v1',
  subject: [{ name: path === '' ? input('subject-name') : basename(path), digest: { sha256 } }],
  predicateType: sbom === '' ? 'https://slsa.dev/provenance/v1' : 'https://spdx.dev/Document/v2.3',
  predicate:
    sbom === ''
      ? { buildDefinition: { externalParameters: { workflow: { repository: process.env.GITHUB_REPOSITORY } } } }
      : JSON.parse(readFileSync(resolve(process.env.GITHUB_WORKSPACE, sbom), 'utf8')),
};
const folder = join(harness().artifacts, process.env.GITHUB_RUN_ID, 'attestations');
mkdirSync(folder, { recursive: true });
const file = join(folder, `${sha256}${sbom === '' ? '' : '-sbom'}.json`);
writeFileSync(file, JSON.stringify(statement));
output('bundle-path', file);
output('attestation-url', `https://github.com/${process.env.GITHUB_REPOSITORY}/attestations/1`);
console.log(`attested ${sha256}`);
